"""Which drivers a kernel has, and which of its modules are made for a function: by modules.alias."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from domxml.pciaddress import PciAddress
from hostdev.inventory.functions import DRIVERS
from hostdev.inventory.host import Host
from hostdev.inventory.machine import PciFunction
from hostdev.inventory.vfiodrivers import GENERIC, vfio_driver

MODULES = "lib/modules"
MAX_SIZE = 16 << 20
"""The list of a distribution's kernel has one to three MiB."""
_PCI, _VFIO = "pci:", "vfio_pci:"
_GENERIC_MODULE = GENERIC.replace("-", "_")


@dataclass(frozen=True, slots=True)
class Drivers:
    """The drivers of a kernel, as far as they could be looked up; `registered` is None where they were not seen."""

    registered: frozenset[str] | None = None
    variants: Mapping[PciAddress, tuple[str, ...]] = field(default_factory=dict)
    """Drivers that offer a function to VMs and are made for it, the closest first; vfio-pci is none of them."""
    modules: Mapping[PciAddress, tuple[str, ...]] = field(default_factory=dict)
    """Modules with a driver of the host for a function."""
    looked_up: bool = False
    """Whether modules.alias could be read."""


UNKNOWN = Drivers()


def find_drivers(host: Host, release: str, functions: Iterable[PciFunction]) -> Drivers:
    """Look up the modules for these functions in the list of the kernel that runs."""
    registered = host.names(DRIVERS)
    names = None if registered is None else frozenset(registered)
    directory = f"{MODULES}/{release}"
    lines = host.lines(f"{directory}/modules.alias", MAX_SIZE) if release else None
    if lines is None:
        return Drivers(names)
    built_in = host.lines(f"{directory}/modules.builtin.modinfo", MAX_SIZE) or []
    rows = [*_of_modules(lines), *_of_kernel("".join(built_in))]
    found = {function.address: _matching(rows, function) for function in functions}
    return Drivers(
        names,
        {address: tuple(_variants(patterns)) for address, patterns in found.items()},
        {address: tuple(_hosts(patterns)) for address, patterns in found.items()},
        looked_up=True,
    )


_Row = tuple[str, str]
"""A pattern and a module."""


def _of_modules(lines: Iterable[str]) -> Iterator[_Row]:
    for line in lines:
        if line.startswith(("alias pci:", "alias vfio_pci:")):
            _, pattern, module = line.split(" ", 2)
            yield pattern, module.strip()


def _of_kernel(text: str) -> Iterator[_Row]:
    for entry in text.split("\0"):
        name, _, pattern = entry.partition("=")
        if pattern.startswith((_PCI, _VFIO)) and name.endswith(".alias"):
            yield pattern, name.removesuffix(".alias")


def _matching(rows: Iterable[_Row], function: PciFunction) -> list[_Row]:
    name = _modalias(function)
    vendors = (f"v{function.vendor:08X}", "v*")
    # A pattern costs more to match than to look at: there are tens of thousands.
    near = (row for row in rows if row[0].partition(":")[2].startswith(vendors))
    return [row for row in near if fnmatchcase(f"{row[0].partition(':')[0]}:{name}", row[0])]


def _modalias(function: PciFunction) -> str:
    code = function.class_code
    return (
        f"v{function.vendor:08X}d{function.device:08X}"
        f"sv{function.subsystem_vendor or 0:08X}sd{function.subsystem_device or 0:08X}"
        f"bc{code >> 16:02X}sc{code >> 8 & 0xFF:02X}i{code & 0xFF:02X}"
    )


def _variants(rows: Iterable[_Row]) -> Iterator[str]:
    """By how closely they say which device they mean."""
    own = [row for row in rows if row[0].startswith(_VFIO) and row[1] != _GENERIC_MODULE]
    for _, module in sorted(own, key=lambda row: row[0].count("*")):
        known = vfio_driver(module)
        yield known.name if known else module


def _hosts(rows: Iterable[_Row]) -> Iterator[str]:
    modules = (module for pattern, module in rows if pattern.startswith(_PCI) and not vfio_driver(module))
    yield from dict.fromkeys(modules)
