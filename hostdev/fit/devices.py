"""The registers of QEMU's own devices, by what libvirt makes them of; measured on QEMU 7.2, 10.0 and 11.1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from domxml.document import Element
from domxml.guestpci.connect import Step, disk_bus
from domxml.guestpci.topology import Device
from domxml.pciaddress import read_number
from hostdev.fit.pcitree import KIB, MIB, USB_CLASS, VGA_CLASS, power_of_two_from
from hostdev.inventory.bars import Bar, BarKind

IO, MEM32, PREF32, MEM64, PREF64 = tuple(BarKind)


class Shape(NamedTuple):
    """What a model asks for."""

    bars: tuple[Bar, ...] = ()
    pci_class: int = 0
    rom: int = 0
    other: tuple[Bar, ...] | None = None
    """What it may ask for instead; None: nothing else."""


class Virtio(NamedTuple):
    """What differs between virtio devices."""

    io: int
    """Of the register that old drivers use; 0 for a device that no old driver knows."""
    interrupts: tuple[int, int] | None = (0, 0)
    """The first version of the machine type with which it has a table of them; None: never."""
    rom: int = 0


_QUEUES = 16 * KIB
_QUEUES_BY_PAGE = 8 * MIB
_TABLE = 4 * KIB
_VECTORS_PER_TABLE = 253
_NIC_ROM, _VGA_ROM, _BOCHS_ROM = 256 * KIB, 64 * KIB, 32 * KIB
_VGA_MEMORY_KIB = 16 * KIB


def _bars(*bars: tuple[int, BarKind, int]) -> tuple[Bar, ...]:
    return tuple(Bar(*bar) for bar in bars)


def _shape(*bars: tuple[int, BarKind, int], pci_class: int = 0, rom: int = 0) -> Shape:
    return Shape(_bars(*bars), pci_class, rom)


NOTHING = Shape()
MUCH = _bars((0, IO, 4 * KIB), (1, MEM32, 32 * MIB), (2, PREF64, 64 * MIB))
"""More than any emulated device asks for that is not in the table."""
AHCI = _shape((4, IO, 32), (5, MEM32, 4 * KIB))
SMBUS = _shape((4, IO, 64))
IDE = _shape((4, IO, 16))
ROOT_PORT = _shape((0, MEM32, 4 * KIB))
CONVENTIONAL_BRIDGE = _shape((0, MEM64, 256))
"""Its hotplug controller."""

_XHCI = _shape((0, MEM64, 16 * KIB), pci_class=USB_CLASS)
_EHCI = _shape((0, MEM32, 4 * KIB), pci_class=USB_CLASS)
_UHCI = _shape((4, IO, 32), pci_class=USB_CLASS)
_OHCI = _shape((0, MEM32, 256), pci_class=USB_CLASS)
_E1000 = _shape((0, MEM32, 128 * KIB), (1, IO, 64), rom=_NIC_ROM)
_AUDIO = _shape((0, MEM32, 16 * KIB))
_I825 = _shape((0, PREF32, 4 * KIB), (1, IO, 64), (2, MEM32, 128 * KIB), rom=128 * KIB)
_AM53C974 = _shape((0, IO, 128))

VIRTIO: Mapping[str, Virtio] = {
    "interface": Virtio(32, rom=_NIC_ROM),
    "disk": Virtio(128),
    "scsi": Virtio(64),
    "virtio-serial": Virtio(64),
    "rng": Virtio(32, interrupts=(7, 2)),
    "memballoon": Virtio(64, interrupts=(10, 0)),
    "filesystem": Virtio(32),
    "virtiofs": Virtio(0),
    "input": Virtio(0),
    "sound": Virtio(0),
    "crypto": Virtio(0),
    "vsock": Virtio(0),
    "memory": Virtio(0, interrupts=(10, 0)),
    "iommu": Virtio(0, interrupts=None),
    "video": Virtio(0),
}
"""By element, or by what kind of it."""

MODELS: Mapping[tuple[str, str], Shape] = {
    **{("controller", f"usb:{model}"): _XHCI for model in ("nec-xhci", "qemu-xhci")},
    **{("controller", f"usb:{model}"): _EHCI for model in ("ehci", "ich9-ehci1")},
    **{
        ("controller", f"usb:{model}"): _UHCI
        for model in ("piix3-uhci", "piix4-uhci", "vt82c686b-uhci", "ich9-uhci1", "ich9-uhci2", "ich9-uhci3")
    },
    ("controller", "usb:pci-ohci"): _OHCI,
    ("controller", "sata:"): AHCI,
    ("controller", "ide:"): IDE,
    ("controller", "scsi:lsilogic"): _shape((0, IO, 256), (1, MEM32, 1024), (2, MEM32, 8 * KIB)),
    ("controller", "scsi:lsisas1068"): _shape((0, IO, 256), (1, MEM32, 16 * KIB), (2, MEM32, 64 * KIB)),
    ("controller", "scsi:lsisas1078"): _shape((0, MEM64, 16 * KIB), (2, IO, 256), (3, MEM64, 256 * KIB)),
    ("controller", "scsi:vmpvscsi"): _shape((0, MEM32, 32 * KIB)),
    ("controller", "scsi:am53c974"): _AM53C974,
    ("controller", "scsi:dc390"): _AM53C974,
    ("controller", "nvme:"): _shape((0, MEM64, 16 * KIB)),
    ("interface", "e1000"): _E1000,
    ("interface", "82540EM"): _E1000,
    ("interface", "e1000-82544gc"): _E1000,
    ("interface", "e1000-82545em"): _E1000,
    ("interface", "e1000e"): _shape(
        (0, MEM32, 128 * KIB), (1, MEM32, 128 * KIB), (2, IO, 32), (3, MEM32, 16 * KIB), rom=_NIC_ROM
    ),
    ("interface", "igb"): _shape((0, MEM32, 128 * KIB), (1, MEM32, 128 * KIB), (2, IO, 32), (3, MEM64, 16 * KIB)),
    ("interface", "rtl8139"): _shape((0, IO, 256), (1, MEM32, 256), rom=_NIC_ROM),
    ("interface", "pcnet"): _shape((0, IO, 32), (1, MEM32, 32), rom=_NIC_ROM),
    ("interface", "ne2k_pci"): _shape((0, IO, 256), rom=_NIC_ROM),
    ("interface", "vmxnet3"): _shape((0, MEM32, 4 * KIB), (1, MEM32, 4 * KIB), (2, MEM32, 8 * KIB), rom=_NIC_ROM),
    **{("interface", model): _I825 for model in ("i82550", "i82551", "i82562")},
    ("interface", "tulip"): _shape((0, IO, 128), (1, MEM32, 128)),
    ("sound", "ich6"): _AUDIO,
    ("sound", "ich9"): _AUDIO,
    ("sound", "ac97"): _shape((0, IO, 1024), (1, IO, 256)),
    ("sound", "es1370"): _shape((0, IO, 256)),
    ("watchdog", "i6300esb"): _shape((0, MEM32, 16)),
    ("serial", "pci-serial"): _shape((0, IO, 8)),
    ("panic", "pvpanic"): _shape((0, MEM32, 2)),
    ("iommu", "intel"): NOTHING,
    ("iommu", "smmuv3"): NOTHING,
    ("iommu", "amd"): NOTHING,
    ("video", "cirrus"): _shape((0, PREF32, 32 * MIB), (1, MEM32, 4 * KIB), pci_class=VGA_CLASS, rom=_VGA_ROM),
}
"""By element and model."""

_MODEL_IN = {"interface": "model", "video": "model", "serial": "target", "shmem": "model"}
"""The child that has the model in its type; other elements have it themselves."""


class Setting(NamedTuple):
    """Where a device is, as far as it makes a difference."""

    old_virtio: bool
    """Its bus is one on which virtio devices serve old drivers too."""
    is_vga: bool
    """The first video device of a PC."""
    version: tuple[int, int] | None
    """Of the machine type; None where it is not written."""


def shape_of(device: Device, setting: Setting) -> Shape | None:
    """Find what a device asks for; None where that is not known."""
    tag = device.kind if device.element is None else str(device.element.tag)
    model = _model(device, tag)
    found = MODELS.get((tag, model))
    if found is None:
        found = (
            _video(device, model, primary=setting.is_vga)
            if tag == "video"
            else _VARIABLE.get(tag, _unknown)(device, model)
        )
    if found is None:
        virtio = _virtio(device, tag, model)
        found = None if virtio is None else _virtio_shape(device, virtio, model, setting)
    return None if found is None else _with_rom(found, device)


def _model(device: Device, tag: str) -> str:
    if tag not in _MODEL_IN:
        return device.model
    child = device.kids.get(_MODEL_IN[tag])
    return "" if child is None else child.get("type", "")


def _unknown(_device: Device, _model: str) -> Shape | None:
    return None


def _controller(device: Device, model: str) -> Shape | None:
    return MODELS.get(("controller", f"{device.kind}:{model}"))


def _video(device: Device, model: str, *, primary: bool) -> Shape | None:
    child = device.kids.get("model")
    if child is None or model not in {"vga", "bochs", "virtio"}:
        return None
    if model == "virtio":
        return _virtio_video(primary=primary)
    kibibytes = read_number(child.get("vgamem") or child.get("vram")) or _VGA_MEMORY_KIB
    memory = (0, PREF32, power_of_two_from(kibibytes * KIB)), (2, MEM32, 4 * KIB)
    if model == "bochs":
        return _shape(*memory, rom=_BOCHS_ROM)
    return _shape(*memory, pci_class=VGA_CLASS, rom=_VGA_ROM) if primary else _shape(*memory)


def _virtio_video(*, primary: bool) -> Shape:
    if not primary:
        return _shape((1, MEM32, _TABLE), (4, PREF64, _QUEUES))
    bars = (0, PREF32, 8 * MIB), (2, PREF64, _QUEUES), (4, MEM32, _TABLE)
    return _shape(*bars, pci_class=VGA_CLASS, rom=_VGA_ROM)


def _shmem(device: Device, model: str) -> Shape | None:
    size = device.kids.get("size")
    number = None if size is None else read_number(size.text)
    unit = {"M": MIB, "MiB": MIB, "G": 1 << 30, "GiB": 1 << 30, "KiB": KIB, "": MIB}
    scale = None if size is None else unit.get(size.get("unit", ""))
    if number is None or scale is None:
        return None
    bars = [(0, MEM32, 256), (2, PREF64, power_of_two_from(number * scale))]
    return _shape(*(bars if model == "ivshmem-plain" else [bars[0], (1, MEM32, 4 * KIB), bars[1]]))


_VARIABLE: Mapping[str, Callable[[Device, str], Shape | None]] = {
    "controller": _controller,
    # Those that libvirt adds have their kind where an element's name would be.
    **dict.fromkeys(("usb", "sata", "ide", "scsi"), _controller),
    "shmem": _shmem,
}


def _virtio(device: Device, tag: str, model: str) -> Virtio | None:
    if tag == "controller":
        return VIRTIO.get(device.kind) if model.startswith("virtio") or not model else None
    if tag == "disk":
        return VIRTIO[tag] if disk_bus(device.kids) == "virtio" else None
    if tag == "filesystem":
        driver = device.kids.get("driver")
        return VIRTIO["virtiofs" if driver is not None and driver.get("type") == "virtiofs" else tag]
    if tag == "hostdev":
        return VIRTIO["scsi"] if device.kind == "scsi_host" else None
    if tag in {"input", "vsock", "virtio-serial"} or model.startswith("virtio"):
        return VIRTIO.get(tag)
    # What libvirt adds names no model.
    return VIRTIO.get(tag) if device.element is None and tag == "memballoon" else None


def _virtio_shape(device: Device, virtio: Virtio, model: str, setting: Setting) -> Shape:
    driver = device.kids.get("driver")
    paged = driver is not None and driver.get("page_per_vq") == "on"
    bars: tuple[Bar, ...] = (Bar(4, PREF64, _QUEUES_BY_PAGE if paged else _QUEUES),)
    if virtio.io and (setting.old_virtio or model == "virtio-transitional") and model != "virtio-non-transitional":
        bars = (Bar(0, IO, virtio.io * (2 if _has_more_to_say(device) else 1)), *bars)
    table = Bar(1, MEM32, _table_size(device))
    if virtio.interrupts is None:
        return Shape(bars)
    with_table = (*bars[:-1], table, bars[-1])
    if virtio.interrupts == (0, 0) or (setting.version is not None and setting.version >= virtio.interrupts):
        return Shape(with_table, rom=virtio.rom)
    return Shape(bars, rom=virtio.rom, other=None if setting.version is not None else with_table)


def _has_more_to_say(device: Device) -> bool:
    """Whether a network card's configuration outgrows the 32 bytes of its old register."""
    driver = device.kids.get("driver")
    queues = 1 if driver is None else read_number(driver.get("queues")) or 1
    return device.step is Step.INTERFACE and (queues > 1 or "mtu" in device.kids)


def _table_size(device: Device) -> int:
    """One interrupt for each queue, and some more; a page holds what nearly all devices have."""
    driver = device.kids.get("driver")
    queues = 0 if driver is None else read_number(driver.get("queues")) or 0
    if not queues and device.element is not None:
        queues = _processors(device.element)
    return _TABLE if queues + 4 <= _VECTORS_PER_TABLE else 2 * _TABLE * power_of_two_from(-(-queues // 500))


def _processors(element: Element) -> int:
    return read_number((element.getroottree().getroot().findtext("vcpu") or "").strip()) or 1


def _with_rom(shape: Shape, device: Device) -> Shape | None:
    if hides_rom(device):
        return shape._replace(rom=0)
    return None if names_rom(device) else shape


def hides_rom(device: Device) -> bool:
    """Whether the guest does not see its expansion ROM."""
    rom = device.kids.get("rom")
    return rom is not None and (rom.get("bar") == "off" or rom.get("enabled") == "no")


def names_rom(device: Device) -> bool:
    """Whether its expansion ROM is a file, whose size is not known."""
    rom = device.kids.get("rom")
    return rom is not None and bool(rom.get("file"))
