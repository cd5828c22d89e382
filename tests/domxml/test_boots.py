"""Forty shapes of VMs on six KubeVirt releases: nothing of the VM moves, or it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from domxml.document import Domain
from domxml.finding import Finding
from domxml.guestslot import GuestSlot
from domxml.kubevirt import places_again
from domxml.transform import transform
from domxml.version import LibvirtVersion
from hooksidecar.rehearsal.boot import boot as rehearse
from hooksidecar.rehearsal.ports import Guest
from hooksidecar.rehearsal.releases import POINT_RELEASES, Release, release_of
from hooksidecar.rehearsal.standin import define
from hostdev.vmi.vmi import parse_vmi
from tests.boots import Boot, boots
from tests.domxml.guestslots import multifunction, wish
from tests.oracle.addresses import Addresses, guest_addresses, moved

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
BOOTS = pytest.mark.parametrize("boot", boots(), ids=lambda boot: boot.id)
WITH_NICS = [boot for boot in boots() if boot.vm.name in {"nics-1-4g", "nics-2-4g", "nics-4-1g", "min-0nic-4g"}]


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


def base_moved(boot: Boot, passes: list[bytes], slots: tuple[GuestSlot, ...]) -> dict[str, tuple[str, str]]:
    """The VM's own devices, and the ports above them, that are elsewhere than without us."""
    wished = frozenset(f"hostdev:pci:{function.device}" for slot in slots for function in slot.functions)
    found = moved(of_base(guest_addresses(boot.final), wished), guest_addresses(passes[-1]))
    return {key: (str(there), str(here)) for key, (there, here) in found.items()}


@BOOTS
def test_the_passes_on_paper_are_those_of_kubevirt(boot: Boot) -> None:
    passes = play(boot, lambda xml: xml)

    assert len(passes) == len(boot.passes)
    assert moved(of_base(guest_addresses(boot.final)), guest_addresses(passes[-1])) == {}


@BOOTS
def test_nothing_of_the_vm_moves_or_it_is_told(boot: Boot) -> None:
    hook = Hook(slots_of(boot))
    passes = play(boot, hook)
    told = " ".join(f"{finding.message}" for finding in hook.told if finding.code == "kubevirt-places-again")

    assert len(passes) == len(boot.passes)
    for key, (there, here) in base_moved(boot, passes, hook.slots).items():
        if not key.startswith("controller:pci:") or not told:
            assert f"{here}, and would be at {there}" in told, key


@BOOTS
def test_who_knows_the_release_moves_nothing(boot: Boot) -> None:
    hook = Hook(slots_of(boot), again=places_again(boot.release))
    passes = play(boot, hook)

    assert base_moved(boot, passes, hook.slots) == {}
    assert "kubevirt-places-again" not in {finding.code for finding in hook.told}


@BOOTS
def test_our_devices_stay_over_the_passes(boot: Boot) -> None:
    hook = Hook(slots_of(boot))
    ours = {f"hostdev:pci:{function.device}" for slot in hook.slots for function in slot.functions}
    places = [{key: found[key] for key in ours} for found in map(guest_addresses, play(boot, hook))]

    assert all(place == places[0] for place in places)
    for slot in hook.slots:
        if slot.guest is not None:
            assert places[0][f"hostdev:pci:{slot.functions[0].device}"] == slot.guest


@pytest.mark.parametrize("boot", WITH_NICS, ids=lambda boot: boot.id)
@pytest.mark.parametrize("bus", range(1, 10))
def test_who_makes_room_is_where_it_was_told(boot: Boot, bus: int) -> None:
    """A bus that libvirt would have given to a device of the VM: that one alone moves, on every pass to one place."""
    hook = Hook((wish("qat", "3d:01.0", f"{bus:02x}:00.0"),), again=places_again(boot.release))
    passes = play(boot, hook)
    told = {f.message for f in hook.told if f.code == "base-device-moves"}
    went = {k: pair for k, pair in base_moved(boot, passes, hook.slots).items() if not k.startswith("controller:pci")}

    assert guest_addresses(passes[-1])["hostdev:pci:0000:3d:01.0"] == hook.slots[0].guest
    assert {f"its guest address becomes {here} instead of {there}" for there, here in went.values()} <= told
    assert len(went) <= 1


def test_a_release_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Exception, match="is not a release of KubeVirt"):
        places_again("one")


@pytest.mark.parametrize(
    ("release", "again"),
    [
        *(("1.5.3", False), ("1.6.3", False), ("1.6.4", True), ("v1.6.6", True), ("1.7.1", False), ("1.7.2", True)),
        *(("1.8", True), ("1.8.0", True), ("1.9.0-rc.1", True), ("1.10.0", False), ("head", False)),
    ],
)
def test_which_releases_place_again(release: str, *, again: bool) -> None:
    assert places_again(release) is again


@pytest.mark.parametrize("release", POINT_RELEASES.values(), ids=POINT_RELEASES)
def test_the_rehearsal_plays_what_the_sidecar_believes(release: Release) -> None:
    assert places_again(release.name) is (release.last == "ports")
