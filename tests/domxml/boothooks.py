"""What recorded boots are played with: what each VM asks for, and a hook that answers as the sidecar does."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from domxml.document import Domain
from domxml.finding import Finding
from domxml.guestslot import GuestSlot
from domxml.transform import transform
from domxml.version import LibvirtVersion
from hostdev.kubevirt.boot import boot as rehearse
from hostdev.kubevirt.ports import Guest
from hostdev.kubevirt.releases import release_of
from hostdev.kubevirt.standin import define
from hostdev.vmi.vmi import parse_vmi
from tests.boots import Boot
from tests.domxml.guestslots import multifunction, wish
from tests.oracle.addresses import Addresses

QAT = wish("qat", "3d:01.0")
QATS = tuple(wish(f"qat-{number}", f"3d:01.{number}") for number in range(8))
GPU = multifunction("gpu0", "d1:00.0", 4)
ASKED: Mapping[str, tuple[GuestSlot, ...]] = {
    "nothing": (),
    "asked-09-4nics": (wish("qat", "3d:01.0", "10:00.0"),),
    "asked-0d": (wish("qat", "3d:01.0", "0d:00.0"),),
    "asked-10": (wish("qat", "3d:01.0", "10:00.0"),),
    "asked-10-1g": (wish("qat", "3d:01.0", "10:00.0"),),
    "asked-20-1g": (wish("qat", "3d:01.0", "20:00.0"),),
    "root-complex-asked": (wish("qat", "3d:01.0", "00:12.0"),),
    "sriov-pciaddr-moved": (wish("sriov0", "5e:02.0", "0e:00.0"),),
    "pcinuma-asked": (wish("gpu0", "61:00.0", "16:00.0"),),
    "pcinuma-device-numa-host": (wish("gpu0", "61:00.0", node=0),),
    "numa-host": (wish("qat", "3d:01.0", node=0),),
    "gpu-functions-all-vsock-4nics": (GPU,),
    "gpu1-functions-all": (GPU,),
    "pcinuma-functions-all": (GPU,),
    "gpu8-qat8": QATS,
    "sriov8-qat8": QATS,
    "many": (*QATS, multifunction("gpu-1", "d1:00.0", 4), multifunction("gpu-2", "d9:00.0", 4)),
    "hostdevices-qat": (wish("nvme0", "e1:00.0", bootOrder="1"), QAT),
    "sriov2-enrich": (
        wish("sriov0", "5e:02.0", acpiIndex="7", bootOrder="1", teaming="ua-default"),
        wish("sriov1", "5e:02.1", acpiIndex="8"),
    ),
}
"""What each shape asks for; all others ask for one device, anywhere."""


class Hook:
    """Answers as the sidecar does, and keeps what it tells."""

    def __init__(self, slots: tuple[GuestSlot, ...], *, again: bool | None = None) -> None:
        self.slots = slots
        self.again = again
        self.told: list[Finding] = []

    def __call__(self, xml: bytes) -> bytes:
        result = transform(Domain.parse(xml), self.slots, libvirt=LibvirtVersion(11, 3), again=self.again)
        self.told += result.findings
        return result.xml


def play(recorded: Boot, hook: Callable[[bytes], bytes]) -> list[bytes]:
    """What libvirt has after each pass of the same boot, with this hook."""
    guest = Guest.of_vmi(parse_vmi(recorded.vm.vmi_json), Domain.parse(recorded.passes[0]))
    made = rehearse(recorded.passes[0], hook, define, guest, release_of(recorded.release))
    return [one.defined for one in made]


def of_base(found: Addresses, wished: frozenset[str] = frozenset()) -> Addresses:
    """The VM's own devices, and the ports above them; what is wished for is not the VM's own."""
    devices = {
        key: address
        for key, address in found.items()
        if address is not None and not key.startswith("controller:pci:") and key not in wished
    }
    used = {address.bus for address in devices.values() if address is not None}
    while above := {a.bus for key, a in found.items() if a is not None and key in _ports_of(used)} - used:
        used |= above
    return devices | {key: found[key] for key in sorted(_ports_of(used) & found.keys()) if found[key] is not None}


def _ports_of(buses: set[int]) -> set[str]:
    return {f"controller:pci:{bus}" for bus in buses}


def slots_of(recorded: Boot) -> tuple[GuestSlot, ...]:
    return ASKED.get(recorded.vm.name, (QAT,))
