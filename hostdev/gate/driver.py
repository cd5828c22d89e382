"""Rules about the driver that holds a device."""

from __future__ import annotations

from collections.abc import Iterator

from domxml.finding import Evidence, Finding
from hostdev.catalogue.driver import DENYLISTED_DEVICE, NOT_BOUND_TO_VFIO, VARIANT_DRIVER, VGPU_TYPE_MISSING
from hostdev.gate import evidence, unread
from hostdev.gate.binding import bind
from hostdev.gate.rule import Rule, View
from hostdev.machine import Machine, PciFunction
from hostdev.vfiodrivers import DENYLIST, GENERIC, libvirt_takes, vfio_driver

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
            evidence=(evidence.attribute(view.address, _VGPU_TYPE, 0), evidence.driver(function)),
        )
    else:
        yield from _denylisted(view)
        yield NOT_BOUND_TO_VFIO.found(
            view.subject, _instead(function), hint=bind(function), evidence=tuple(_evidence(function))
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
                evidence.driver(function),
                *(
                    ()
                    if function.vfio_dev is None
                    else (evidence.attribute(view.address, "vfio-dev", function.vfio_dev),)
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
    yield evidence.driver(function)
    if function.driver_override:
        yield evidence.attribute(function.address, "driver_override", function.driver_override)


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
