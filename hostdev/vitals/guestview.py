"""A device as libvirt and QEMU show it in the guest: where it should be and is, and which BARs have an address."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from domxml.document import Domain, Element
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice

_UNASSIGNED = frozenset({-1, 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF, 0})
_ROM = 6
_ROOTS = frozenset({"pcie-root", "pci-root"})
_HEX = re.compile(r"0x[0-9a-fA-F]{1,8}|[0-9]{1,8}", re.ASCII)
Path = tuple[str, ...]
"""From the root bus down: which root bus, then slot and function at each port. The same under every numbering."""


class GuestBar(NamedTuple):
    """A BAR, and where the guest has it; None: nowhere, or its decoding is off."""

    register: int
    size: int
    address: int | None
    io: bool
    prefetchable: bool


class QemuView(NamedTuple):
    """What QEMU itself says."""

    path: Path | None
    """None: it has no such device."""
    address: str = ""
    """By the bus numbers that the guest dealt out."""
    bars: tuple[GuestBar, ...] = ()
    placed: bool | None = None
    """Whether its memory has room in the guest's address space; None: cannot be told from here."""
    numbered: bool = False
    """The guest's firmware has dealt out bus numbers or addresses, so that it has been there."""


class GuestView(NamedTuple):
    """What libvirt says, and QEMU where it was asked."""

    domain: str
    state: str
    """running, paused, …"""
    reason: str = ""
    alias: str = ""
    plan: str = ""
    """The guest address in the domain's XML."""
    path: Path | None = None
    """The way there; None where the XML does not tell it."""
    qemu: QemuView | None = None


def planned_place(domain: Domain, device: HostDevice) -> tuple[str, str, Path | None]:
    """Alias, guest address and path of a device by its domain's XML; its path where all ports above are in it."""
    held = domain.host_devices.get(device)
    address = None if held is None else held.element.find("address[@type='pci']")
    if held is None or address is None:
        return ("" if held is None else held.alias), "", None
    return held.alias, str(PciAddress.from_attributes(address.attrib)), _planned_path(domain, address)


def _planned_path(domain: Domain, address: Element) -> Path | None:
    controllers = {_number(one.get("index")): one for one in domain.devices.iterfind("controller[@type='pci']")}
    steps: list[str] = []
    at: Element | None = address
    for _ in range(len(controllers) + 1):
        if at is None:
            return None
        steps.append(f"{_number(at.get('slot')) or 0:02x}.{_number(at.get('function')) or 0:x}")
        controller = controllers.get(_number(at.get("bus")))
        model = "" if controller is None else controller.get("model", "")
        if model in _ROOTS:
            return ("root", *reversed(steps)) if _number(at.get("bus")) == 0 else None
        # QEMU puts a bridge of its own below an expander bus of i440fx, and s390x has buses of its own kind.
        if controller is None or model == "pci-expander-bus":
            return None
        if model == "pcie-expander-bus":
            target = controller.find("target")
            number = None if target is None else _number(target.get("busNr"))
            return None if number is None else (f"root {number:02x}", *reversed(steps))
        at = controller.find("address[@type='pci']")
    return None


def _number(text: str | None) -> int | None:
    return int(text, 0) if text and _HEX.fullmatch(text) else None


class _Found(NamedTuple):
    device: Mapping[str, Any]
    path: Path
    bridge: Mapping[str, Any] | None


def read_query_pci(answer: object, alias: str) -> QemuView:
    """Find a device by its alias in what QEMU answers to `query-pci`; it comes from a process that a guest may own."""
    found = list(_walk(answer))
    numbered = any(_is_numbered(one.device) for one in found)
    mine = next((one for one in found if one.device.get("qdev_id") == alias), None)
    if mine is None:
        return QemuView(None, numbered=numbered)
    bars = tuple(_bars(mine.device))
    bus, slot, function = (_whole(mine.device.get(key)) for key in ("bus", "slot", "function"))
    return QemuView(
        mine.path,
        f"0000:{bus & 0xFF:02x}:{slot & 0x1F:02x}.{function & 7:x}",
        bars,
        _is_placed(bars, mine.bridge),
        numbered,
    )


def _walk(answer: object) -> Iterator[_Found]:
    for root in answer if isinstance(answer, list) else ():
        if isinstance(root, dict):
            number = _whole(root.get("bus"))
            yield from _below(root.get("devices"), (f"root {number:02x}" if number else "root",), None, 0)


def _below(devices: object, path: Path, bridge: Mapping[str, Any] | None, depth: int) -> Iterator[_Found]:
    for one in devices if isinstance(devices, list) and depth < 32 else ():
        if not isinstance(one, dict):
            continue
        here = (*path, f"{_whole(one.get('slot')):02x}.{_whole(one.get('function')):x}")
        yield _Found(one, here, bridge)
        below = one.get("pci_bridge")
        if isinstance(below, dict):
            yield from _below(below.get("devices"), here, below, depth + 1)


def _is_numbered(device: Mapping[str, Any]) -> bool:
    below = device.get("pci_bridge")
    bus = below.get("bus") if isinstance(below, dict) else None
    return bool(isinstance(bus, dict) and _whole(bus.get("secondary"))) or any(
        bar.address is not None for bar in _bars(device)
    )


def _bars(device: Mapping[str, Any]) -> Iterator[GuestBar]:
    regions = device.get("regions")
    for one in regions if isinstance(regions, list) else ():
        if isinstance(one, dict) and 0 <= _whole(one.get("bar"), -1) < _ROM:
            address = _whole(one.get("address"), -1)
            yield GuestBar(
                _whole(one.get("bar")),
                _whole(one.get("size")),
                None if address in _UNASSIGNED else address,
                one.get("type") == "io",
                one.get("prefetch") is True,
            )


def _is_placed(bars: Sequence[GuestBar], bridge: Mapping[str, Any] | None) -> bool | None:
    """A BAR without an address may have one all the same: QEMU tells none while decoding is off.

    Then the port's window tells: where it is smaller than the BARs they have no place.
    """
    if not bars:
        return None
    missing = [bar for bar in bars if bar.address is None and not bar.io]
    if not missing:
        return True
    bus = bridge.get("bus") if bridge else None
    if not isinstance(bus, dict):
        return None
    room = sum(_room(bus.get(key)) for key in ("prefetchable_range", "memory_range"))
    # A port keeps room for hotplug, too: enough of it proves nothing.
    return False if room < sum(bar.size for bar in missing) else None


def _room(window: object) -> int:
    if not isinstance(window, dict):
        return 0
    base, limit = (_whole(window.get(key)) for key in ("base", "limit"))
    return limit - base + 1 if limit > base else 0


def _whole(value: object, otherwise: int = 0) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise
