"""What a device cannot have beside the rest of its domain: a code of its own, and the device as subject."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from lxml import etree

from domxml.document import Domain
from domxml.errors import Refused
from domxml.guestfindings import KINDS
from domxml.guestslot import GuestSlot
from domxml.transform import Transformed, transform
from domxml.version import LibvirtVersion
from tests.domxml.domains import load
from tests.domxml.guestslots import multifunction, tree_of, wish

NEW = LibvirtVersion(11, 3)
VF, OTHER = "3d:02.2", "3d:02.3"
AP, OTHER_AP = "c0ffee00-1111-2222-3333-444455556666", "c0ffee00-1111-2222-3333-444455556667"
BRIDGE = "<controller type='pci' index='48' model='pcie-to-pci-bridge'/>"
GRAPHICS = "<graphics type='vnc'/>"
HELD = (
    "<hostdev mode='subsystem' type='pci' managed='no'><source><address bus='0x3d' slot='2' function='3'/></source>"
    "<alias name='ua-gpu-x'/>%s</hostdev>"
)


def inject(xml: bytes, *slots: GuestSlot) -> Transformed:
    return transform(Domain.parse(xml), slots, libvirt=NEW)


def changed(name: str, change: Callable[[Any], object]) -> bytes:
    root = tree_of(load(name))
    change(root)
    return etree.tostring(root)


def plain(*more: str, name: str = "q35-default") -> bytes:
    """A domain without boot orders and graphics of its own, and with these devices."""

    def change(root: Any) -> None:
        devices = root.find("devices")
        for element in [*devices.iterfind("*/boot")]:
            element.getparent().remove(element)
        for element in devices.findall("graphics"):
            devices.remove(element)
        devices.extend(map(etree.fromstring, more))

    return changed(name, change)


def with_os_boot() -> bytes:
    return plain().replace(b"</os>", b"<boot dev='hd'/></os>")


class Conflict(NamedTuple):
    """A domain, what is asked for, what it is refused as, and for which device."""

    domain: bytes
    slots: tuple[GuestSlot, ...]
    code: str
    says: str
    subject: str = "0000:3d:02.2"


def one(**attributes: Any) -> tuple[GuestSlot, ...]:
    return (wish("x", VF, **attributes),)


def two(**attributes: Any) -> tuple[GuestSlot, ...]:
    return wish("x", VF, **attributes), wish("y", OTHER, **attributes)


CONFLICTS = {
    "a display without graphics": Conflict(
        plain(), one(display="on"), "display-needs-graphics", "display=on needs a graphics device in the VM"
    ),
    "a ROM that is taken away": Conflict(
        plain(), one(**{"rom.enabled": "no", "rom.bar": "off"}), "rom-disabled", "rom.enabled=no takes the ROM away"
    ),
    "a ROM that was taken away before": Conflict(
        plain(HELD.replace("function='3'", "function='2'") % "<rom enabled='no'/>"),
        one(**{"rom.file": "/x.rom"}),
        "rom-disabled",
        "and rom.file would tune it",
    ),
    "teaming with nothing": Conflict(
        plain(),
        one(teaming="ua-nothing"),
        "teaming-without-interface",
        "no interface has that alias (there are: ua-default",
    ),
    "teaming on i440fx": Conflict(
        load("i440fx"), one(teaming="ua-default"), "teaming-needs-own-slot", "a guest of i440fx has no PCI Express"
    ),
    "teaming on s390x": Conflict(
        load("s390x-ccw"), one(teaming="ua-default"), "teaming-needs-own-slot", "a guest of s390-ccw has no PCI"
    ),
    "teaming behind a conventional bridge": Conflict(
        plain(BRIDGE),
        (wish("x", VF, guest="30:05.0", teaming="ua-default"),),
        "teaming-needs-own-slot",
        "0000:30:05.0 is behind a pcie-to-pci-bridge, on a conventional PCI bus",
    ),
    "teaming beside another function": Conflict(
        plain("<vsock model='virtio'><address type='pci' bus='0' slot='0x19'/></vsock>"),
        (wish("x", VF, guest="00:19.1", teaming="ua-default"),),
        "teaming-needs-own-slot",
        "0000:00:19.1 is one of several functions of its slot",
    ),
    "a boot order beside os boot": Conflict(
        with_os_boot(), one(bootOrder="1"), "boot-order-beside-os-boot", "the domain has <os><boot>"
    ),
    "a boot order twice": Conflict(
        plain(), two(bootOrder="1"), "boot-order-taken", "bootOrder 1 belongs to 0000:3d:02.2", "0000:3d:02.3"
    ),
    "the boot order of a disk": Conflict(
        plain("<disk><target dev='sdx' bus='sata'/><boot order='03'/></disk>"),
        one(bootOrder="3"),
        "boot-order-taken",
        "bootOrder 3 belongs to a <disk> of the domain",
    ),
    "the boot order that a device has which gets no other": Conflict(
        plain(HELD % "<boot order='3'/>"),
        (wish("x", VF, bootOrder="3"), wish("y", OTHER)),
        "boot-order-taken",
        "bootOrder 3 belongs to a <hostdev> of the domain",
    ),
    "an ACPI index twice": Conflict(plain(), two(acpiIndex="7"), "acpi-index-taken", "acpiIndex 7", "0000:3d:02.3"),
    "the ACPI index of an interface": Conflict(
        plain("<interface type='user'><model type='virtio'/><acpi index='7'/></interface>"),
        one(acpiIndex="7"),
        "acpi-index-taken",
        "acpiIndex 7 belongs to a <interface> of the domain",
    ),
    "two boot displays": Conflict(
        plain(GRAPHICS), two(ramfb="on", display="on"), "only-one-ramfb", "0000:3d:02.2 is one already", "0000:3d:02.3"
    ),
    "a boot display beside a video": Conflict(
        plain(GRAPHICS, "<video><model type='ramfb'/></video>"),
        one(ramfb="on", display="on"),
        "only-one-ramfb",
        "a <video>",
    ),
    "a boot display without a display": Conflict(
        plain(GRAPHICS), one(ramfb="on"), "ramfb-needs-display", "display is not said"
    ),
    "a display taken from a boot display": Conflict(
        plain(GRAPHICS, HELD.replace("function='3'", "function='2'").replace(" type=", " ramfb='on' type=") % ""),
        one(display="off"),
        "ramfb-needs-display",
        "display is off",
    ),
    "two matrices of crypto queues": Conflict(
        load("s390x-ccw"), (wish("x", AP), wish("y", OTHER_AP)), "only-one-vfio-ap", f"{AP} is one", OTHER_AP
    ),
    "an alias of another device": Conflict(
        plain("<vsock model='virtio'><alias name='ua-passgate-x'/></vsock>"),
        one(),
        "alias-taken",
        "two devices have this alias: ua-passgate-x is also that of a <vsock>",
    ),
    "an alias of a function of another wish": Conflict(
        plain(),
        (multifunction("x", "3b:00.0", 2), wish("x-1", VF)),
        "alias-taken",
        "two devices have this alias: ua-passgate-x-1",
    ),
    "a slot whose first device is alone": Conflict(
        plain("<vsock model='virtio'><address type='pci' bus='0' slot='0x19' multifunction='off'/></vsock>"),
        (wish("x", VF, guest="00:19.1"),),
        "multifunction-off",
        "vsock virtio is at 0000:00:19.0 with multifunction='off'",
        "x",
    ),
}


@pytest.mark.parametrize("conflict", CONFLICTS.values(), ids=CONFLICTS)
def test_a_conflict_is_refused_with_a_code_of_its_own(conflict: Conflict) -> None:
    with pytest.raises(Refused) as refusal:
        inject(conflict.domain, *conflict.slots)

    assert (refusal.value.code, refusal.value.subject) == (conflict.code, conflict.subject)
    assert conflict.says in refusal.value.message
    kind = next(kind for kind in KINDS if kind.code == conflict.code)
    assert refusal.value.hint == kind.hint


@pytest.mark.parametrize(
    ("domain", "slots"),
    [
        (plain(GRAPHICS), one(display="on")),
        (plain(), one(display="off")),
        (plain("<disk><target dev='sdx' bus='sata'/><boot order='3'/></disk>"), one(bootOrder="4")),
        (plain(HELD % "<boot order='3'/>"), (wish("x", VF, bootOrder="3"), wish("y", OTHER, bootOrder="4"))),
        (plain(GRAPHICS), (wish("x", VF, ramfb="on", display="on"), wish("y", OTHER, ramfb="off"))),
        (load("s390x-ccw"), (wish("x", AP), wish("y", VF))),
        (load("s390x-ccw"), (wish("x", AP, acpiIndex="7"), wish("y", VF, acpiIndex="7"))),
        (plain(), (wish("x", VF, guest="00:19.0", teaming="ua-default"),)),
        (plain("<vsock model='virtio'><alias name='ua-passgate-y'/></vsock>"), one()),
        (plain("<vsock model='virtio'><address type='pci' bus='0' slot='0x19'/></vsock>"), one(guest="00:19.1")),
    ],
)
def test_what_goes_together_is_written(domain: bytes, slots: tuple[GuestSlot, ...]) -> None:
    result = inject(domain, *slots)

    assert len(result.changes) == len(slots)


def test_a_second_run_conflicts_with_nothing() -> None:
    slots = (
        wish("x", VF, bootOrder="1", acpiIndex="7", ramfb="on", display="on"),
        wish("y", OTHER, bootOrder="2", acpiIndex="8"),
    )
    first = inject(plain(GRAPHICS), *slots)

    assert inject(first.xml, *slots).xml == first.xml


def test_aliases_of_a_running_domain_need_not_be_unique() -> None:
    """Libvirt gives the console of a serial port its alias, and drops both at the next define."""
    running = plain(
        "<serial type='pty'><alias name='serial0'/></serial>",
        "<console type='pty'><alias name='serial0'/></console>",
    )

    assert len(inject(running, *one()).changes) == 1
