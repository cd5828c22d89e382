"""A node as a NodeState file: what is on vfio drivers, which VFs there are, what the kernel was booted with. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domxml.pciaddress import PciAddress
from hostdev.binding.bootline import Boot, exported_options, exported_parameters
from hostdev.binding.drift import Places, same_driver
from hostdev.binding.state import Match
from hostdev.inventory import pciids
from hostdev.inventory.machine import Machine, PciFunction, Role
from hostdev.inventory.vfiodrivers import is_on_vfio
from hostdev.printing.documents import Document, document


def export(machine: Machine, boot: Boot, name: str = "", *, by_path: bool = False) -> Document:
    """Devices on vfio drivers, PFs that have VFs, and what of the boot decides about passthrough."""
    places = Places(machine)
    pfs = [one for _, one in sorted(machine.functions.items()) if one.role is Role.PF and one.num_vfs]
    common = {pf.address: _driver_of_all(machine, pf) for pf in pfs}
    single = (one for _, one in sorted(machine.functions.items()) if _is_single(one, common))
    spec: dict[str, Any] = {
        "devices": [_device(places, function, by_path=by_path) for function in single],
        "virtualFunctions": [_vfs(places, pf, common[pf.address], by_path=by_path) for pf in pfs],
        "kernel": dict(_kernel(boot)),
    }
    return document(
        "NodeState", metadata={"name": name or "node"}, spec={key: value for key, value in spec.items() if value}
    )


def _is_single(function: PciFunction, common: dict[PciAddress, str]) -> bool:
    """Whether it needs an entry of its own, and is not one of VFs that are all alike."""
    covered = function.physfn is not None and same_driver(common.get(function.physfn), function.driver)
    return is_on_vfio(function) and not function.bridge and not covered


def _driver_of_all(machine: Machine, pf: PciFunction) -> str:
    """The vfio driver that all VFs of a PF have; empty where they differ, or have another."""
    vfs = [machine.functions.get(address) for address in pf.virtfns]
    drivers = {vf.driver or "" for vf in vfs if vf is not None and is_on_vfio(vf)}
    return drivers.pop() if len(drivers) == 1 and all(vf is not None and is_on_vfio(vf) for vf in vfs) else ""


def _device(places: Places, function: PciFunction, *, by_path: bool) -> Document:
    return {"match": _match(places, function, by_path=by_path), "driver": function.driver}


def _vfs(places: Places, pf: PciFunction, driver: str, *, by_path: bool) -> Document:
    found: Document = {"match": _match(places, pf, by_path=by_path), "count": pf.num_vfs}
    return {**found, "driver": driver} if driver else found


def _match(places: Places, function: PciFunction, *, by_path: bool) -> Document:
    path = places.paths.get(function.address, "") if by_path else ""
    place = {"path": path} if path and places.at(Match(path=path)) else {"address": str(function.address)}
    return {**place, "id": pciids.ids(function)}


def _kernel(boot: Boot) -> Iterator[tuple[str, Any]]:
    parameters = exported_parameters(boot.cmdline)
    if parameters:
        yield "parameters", list(parameters)
    options = exported_options(boot)
    if options:
        yield "moduleOptions", {module: dict(values) for module, values in options.items()}
