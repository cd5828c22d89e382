"""What the host does with a function, or with anything below it: used, proved unused, or unknown and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from enum import Flag, auto

from domxml.pciaddress import PciAddress
from hostdev.inventory import pciclasses
from hostdev.inventory.accelerators import DSA, is_qat
from hostdev.inventory.attached import NODES, Attached
from hostdev.inventory.consoles import LAYER as CONSOLE
from hostdev.inventory.machine import HostUse, PciFunction, Sign
from hostdev.inventory.vfiodrivers import HARMLESS_DRIVERS, is_on_vfio

NODE = "node"
RDMA = "rdma"
VFS = "vfs"
MDEV = "mdev"
BELOW = "below"
VMD = "vmd"
_ACTIVE = "ACTIVE"
_UNSEEN = Sign("what is below it was not looked at", layer=BELOW)


class Kind(Flag):
    """By what it shows that a function of a class is used. Where there is no row, nothing shows that it is not."""

    NET = auto()
    BLOCK = auto()
    NODE = auto()
    DISPLAY = auto()
    USB = auto()
    DRIVER = auto()


_BASES = {
    0x01: Kind.BLOCK | Kind.NODE,
    0x02: Kind.NET | Kind.NODE,
    0x03: Kind.DISPLAY | Kind.NODE,
    0x04: Kind.NODE,
    0x12: Kind.NODE,
}
"""Storage, network, display, multimedia, processing accelerators."""
_VGA = 0x0300
_MAKE_NODES = frozenset({0x03, 0x04, 0x07, 0x12})
"""A driver of these makes nodes: where none is to be seen, the picture is not whole."""
_SUBCLASSES = {
    0x0700: Kind.NODE,
    0x0805: Kind.BLOCK,
    0x0C04: Kind.BLOCK | Kind.NODE,
    0x0C06: Kind.NET | Kind.NODE,
    0x0C0300: Kind.USB,
    0x0C0310: Kind.USB,
    0x0C0320: Kind.USB,
    0x0C0330: Kind.USB,
}
"""Serial ports, SD hosts, Fibre Channel, InfiniBand, and by interface UHCI, OHCI, EHCI, XHCI."""
_DRIVERS = {
    # They give the whole device to a process, by a node.
    "uio_pci_generic": Kind.NODE,
    "igb_uio": Kind.NODE,
    # The I2C bus of a graphics card serves the card's own USB-C port.
    "nvidia-gpu": Kind.NODE,
    DSA: Kind.DRIVER,
}


class HostUses:
    """Asks every layer about a function."""

    def __init__(self, attached: Attached) -> None:
        self._attached = attached

    def of(self, function: PciFunction, path: str) -> HostUse:
        """The use of one function, whose other attributes are read."""
        if is_on_vfio(function):
            return HostUse()
        attached, address = self._attached, function.address
        disks, interfaces = attached.blocks.use_beneath(address), attached.netdevs.use_beneath(address, path)
        nodes = self._nodes(function)
        used = (*self._own(function, nodes), *disks.used, *interfaces.used)
        if used:
            return HostUse(tuple(dict.fromkeys(used)))
        unknown = (*disks.unknown, *interfaces.unknown, *self._doubts(function, path, nodes))
        return HostUse(unknown=tuple(dict.fromkeys(unknown)))

    def _own(self, function: PciFunction, nodes: Mapping[str, str]) -> Iterator[Sign]:
        attached, address = self._attached, function.address
        place = f"/sys/bus/pci/devices/{address}"
        if function.num_vfs:
            yield Sign(f"its {function.num_vfs} VFs", f"{place}/sriov_numvfs", str(function.num_vfs), layer=VFS)
        for mdev in function.mdevs:
            yield Sign(f"the mediated device {mdev.uuid}", f"{place}/{mdev.uuid}", mdev.type, layer=MDEV)
        if function.vendor_vgpu_type:
            file = f"{place}/nvidia/current_vgpu_type"
            yield Sign("the vGPU that was made of it", file, str(function.vendor_vgpu_type), layer=MDEV)
        yield from attached.consoles.serial(nodes.values())
        if pciclasses.base(function.class_code) == pciclasses.DISPLAY:
            yield from self._display(function)
        if function.driver:
            yield from attached.accelerators.uses(address, function.driver)
        for number, user in attached.opened.users_of(nodes) if nodes else ():
            yield replace(user, what=f"{nodes[number]} ({user.what})", layer=NODE)

    def _display(self, function: PciFunction) -> Iterator[Sign]:
        shown = tuple(self._attached.consoles.display(function.address, boot=function.boot_vga))
        if not shown and function.boot_vga and function.driver:
            file = f"/sys/bus/pci/devices/{function.address}/boot_vga"
            shown = (Sign("the console", file, "1", layer=CONSOLE),)
        yield from shown

    def _doubts(self, function: PciFunction, path: str, nodes: Mapping[str, str]) -> Iterator[Sign]:
        """What could not be seen, of a function with which nothing is seen to be done."""
        attached, address, driver = self._attached, function.address, function.driver
        if pciclasses.base(function.class_code) == pciclasses.DISPLAY:
            yield from attached.consoles.doubt(boot=function.boot_vga)
            if function.class_code >> 8 == _VGA and attached.host.read(f"{path}/boot_vga") is None:
                file = f"/sys/bus/pci/devices/{address}/boot_vga"
                yield Sign("whether the firmware's console is on it is not to be seen", file, layer=CONSOLE)
        yield from self._unseen_nodes(driver, nodes)
        if driver is None or function.bridge or driver in HARMLESS_DRIVERS:
            return
        yield from attached.accelerators.doubts(address, driver)
        kind = _kind(function)
        if kind is None:
            what = f"it is not known what shows whether a device on {driver} is used"
            yield Sign(what, f"/sys/bus/pci/devices/{address}/driver", driver, f"the documentation of {driver}")
            return
        if Kind.BLOCK in kind:
            yield from attached.blocks.doubts()
        if Kind.USB in kind:
            yield from attached.usb.doubts(address)
        if Kind.NET in kind:
            yield from self._network(function, path)
        makes_nodes = pciclasses.base(function.class_code) in _MAKE_NODES and driver != "nvidia"
        if makes_nodes and not attached.nodes.beneath(address):
            what = f"no node of it is to be seen, though {driver} holds it"
            yield Sign(what, f"/{NODES}", look=f"the documentation of {driver}", layer=NODE)

    def _unseen_nodes(self, driver: str | None, nodes: Mapping[str, str]) -> Iterator[Sign]:
        """Whether nodes, and those who have them open, were seen at all."""
        attached = self._attached
        if driver and driver not in HARMLESS_DRIVERS and not attached.nodes.listed:
            yield Sign("which nodes it has is not to be seen", f"/{NODES}", layer=NODE)
        if nodes and attached.opened.doubt:
            yield replace(attached.opened.doubt, layer=NODE)

    def _network(self, function: PciFunction, path: str) -> Iterator[Sign]:
        attached, address = self._attached, function.address
        ports = [f"{attached.infiniband.path(name)}/ports" for name in attached.infiniband.beneath(address)]
        for directory in ports:
            for port in attached.host.names(directory) or [""]:
                state = attached.host.read(f"{directory}/{port}/state")
                if state is None or _ACTIVE in state:
                    what = f"RDMA is {'active' if state else 'there'}, and its users in the kernel are not to be seen"
                    look = "`rdma resource show`, and mounts and sessions that use RDMA"
                    yield Sign(what, f"/{directory}/{port}/state", state or "", look, RDMA)
        if not ports and not function.netdevs and attached.host.names(f"{path}/net") is None:
            what = f"{function.driver} holds it, and no interface of it is to be seen"
            yield Sign(what, f"/sys/bus/pci/devices/{address}/net", look="`ip -all netns exec ip link`", layer="net")

    def _nodes(self, function: PciFunction) -> dict[str, str]:
        """Nodes of a function, and of those below it, by their numbers."""
        nodes = self._attached.nodes
        below = {f"char/{one}": nodes.links[one].rpartition("/")[2] for one in nodes.beneath(function.address)}
        return below | self._attached.accelerators.nodes(function.address, function.driver or "")


def _kind(function: PciFunction) -> Kind | None:
    """By what it shows; of a driver that is known, by the driver."""
    driver, code = function.driver or "", function.class_code
    if driver in _DRIVERS or is_qat(driver):
        return _DRIVERS.get(driver, Kind.DRIVER)
    return _SUBCLASSES.get(code) or _SUBCLASSES.get(code >> 8) or _BASES.get(code >> 16)


def _is_parent(function: PciFunction) -> bool:
    return function.bridge or function.driver == VMD


def with_what_is_below(functions: Mapping[PciAddress, PciFunction], *, complete: bool) -> dict[PciAddress, PciFunction]:
    """The same functions, each used where one below it is; in a picture of some only, that is not known of bridges."""
    used: dict[PciAddress, list[Sign]] = {}
    unknown: dict[PciAddress, list[Sign]] = {}
    for address, function in functions.items():
        for above in _above(functions, function):
            used.setdefault(above.address, []).extend(_of_child(address, function.use.used, above.use.used))
            unknown.setdefault(above.address, []).extend(_of_child(address, function.use.unknown, above.use.unknown))
        if not complete and _is_parent(function):
            unknown.setdefault(address, []).append(_UNSEEN)
    changed = used.keys() | unknown.keys()
    return {
        address: replace(function, use=_joined(function.use, used.get(address, ()), unknown.get(address, ())))
        if address in changed
        else function
        for address, function in functions.items()
    }


def _above(functions: Mapping[PciAddress, PciFunction], function: PciFunction) -> Iterator[PciFunction]:
    # A copied tree may have a function that hangs below itself.
    parent, seen = function.parent, {function.address}
    while parent is not None and parent in functions and parent not in seen:
        seen.add(parent)
        yield functions[parent]
        parent = functions[parent].parent


def _of_child(address: PciAddress, signs: Iterable[Sign], known: Collection[Sign]) -> Iterator[Sign]:
    """What is said of a function below; of its disks and interfaces the one above knows by itself."""
    for sign in signs:
        if sign not in known:
            yield replace(sign, what=f"{address} below it: {sign.what}")


def _joined(use: HostUse, used: Iterable[Sign], unknown: Iterable[Sign]) -> HostUse:
    return HostUse((*use.used, *dict.fromkeys(used)), (*use.unknown, *dict.fromkeys(unknown)))
