"""Every attribute with every other, on every kind of device and machine: our verdict is that of libvirt and QEMU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
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
from tests.oracle.emulator import ROM, Emulator
from tests.oracle.fixtures import may_build, teller
from tests.oracle.portable import portable
from tests.oracle.roots import SUITES, Root, available

pytestmark = pytest.mark.oracle

VALUES: Mapping[str, tuple[str, ...]] = {
    "managed": ("yes", "no"),
    "rom.bar": ("on", "off"),
    "rom.file": (ROM,),
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
NET = "<interface type='ethernet'><model type='virtio'/><teaming type='persistent'/><alias name='ua-net0'/></interface>"
GRAPHICS = "<graphics type='vnc'/><video><model type='virtio'/></video>"


class Trial(NamedTuple):
    """Devices with their attributes, in a domain."""

    machine: str
    devices: tuple[tuple[HostDevice, Mapping[str, str]], ...]
    graphics: bool = True
    os_boot: bool = False
    acpi: bool = True

    @property
    def domain(self) -> bytes:
        boot, arch = "<boot dev='hd'/>" if self.os_boot else "", MACHINES[self.machine]
        acpi = "<features><acpi/></features>" if self.acpi and arch == "x86_64" else ""
        return (
            f"<domain type='qemu'><name>a</name><memory unit='MiB'>64</memory><os><type arch='{arch}' "
            f"machine='{self.machine}'>hvm</type>{boot}</os>{acpi}<devices>{NET}"
            f"{GRAPHICS if self.graphics else ''}</devices></domain>"
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
        if not mdev:
            element.insert(0, etree.Element("driver", name="vfio"))
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
            yield Trial(machine, ((device, dict([single])),), acpi=False)
        for other, one, two in product(others, SINGLES, SINGLES):
            yield Trial(machine, ((device, dict([one])), (other, dict([two]))))


class Verdict(NamedTuple):
    """The code of our refusal, or what we write, and what is said to have no effect."""

    code: str
    xml: bytes = b""
    vain: tuple[str, ...] = ()


def ours(trial: Trial, version: LibvirtVersion) -> Verdict:
    try:
        done = transform(Domain.parse(trial.domain), trial.slots(), libvirt=version)
    except PassgateError as refusal:
        return Verdict(refusal.code)
    told = [finding for finding in done.findings if finding.code == "attribute-without-effect"]
    return Verdict("", done.xml, tuple(f"{finding.subject} {finding.message.partition(' is ')[0]}" for finding in told))


def theirs(trial: Trial, answer: Answer) -> str:
    """Libvirt's refusal, or what it dropped; nothing where it took all."""
    if not isinstance(answer, Defined):
        return answer.message
    hostdevs = etree.fromstring(answer.xml).findall("devices/hostdev")
    lost = [attributes.missing(hostdev, wanted) for hostdev, (_, wanted) in zip(hostdevs, trial.devices, strict=True)]
    return " ".join(f"drops {', '.join(keys)}" for keys in lost if keys)


def test_there_are_values_for_every_attribute() -> None:
    assert set(VALUES) == set(ATTRIBUTES)


@pytest.fixture(scope="module")
def emulators(root: Root, request: pytest.FixtureRequest) -> Iterator[list[Emulator]]:
    """The QEMU beside the libvirt that is asked, and newer ones: a libvirt does not tell which QEMU it has."""
    newer = SUITES[SUITES.index(root.suite) :]
    roots = [available(suite, build=may_build(), say=teller(request)) for suite in newer]
    with ExitStack() as stack:
        yield [stack.enter_context(Emulator(one)) for one in roots if isinstance(one, Root)]


def test_every_attribute_with_every_other(
    oracle: Oracle, emulators: Sequence[Emulator], request: pytest.FixtureRequest
) -> None:
    version = LibvirtVersion.from_number(oracle.version)
    every: Sequence[Trial] = tuple(trials())
    answers = oracle.define_many([trial.raw for trial in every], jobs=2)
    counts: Counter[str] = Counter()
    different: list[tuple[Trial, str, str]] = []
    told: set[str] = set()
    for trial, answer in zip(every, answers, strict=True):
        mine, refusal, judge = ours(trial, version), theirs(trial, answer), "libvirt"
        if not refusal:
            refusal, judge = emulated(trial, mine, oracle.version, emulators)
        if bool(mine.code) == bool(refusal):
            counts[f"refused by {judge} and us" if refusal else "taken by all"] += 1
        else:
            different.append((trial, mine.code, refusal))
        told |= {mine.code} if mine.code else set(mine.vain)
    teller(request)(f"libvirt {version}: {len(every)} tried, {dict(counts)}, {len(different)} different")

    assert different == []
    assert "output-would-not-work" not in told
    assert counts["refused by libvirt and us"] > 100
    assert counts["refused by its QEMU and us"] > 100
    assert counts["taken by all"] > 100


def emulated(trial: Trial, mine: Verdict, version: int, emulators: Sequence[Emulator]) -> tuple[str, str]:
    """What QEMU says of what libvirt takes, and which QEMU: of what we write, where we do."""
    own, *others = emulators
    command = own.command_line(portable(mine.xml or trial.raw, version))
    refusal = own.refusal(command)
    if refusal or mine.xml:
        return refusal, "its QEMU"
    for other in others:
        later = other.refusal(command._replace(machine=trial.machine + command.machine[command.machine.find(",") :]))
        if later:
            return later, "a newer QEMU"
    return "", ""


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("device", DEVICES[:2], ids=["pci", "mdev"])
def test_the_schema_takes_each(oracle: Oracle, machine: str, device: HostDevice) -> None:
    version = LibvirtVersion.from_number(oracle.version)
    for single in SINGLES:
        trial = Trial(machine, ((device, dict([single])),))
        if not ours(trial, version).code:
            done = transform(Domain.parse(trial.domain), trial.slots(), libvirt=version).xml
            answer = oracle.define(done, validate=True)
            assert isinstance(answer, Defined), (single, answer)
