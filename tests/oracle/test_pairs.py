"""Every attribute with every other, on every kind of device and machine: our verdict is that of the real libvirt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import NamedTuple

import pytest
from lxml import etree

from domxml import attributes
from domxml.attributes import ATTRIBUTES
from domxml.document import Domain
from domxml.errors import PassgateError
from domxml.guestslot import GuestFunction, GuestSlot
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice, Mdev
from domxml.transform import transform
from domxml.version import LibvirtVersion
from tests.oracle.client import Answer, Defined, Oracle
from tests.oracle.fixtures import teller

pytestmark = pytest.mark.oracle

VALUES: Mapping[str, tuple[str, ...]] = {
    "rom.bar": ("on", "off"),
    "rom.file": ("/roms/x.rom",),
    "rom.enabled": ("yes", "no"),
    "bootOrder": ("1",),
    "acpiIndex": ("7",),
    "driverModel": ("mlx5_vfio_pci",),
    "display": ("on", "off"),
    "ramfb": ("on", "off"),
    "teaming": ("ua-net0",),
}
SINGLES = tuple((key, value) for key, values in VALUES.items() for value in values)
PAIRS = tuple(dict(pair) for pair in combinations(SINGLES, 2) if pair[0][0] != pair[1][0])
MACHINES = {"q35": "x86_64", "pc": "x86_64", "virt": "aarch64", "s390-ccw-virtio": "s390x"}
DEVICES: tuple[HostDevice, ...] = (
    PciAddress.parse("0000:fe:02.2"),
    Mdev("c0ffee00-1111-2222-3333-444455556666"),
    PciAddress.parse("0000:fd:02.2"),
    Mdev("c0ffee00-1111-2222-3333-444455556667"),
)
NET = "<interface type='user'><model type='virtio'/><teaming type='persistent'/><alias name='ua-net0'/></interface>"
GRAPHICS = "<graphics type='vnc'/><video><model type='virtio'/></video>"


class Trial(NamedTuple):
    """Devices with their attributes, in a domain."""

    machine: str
    devices: tuple[tuple[HostDevice, Mapping[str, str]], ...]
    graphics: bool = True
    os_boot: bool = False

    @property
    def domain(self) -> bytes:
        boot, arch = "<boot dev='hd'/>" if self.os_boot else "", MACHINES[self.machine]
        return (
            f"<domain type='qemu'><name>a</name><memory unit='MiB'>64</memory><os><type arch='{arch}' "
            f"machine='{self.machine}'>hvm</type>{boot}</os><devices>{NET}{GRAPHICS if self.graphics else ''}</devices>"
            "</domain>"
        ).encode()

    @property
    def raw(self) -> bytes:
        """What would be written if nothing were checked."""
        hostdevs = b"".join(etree.tostring(self._hostdev(*device)) for device in self.devices)
        return self.domain.replace(b"</devices>", hostdevs + b"</devices>")

    def _hostdev(self, device: HostDevice, wanted: Mapping[str, str]) -> etree._Element:
        mdev = isinstance(device, Mdev)
        model = f" model='{'vfio-ap' if 's390' in self.machine else 'vfio-pci'}'" if mdev else ""
        element = etree.fromstring(f"<hostdev mode='subsystem' type='{'mdev' if mdev else 'pci'}'{model}/>")
        source = etree.SubElement(element, "source")
        etree.SubElement(source, "address", {"uuid": device.uuid} if isinstance(device, Mdev) else device.attributes())
        attributes.ensure(element, wanted)
        return element

    def slots(self) -> list[GuestSlot]:
        return [
            GuestSlot(f"x{n}", (GuestFunction(device, f"ua-passgate-x{n}", 0, wanted),))
            for n, (device, wanted) in enumerate(self.devices)
        ]


def trials() -> Iterator[Trial]:
    pci, mdev, *others = DEVICES
    for machine, device in product(MACHINES, (pci, mdev)):
        for wanted in (*(dict([single]) for single in SINGLES), *PAIRS):
            yield Trial(machine, ((device, wanted),))
        for single in SINGLES:
            yield Trial(machine, ((device, dict([single])),), graphics=False)
            yield Trial(machine, ((device, dict([single])),), os_boot=True)
        for other, one, two in product(others, SINGLES, SINGLES):
            yield Trial(machine, ((device, dict([one])), (other, dict([two]))))


STRICTER = {
    "attribute-not-for-mdev": "libvirt keeps a ROM of a mediated device, and gives QEMU none",
    "attribute-not-for-machine": "libvirt keeps an ACPI index that QEMU has no use for on this machine",
    "acpi-index-taken": "QEMU refuses it at start: a PCI device with acpi-index = 7 already exist",
}
"""What is refused although libvirt takes it, by code: it would be without effect, or QEMU would refuse it."""


def ours(trial: Trial, version: LibvirtVersion) -> str:
    """The code of our refusal; nothing where it is written."""
    try:
        transform(Domain.parse(trial.domain), trial.slots(), libvirt=version)
    except PassgateError as refusal:
        return refusal.code
    return ""


def theirs(trial: Trial, answer: Answer) -> str:
    """Libvirt's refusal, or what it dropped; nothing where it took all."""
    if not isinstance(answer, Defined):
        return answer.message
    hostdevs = etree.fromstring(answer.xml).findall("devices/hostdev")
    lost = [attributes.missing(hostdev, wanted) for hostdev, (_, wanted) in zip(hostdevs, trial.devices, strict=True)]
    return " ".join(f"drops {', '.join(keys)}" for keys in lost if keys)


def test_there_are_values_for_every_attribute() -> None:
    assert set(VALUES) == set(ATTRIBUTES)


def test_every_attribute_with_every_other(oracle: Oracle, request: pytest.FixtureRequest) -> None:
    version = LibvirtVersion.from_number(oracle.version)
    every: Sequence[Trial] = tuple(trials())
    answers = oracle.define_many([trial.raw for trial in every], jobs=2)
    different: list[tuple[Trial, str, str]] = []
    counts = {"refused by both": 0, "taken by both": 0, "stricter, and why": 0}
    for trial, answer in zip(every, answers, strict=True):
        mine, libvirts = ours(trial, version), theirs(trial, answer)
        if bool(mine) == bool(libvirts):
            counts["refused by both" if mine else "taken by both"] += 1
        elif mine in STRICTER:
            counts["stricter, and why"] += 1
        else:
            different.append((trial, mine, libvirts))
    teller(request)(f"libvirt {version}: {len(every)} tried, {counts}, {len(different)} different")

    assert "output-would-not-work" not in {mine for _, mine, _ in different}
    assert different == []
    assert min(counts.values()) > 100


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("device", DEVICES[:2], ids=["pci", "mdev"])
def test_the_schema_takes_each(oracle: Oracle, machine: str, device: HostDevice) -> None:
    version = LibvirtVersion.from_number(oracle.version)
    for single in SINGLES:
        trial = Trial(machine, ((device, dict([single])),))
        if not ours(trial, version):
            done = transform(Domain.parse(trial.domain), trial.slots(), libvirt=version).xml
            answer = oracle.define(done, validate=True)
            assert isinstance(answer, Defined), (single, answer)
