"""How each kind of device connects to PCI, as libvirt decides it: a table, and what the table does not know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from domxml.document import Element
from domxml.guestpci.machines import AUTOASSIGN, INTEGRATED, MODELS, PCI_DEVICE, PCIE_DEVICE

NONE = 0
"""Not a PCI device."""
UNKNOWN = -1
"""Libvirt's choice depends on what its QEMU was built with, or is newer than this table."""
PCI = PCI_DEVICE | AUTOASSIGN
PCIE = PCIE_DEVICE | AUTOASSIGN

Kids = Mapping[str, Element]
Needs = Mapping[Any, int]
"""By model; None is a model that is not written."""


class Step(IntEnum):
    """The order in which libvirt hands out addresses, whatever the order in the document."""

    PCI_CONTROLLER = 0
    FILESYSTEM = 1
    INTERFACE = 2
    SOUND = 3
    CONTROLLER = 4
    DISK = 5
    HOSTDEV = 6
    MEMBALLOON = 7
    RNG = 8
    WATCHDOG = 9
    VIDEO = 10
    SHMEM = 11
    INPUT = 12
    SERIAL = 13
    IOMMU = 14
    VSOCK = 15
    MEMORY = 16
    CRYPTO = 17
    PANIC = 18
    PSTORE = 19


class Rule(NamedTuple):
    """Where an element says its model, and what each model needs."""

    step: Step
    model: Callable[[Element, Kids], str | None]
    needs: Needs
    otherwise: int = UNKNOWN


def _attribute(name: str) -> Callable[[Element, Kids], str | None]:
    return lambda element, _kids: element.get(name)


def _child(tag: str, name: str) -> Callable[[Element, Kids], str | None]:
    def read(_element: Element, kids: Kids) -> str | None:
        child = kids.get(tag)
        return None if child is None else child.get(name)

    return read


def _interface_model(element: Element, kids: Kids) -> str | None:
    return "hostdev" if element.get("type") == "hostdev" else _child("model", "type")(element, kids)


def disk_bus(kids: Kids) -> str:
    """The bus of a disk; where it is not written, libvirt reads it off the target's name."""
    target = kids.get("target")
    if target is None:
        return ""
    bus = target.get("bus")
    return bus or _BUS_OF_NAME.get(target.get("dev", "")[:2], "")


def _disk_model(element: Element, kids: Kids) -> str | None:
    bus = disk_bus(kids)
    return element.get("model") if bus == "virtio" else f"bus:{bus}"


def _input_model(element: Element, _kids: Kids) -> str | None:
    bus = element.get("bus") or ("virtio" if element.get("type") == "passthrough" else "other")
    return element.get("model") if bus == "virtio" else f"bus:{bus}"


def _filesystem_model(element: Element, kids: Kids) -> str | None:
    driver = _child("driver", "type")(element, kids)
    return element.get("model") if driver in {None, "path", "handle"} else f"driver:{driver}"


def _controller_model(element: Element, _kids: Kids) -> str | None:
    return f"{element.get('type')}:{element.get('model') or ''}"


def _hostdev_model(element: Element, _kids: Kids) -> str | None:
    kind = element.get("type")
    if element.get("mode", "subsystem") != "subsystem":
        return "capabilities"
    return f"{kind}:{element.get('model') or ''}" if kind in {"mdev", "scsi_host"} else kind


_BUS_OF_NAME = {"vd": "virtio", "hd": "ide", "sd": "scsi", "fd": "fdc", "xv": "xen", "ub": "uml"}

_VIRTIO = {None: PCIE, "virtio": PCIE, "virtio-non-transitional": PCIE, "virtio-transitional": PCI}
_VIRTIO_NAMED = {model: needs for model, needs in _VIRTIO.items() if model}

_CONTROLLERS: dict[str | None, int] = {
    **{f"pci:{model.name}": model.plugs_as for model in MODELS.values()},
    **dict.fromkeys(("usb:nec-xhci", "usb:qemu-xhci"), PCIE),
    **dict.fromkeys(
        (
            *("usb:ehci", "usb:ich9-ehci1", "usb:ich9-uhci1", "usb:ich9-uhci2", "usb:ich9-uhci3"),
            *("usb:piix3-uhci", "usb:piix4-uhci", "usb:vt82c686b-uhci", "usb:pci-ohci"),
            *("scsi:virtio-transitional", "scsi:buslogic", "scsi:lsilogic", "scsi:lsisas1068", "scsi:lsisas1078"),
            *("scsi:vmpvscsi", "scsi:dc390", "scsi:am53c974"),
            *("sata:", "ide:", "virtio-serial:virtio-transitional"),
        ),
        PCI,
    ),
    **dict.fromkeys(
        (
            *("scsi:virtio-scsi", "scsi:virtio-non-transitional"),
            *("virtio-serial:", "virtio-serial:virtio", "virtio-serial:virtio-non-transitional"),
        ),
        PCIE,
    ),
    **dict.fromkeys(("usb:none", "usb:qusb1", "usb:qusb2", "scsi:ncr53c90", "fdc:", "ccid:", "isa:", "xenbus:"), NONE),
}

RULES: Mapping[str, Rule] = {
    "filesystem": Rule(
        Step.FILESYSTEM,
        _filesystem_model,
        _VIRTIO
        | {"driver:virtiofs": PCIE}
        | dict.fromkeys(("driver:mtp", "driver:loop", "driver:nbd", "driver:ploop"), NONE),
    ),
    # A model that libvirt has no name for is handed to QEMU as it is, and taken for PCI Express.
    "interface": Rule(
        Step.INTERFACE,
        _interface_model,
        _VIRTIO_NAMED
        | {None: UNKNOWN, "usb-net": NONE}
        | dict.fromkeys(
            (
                *("rtl8139", "e1000", "vlance", "vmxnet", "vmxnet2", "vmxnet3", "netfront", "spapr-vlan"),
                *("lan9118", "scm91c111", "Am79C970A", "Am79C973", "82540EM", "82545EM", "82543GC"),
            ),
            PCI,
        ),
        otherwise=PCIE,
    ),
    "sound": Rule(
        Step.SOUND,
        _attribute("model"),
        {"virtio": PCIE}
        | dict.fromkeys(("es1370", "ac97", "ich6", "ich9"), PCI)
        | dict.fromkeys(("sb16", "pcspk", "usb", "ich7"), NONE),
    ),
    "controller": Rule(Step.CONTROLLER, _controller_model, _CONTROLLERS),
    "disk": Rule(
        Step.DISK,
        _disk_model,
        _VIRTIO | dict.fromkeys(("bus:ide", "bus:fdc", "bus:scsi", "bus:xen", "bus:usb", "bus:sata", "bus:sd"), NONE),
    ),
    "hostdev": Rule(
        Step.HOSTDEV,
        _hostdev_model,
        {"pci": PCIE, "mdev:vfio-pci": PCIE, "scsi_host:virtio-transitional": PCI}
        | dict.fromkeys(("scsi_host:", "scsi_host:virtio", "scsi_host:virtio-non-transitional"), PCIE)
        | dict.fromkeys(("usb", "scsi", "capabilities", "mdev:vfio-ap", "mdev:vfio-ccw"), NONE),
    ),
    "memballoon": Rule(Step.MEMBALLOON, _attribute("model"), _VIRTIO_NAMED | {"none": NONE, "xen": NONE}),
    "rng": Rule(Step.RNG, _attribute("model"), _VIRTIO_NAMED),
    "watchdog": Rule(
        Step.WATCHDOG,
        _attribute("model"),
        {"i6300esb": PCI, "ib700": NONE, "diag288": NONE, "itco": NONE},
    ),
    "video": Rule(
        Step.VIDEO,
        _child("model", "type"),
        {"virtio": PCIE, "bochs": PCIE}
        | dict.fromkeys(("vga", "cirrus", "vmvga", "xen", "vbox", "qxl", "parallels"), PCI)
        | dict.fromkeys(("gop", "none", "ramfb"), NONE),
    ),
    "shmem": Rule(Step.SHMEM, _attribute("name"), {}, otherwise=PCI),
    "input": Rule(
        Step.INPUT,
        _input_model,
        _VIRTIO | dict.fromkeys(("bus:ps2", "bus:usb", "bus:xen", "bus:parallels", "bus:none", "bus:other"), NONE),
    ),
    "serial": Rule(Step.SERIAL, _child("target", "type"), {"pci-serial": PCI}, otherwise=NONE),
    "iommu": Rule(
        Step.IOMMU,
        _attribute("model"),
        {"virtio": PCIE | INTEGRATED, "intel": NONE, "smmuv3": NONE},
    ),
    "vsock": Rule(Step.VSOCK, _attribute("model"), _VIRTIO),
    "memory": Rule(
        Step.MEMORY,
        _attribute("model"),
        {"virtio-pmem": PCIE, "virtio-mem": PCIE, "dimm": NONE, "nvdimm": NONE, "sgx-epc": NONE},
    ),
    "crypto": Rule(Step.CRYPTO, _attribute("model"), {"virtio": PCI}),
    "panic": Rule(
        Step.PANIC,
        _attribute("model"),
        {"pvpanic": PCI | INTEGRATED, "isa": NONE, "pseries": NONE, "hyperv": NONE, "s390": NONE},
    ),
    "pstore": Rule(Step.PSTORE, _attribute("backend"), {"acpi-erst": PCI}),
}
"""By element name."""

NOT_PCI = frozenset(
    {
        *("emulator", "graphics", "audio", "channel", "console", "parallel", "redirdev", "redirfilter"),
        *("hub", "smartcard", "tpm", "lease", "nvram"),
    }
)
"""Elements below <devices> that never need a PCI address of their own."""


def on_bus(needs: int, *, pcie: bool) -> int:
    """Fit what a device needs to a guest with or without PCI Express: without, everything is conventional."""
    return needs if pcie or needs == UNKNOWN or not needs & PCIE_DEVICE else needs & ~PCIE_DEVICE | PCI_DEVICE


def connection(tag: str, element: Element, kids: Kids) -> tuple[int, Step] | None:
    """Find what a device needs (connect flags, NONE or UNKNOWN) and when its turn is; None for what is never on PCI."""
    rule = RULES.get(tag)
    if rule is None:
        return None if tag in NOT_PCI else (UNKNOWN, Step.PSTORE)
    step = rule.step
    if tag == "controller" and element.get("type") == "pci":
        step = Step.PCI_CONTROLLER
    elif tag == "interface" and element.get("type") == "hostdev":
        return PCIE, Step.HOSTDEV
    return rule.needs.get(rule.model(element, kids), rule.otherwise), step
