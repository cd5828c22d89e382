"""Rules about the driver that holds a device."""

from __future__ import annotations

from collections.abc import Iterator

from domxml.finding import Evidence, Finding
from hostdev.findings.driver import DENYLISTED_DEVICE, NOT_BOUND_TO_VFIO, VARIANT_DRIVER, VGPU_TYPE_MISSING
from hostdev.gate import rule, unread
from hostdev.gate.rule import Rule, View
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.vfiodrivers import DENYLIST, GENERIC, libvirt_takes, vfio_driver

_VGPU_TYPE = "nvidia/current_vgpu_type"


def _find(view: View) -> Iterator[Finding]:
    function = view.function
    # A driver that could not be read may be any.
    if unread.hides(view.machine, view.address, "driver", "vfio-dev"):
        return
    if libvirt_takes(function):
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
