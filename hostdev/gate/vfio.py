"""Rules about the kernel's VFIO on this host: modules and device nodes, of the host and of one device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from domxml.finding import Evidence, Finding, Severity
from hostdev.findings.platform import VFIO_CDEV_MISSING, VFIO_MODULE_MISSING, VFIO_NODE_MISSING
from hostdev.gate import unread
from hostdev.gate.iommu import is_noiommu
from hostdev.gate.rule import HOST, Rule, View
from hostdev.inventory.machine import Machine
from hostdev.inventory.vfiodrivers import is_on_vfio, vfio_driver

MODULES = "/sys/module"
NODES = "/dev/vfio"
CONTAINER_NODE = "vfio"
_TYPE1, _SPAPR = "vfio_iommu_type1", "vfio_iommu_spapr_tce"


def _missing_modules(machine: Machine) -> tuple[str, ...]:
    loaded = machine.vfio.modules
    driver = any(vfio_driver(name) for name in loaded) or any(map(is_on_vfio, machine.functions.values()))
    backend = machine.vfio.iommufd or any(name in loaded for name in (_TYPE1, _SPAPR))
    wanted = _SPAPR if machine.kernel.architecture.startswith("ppc64") else _TYPE1
    return (*(() if driver else ("vfio_pci",)), *(() if backend else (wanted,)))


def _find_modules(machine: Machine) -> Iterable[Finding]:
    missing = _missing_modules(machine)
    if not missing:
        return ()
    unseen = unread.below(machine, MODULES)
    if unseen:
        return unseen
    if not machine.vfio.modules and not machine.iommu.groups_visible:
        # A /sys without even the directory of IOMMU groups is no proof of anything.
        return (unread.not_visible(MODULES, MODULES, "nothing of VFIO is there, nor are IOMMU groups"),)
    evidence = tuple(Evidence(f"{MODULES}/{name}", "(absent)") for name in missing)
    return (VFIO_MODULE_MISSING.found(HOST, f"{' and '.join(missing)} not loaded", evidence=evidence),)


def _modules(machine: Machine) -> str:
    return ", ".join(sorted(machine.vfio.modules)) or "devices are on vfio drivers, and iommufd is there"


def _find_nodes(machine: Machine) -> Iterator[Finding]:
    nodes = machine.vfio.nodes
    if nodes is None:
        why = "not there, as in a container that was given no device"
        yield unread.not_visible(NODES, NODES, why, hint="look on the node itself, when VFIO is loaded")
    elif CONTAINER_NODE not in nodes:
        yield VFIO_NODE_MISSING.found(
            HOST,
            f"{NODES}/{CONTAINER_NODE} is not there",
            hint="modprobe vfio",
            severity=Severity.WARNING if machine.vfio.iommufd else None,
            evidence=(_listing(nodes),),
        )


def _nodes(machine: Machine) -> str:
    iommufd = ", and /dev/iommu" if machine.vfio.iommufd else ""
    return f"{NODES}/{CONTAINER_NODE} is there{iommufd}"


def _find_device_nodes(view: View) -> Iterator[Finding]:
    nodes, number = view.machine.vfio.nodes, view.function.group
    if not _has_nodes(view):
        return
    if nodes is None:
        yield unread.not_visible(view.subject, f"{NODES}/{number}", f"{NODES} is not there, as in a container")
        return
    device = view.function.vfio_dev
    by_device = device is not None and f"devices/{device}" in nodes
    if str(number) not in nodes:
        yield VFIO_NODE_MISSING.found(
            view.subject,
            f"{NODES}/{number} is not there" + (f", only {NODES}/devices/{device}" if by_device else ""),
            severity=Severity.WARNING if by_device and view.machine.vfio.iommufd else None,
            evidence=(_listing(nodes),),
        )
    if device is not None and not by_device:
        yield VFIO_CDEV_MISSING.found(
            view.subject,
            f"sysfs shows {device}, but {NODES}/devices/{device} is not there",
            severity=Severity.WARNING if view.machine.vfio.iommufd else None,
            evidence=(_listing(nodes),),
        )


def _device_nodes(view: View) -> str | None:
    return f"{NODES}/{view.function.group} is there" if _has_nodes(view) else None


def _has_nodes(view: View) -> bool:
    bare = view.group is not None and is_noiommu(view.group)
    return is_on_vfio(view.function) and view.function.group is not None and not bare


def _listing(nodes: tuple[str, ...]) -> Evidence:
    return Evidence(NODES, " ".join(sorted(nodes)) or "(empty)")


HOST_RULES: tuple[Rule[Machine], ...] = (
    Rule("modules", "VFIO is loaded", _find_modules, _modules),
    Rule("nodes", "VFIO can be opened", _find_nodes, _nodes),
)
DEVICE_RULES: tuple[Rule[View], ...] = (Rule("node", "The device can be opened", _find_device_nodes, _device_nodes),)
