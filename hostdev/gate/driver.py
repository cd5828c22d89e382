"""Rules about drivers and resets, and what to type to bind devices to vfio-pci."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from domxml.finding import Evidence, Finding
from hostdev.findings.driver import DENYLISTED_DEVICE, NOT_BOUND_TO_VFIO, VARIANT_DRIVER, VGPU_TYPE_MISSING
from hostdev.gate import rule, unread
from hostdev.gate.hostuse import why_kept
from hostdev.gate.rule import Rule, View
from hostdev.inventory import pciclasses
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.vfiodrivers import DENYLIST, GENERIC, libvirt_takes, vfio_driver


def harm(machine: Machine, function: PciFunction) -> str | None:
    """Why the host may not do without a function; None if it is proved that it can."""
    part = pciclasses.PLATFORM.get(pciclasses.subclass(function.class_code))
    return why_kept(machine, function) or (f"the host would lose its {part}" if part else None)


def bind_command(functions: Iterable[PciFunction]) -> str:
    """One line of shell that binds functions to vfio-pci, each by its address alone."""
    several = list(functions)
    names = " ".join(str(function.address) for function in several)
    unbind = "echo $d >$d/driver/unbind; " if any(function.driver for function in several) else ""
    return (
        f"cd /sys/bus/pci/devices; for d in {names}; do echo {GENERIC} >$d/driver_override; "
        f"{unbind}echo $d >../drivers_probe; done"
    )


def bind(machine: Machine, function: PciFunction) -> str:
    """How to bind one function, or why not to."""
    lost = harm(machine, function)
    return f"{lost}: choose another device" if lost else bind_command([function])


def free_members(machine: Machine, functions: Sequence[PciFunction], room: int) -> str:
    """How to make members of an IOMMU group let go of it, in so many characters, or why not to."""
    for function in functions:
        lost = harm(machine, function)
        if lost:
            return f"{lost}: move the card to a slot of its own IOMMU group"
    bridges = [function for function in functions if function.bridge]
    if bridges:
        first = bridges[0]
        return f"unbind the bridge: echo {first.address} >/sys/bus/pci/drivers/{first.driver}/unbind"
    command = bind_command(functions)
    if len(command) < room:
        return command
    return f"bind these {len(functions)} to {GENERIC} too, each by driver_override and drivers_probe"


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
        yield NOT_BOUND_TO_VFIO.found(
            view.subject, _instead(function), hint=bind(view.machine, function), evidence=tuple(_evidence(function))
        )


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


def _denylisted(view: View) -> Iterator[Finding]:
    name = DENYLIST.get((view.function.vendor, view.function.device))
    if name and not _denylist_off(view.machine):
        ids = f"{view.function.vendor:04x}:{view.function.device:04x}"
        yield DENYLISTED_DEVICE.found(
            view.subject,
            f"vfio-pci refuses {name} ({ids})",
            evidence=(Evidence("/sys/module/vfio_pci/parameters/disable_denylist", "N"),),
        )


def _denylist_off(machine: Machine) -> bool:
    return machine.vfio.modules.get("vfio_pci", {}).get("disable_denylist") in {"Y", "1"}


def _driver(view: View) -> str:
    return f"it is on {view.function.driver}"


RULES: tuple[Rule[View], ...] = (Rule("driver", "A vfio driver holds it", _find, _driver),)
