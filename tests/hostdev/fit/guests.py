"""Domains for fit: host devices with registers, each where a test wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from domxml.document import Domain
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice
from hostdev.fit.inputs import HostFunction
from hostdev.inventory.bars import Bar, BarKind

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
IVSHMEM, TESTDEV = "ivshmem-plain", "pci-testdev"
VGA, DISPLAY = "virtio-vga", "virtio-gpu-pci"
OVMF = "<loader readonly='yes' type='pflash' format='raw'>/run/CODE.fd</loader><nvram>/run/VARS.fd</nvram>"


class Card(NamedTuple):
    """A device of QEMU's that stands for a host device; `size`: of its large register."""

    model: str
    size: int = 0

    @property
    def function(self) -> HostFunction:
        """What it asks for."""
        return HostFunction(tuple(_registers(self)), _CLASSES[self.model] << 8, _ROMS.get(self.model, 0))


_CLASSES = {IVSHMEM: 0x0500, TESTDEV: 0x00FF, VGA: 0x0300, DISPLAY: 0x0380}
_ROMS = {VGA: 64 * KIB}


def _registers(card: Card) -> list[Bar]:
    if card.model == IVSHMEM:
        return [Bar(0, BarKind.MEM32, 256), Bar(2, BarKind.PREF64, card.size)]
    if card.model == TESTDEV:
        large = [Bar(2, BarKind.PREF64, card.size)] if card.size else []
        return [Bar(0, BarKind.MEM32, 4 * KIB), Bar(1, BarKind.IO, 256), *large]
    queues = 2 if card.size else 4
    found = [Bar(1, BarKind.MEM32, 4 * KIB), Bar(queues, BarKind.PREF64, 16 * KIB)]
    if card.model == VGA:
        found = [Bar(0, BarKind.PREF32, 8 * MIB), Bar(2, BarKind.PREF64, 16 * KIB), Bar(1, BarKind.MEM32, 4 * KIB)]
    return [*found, Bar(4, BarKind.PREF64, card.size)] if card.size else found


class Slot(NamedTuple):
    """A root port with what is in it, function by function; or, on bus 0, a slot without a port."""

    cards: tuple[Card, ...] = ()
    hotplug: bool = True
    on_root: bool = False
    expander: int | None = None
    """The bus number of the expander bus that the port hangs on."""


class Given(NamedTuple):
    """A domain with its host devices, and which card each one is."""

    xml: bytes
    cards: Mapping[HostDevice, Card]

    @property
    def domain(self) -> Domain:
        return Domain.parse(self.xml)

    @property
    def functions(self) -> dict[HostDevice, HostFunction]:
        return {source: card.function for source, card in self.cards.items()}


def ports(*cards: Card, hotplug: bool = True) -> list[Slot]:
    """A port for each."""
    return [Slot((card,), hotplug=hotplug) for card in cards]


def shared(size: int, count: int, *, hotplug: bool = True) -> list[Slot]:
    """So many devices with one large register each, a port for each."""
    return ports(*[Card(IVSHMEM, size)] * count, hotplug=hotplug)


def guest(
    slots: Sequence[Slot],
    *,
    cpu: str = "<cpu mode='maximum'/>",
    machine: str = "pc-q35-10.0",
    loader: str = OVMF,
    ram: int = GIB,
    more: str = "",
    arguments: Sequence[str] = (),
    kind: str = "qemu",
    arch: str = "x86_64",
    hole: str = "",
    devices: str = "",
) -> Given:
    """Write it, every address said."""
    pcie = "i440fx" not in machine
    written: list[str] = []
    cards: dict[HostDevice, Card] = {}
    expanders: dict[int, int] = {}
    index = 0
    for number in sorted({slot.expander for slot in slots if slot.expander is not None}):
        index += 1
        expanders[number] = index
        written.append(
            f"<controller type='pci' index='{index}' model='pcie-expander-bus'><target busNr='{number}'/>"
            f"<address type='pci' bus='0' slot='0x{0x1C - index:x}'/></controller>"
        )
    for place, slot in enumerate(slots):
        if slot.on_root:
            bus, first = 0, 8 + place
        else:
            index += 1
            bus, first = index, 0
            parent = 0 if slot.expander is None else expanders[slot.expander]
            at = f"slot='0x{2 + place:x}'" if slot.expander is None else f"slot='0x{place:x}'"
            if slot.expander is None and len(slots) > 16:
                at = f"slot='0x{2 + place // 8:x}' function='{place % 8}'"
                at += " multifunction='on'" if place % 8 == 0 else ""
            target = "" if slot.hotplug else "<target hotplug='off'/>"
            written.append(
                f"<controller type='pci' index='{index}' model='pcie-root-port'>{target}"
                f"<address type='pci' bus='{parent}' {at}/></controller>"
            )
        for number, card in enumerate(slot.cards):
            source = PciAddress(0, 0x40 + place, 0, number)
            cards[source] = card
            several = " multifunction='on'" if number == 0 and len(slot.cards) > 1 else ""
            written.append(
                "<hostdev mode='subsystem' type='pci' managed='no'><driver name='vfio'/><source>"
                f"<address domain='0' bus='{source.bus}' slot='0' function='{number}'/></source>"
                f"<alias name='ua-h{place}-{number}'/>"
                f"<address type='pci' bus='{bus}' slot='{first}' function='{number}'{several}/></hostdev>"
            )
    root = f"<controller type='pci' index='0' model='{'pcie' if pcie else 'pci'}-root'>{hole}</controller>"
    usb = "<controller type='usb' model='none'/>"
    extra = "".join(f"<qemu:arg value='{argument}'/>" for argument in arguments)
    return Given(
        f"<domain type='{kind}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>vm</name>"
        f"<memory unit='KiB'>{ram // KIB}</memory>{more}<vcpu>1</vcpu>"
        f"<os><type arch='{arch}' machine='{machine}'>hvm</type>{loader}</os><features><acpi/></features>{cpu}"
        f"<devices>{root}{''.join(written)}{usb}<memballoon model='none'/>{devices}</devices>"
        f"<qemu:commandline>{extra}</qemu:commandline></domain>".encode(),
        cards,
    )


def processor(bits: int, vendor: str = "", *, told: int = 0) -> tuple[str, ...]:
    """Arguments for QEMU's own processor with so many bits; it is AMD's, unless said."""
    name = {"intel": ",vendor=GenuineIntel", "other": ",vendor=CentaurHauls"}.get(vendor, "")
    return ("-cpu", f"max{name},phys-bits={bits}" + (f",guest-phys-bits={told}" if told else ""))


AMD, INTEL, LARGE = processor(40), processor(40, "intel"), processor(46)
