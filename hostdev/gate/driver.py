"""Rules about the driver that holds a device, and about VFIO on this host: its modules and its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from domxml.finding import Evidence, Finding, Severity
from hostdev.findings.driver import (
    DENYLISTED_DEVICE,
    NOT_BOUND_TO_VFIO,
    REMOVAL_PENDING,
    VARIANT_DRIVER,
    VGPU_TYPE_MISSING,
)
from hostdev.findings.platform import VFIO_CDEV_MISSING, VFIO_MODULE_MISSING, VFIO_NODE_MISSING
from hostdev.gate import rule
from hostdev.gate.iommu import is_noiommu
from hostdev.gate.rule import HOST, Rule, View, hides
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.vfiodrivers import DENYLIST, GENERIC, is_on_vfio, libvirt_takes, vfio_driver

_VGPU_TYPE = "nvidia/current_vgpu_type"


def _find(view: View) -> Iterator[Finding]:
    function = view.function
    # A driver that could not be read may be any.
    if hides(view.machine, view.address, "driver", "vfio-dev"):
        return
    if function.removing:
        yield removal_finding(function)
    elif libvirt_takes(function):
        yield from _variant(view)
    elif function.vendor_vgpu_type == 0:
        yield VGPU_TYPE_MISSING.found(
            view.subject,
            f"{function.driver} has no vGPU type for it",
            evidence=(rule.attribute_evidence(view.address, _VGPU_TYPE, 0), rule.driver_evidence(function)),
        )
    else:
        yield from _denylisted(view)
        yield NOT_BOUND_TO_VFIO.found(view.subject, _instead(function), evidence=tuple(_evidence(function)))


def removal_finding(function: PciFunction) -> Finding:
    """That a removal of the function from its driver has begun, and waits."""
    evidence = (
        rule.attribute_evidence(function.address, "driver", None),
        rule.attribute_evidence(function.address, "uevent", f"DRIVER={function.driver}"),
    )
    what = f"is being taken from {function.driver}, which waits for who has it open"
    return REMOVAL_PENDING.found(str(function.address), what, evidence=evidence)


def _variant(view: View) -> Iterator[Finding]:
    function = view.function
    if function.driver != GENERIC:
        known = vfio_driver(function.driver)
        devices = f", made for {known.devices}{', and can migrate' if known.migrates else ''}" if known else ""
        yield VARIANT_DRIVER.found(
            view.subject,
            f"is on {function.driver}{devices}",
            evidence=(
                rule.driver_evidence(function),
                *(
                    ()
                    if function.vfio_dev is None
                    else (rule.attribute_evidence(view.address, "vfio-dev", function.vfio_dev),)
                ),
            ),
        )


def _instead(function: PciFunction) -> str:
    if function.driver is None and function.driver_override:
        return f"has no driver though driver_override says {function.driver_override}: see dmesg"
    if function.driver is None:
        return "has no driver"
    if vfio_driver(function.driver):
        return f"is on {function.driver}, which libvirt does not know without a vfio-dev directory (Linux 6.1)"
    return f"is on {function.driver}"


def _evidence(function: PciFunction) -> Iterator[Evidence]:
    yield rule.driver_evidence(function)
    if function.driver_override:
        yield rule.attribute_evidence(function.address, "driver_override", function.driver_override)


def is_denylisted(machine: Machine, function: PciFunction) -> bool:
    """Whether vfio-pci, as it is loaded, would refuse to take a function."""
    return (function.vendor, function.device) in DENYLIST and _disable_denylist(machine) not in {"Y", "1"}


def _denylisted(view: View) -> Iterator[Finding]:
    if is_denylisted(view.machine, view.function):
        ids = (view.function.vendor, view.function.device)
        yield DENYLISTED_DEVICE.found(
            view.subject,
            f"vfio-pci refuses {DENYLIST[ids]} ({ids[0]:04x}:{ids[1]:04x})",
            evidence=(
                Evidence(
                    "/sys/module/vfio_pci/parameters/disable_denylist",
                    _disable_denylist(view.machine) or rule.ABSENT,
                ),
            ),
        )


def _disable_denylist(machine: Machine) -> str | None:
    return machine.vfio.modules.get("vfio_pci", {}).get("disable_denylist")


def _driver(view: View) -> str:
    return f"it is on {view.function.driver}"


RULES: tuple[Rule[View], ...] = (Rule("driver", "A vfio driver holds it", _find, _driver),)


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
    unseen = rule.below(machine, MODULES)
    if unseen:
        return unseen
    if not machine.vfio.modules and not machine.iommu.groups_visible:
        # A /sys without even the directory of IOMMU groups is no proof of anything.
        return (rule.not_visible(MODULES, MODULES, "nothing of VFIO is there, nor are IOMMU groups"),)
    evidence = tuple(Evidence(f"{MODULES}/{name}", "(absent)") for name in missing)
    return (VFIO_MODULE_MISSING.found(HOST, f"{' and '.join(missing)} not loaded", evidence=evidence),)


def _modules(machine: Machine) -> str:
    return ", ".join(sorted(machine.vfio.modules)) or "devices are on vfio drivers, and iommufd is there"


def _find_nodes(machine: Machine) -> Iterator[Finding]:
    nodes = machine.vfio.nodes
    if nodes is None:
        why = "not there, as in a container that was given no device"
        yield rule.not_visible(NODES, NODES, why, hint="look on the node itself, when VFIO is loaded")
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
        yield rule.not_visible(view.subject, f"{NODES}/{number}", f"{NODES} is not there, as in a container")
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
        iommufd = ", and a VM that uses the /dev/iommu of this host needs it" if view.machine.vfio.iommufd else ""
        yield VFIO_CDEV_MISSING.found(
            view.subject,
            f"sysfs shows {device}, but {NODES}/devices/{device} is not there{iommufd}",
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
NODE_RULES: tuple[Rule[View], ...] = (Rule("node", "The device can be opened", _find_device_nodes, _device_nodes),)
