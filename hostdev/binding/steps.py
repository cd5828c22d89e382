"""The steps of which every change of a driver is made."""

from __future__ import annotations

from collections.abc import Iterator

from domxml.pciaddress import PciAddress
from hostdev.binding.effects import CLEAR, MODPROBE, Step
from hostdev.gate.rule import attribute_path

DRIVERS = "/sys/bus/pci/drivers"
PROBE = "/sys/bus/pci/drivers_probe"
OVERRIDE = "driver_override"
NONE = ""
"""What is expected of a link or an attribute that shall say nothing."""


def load(module: str, address: PciAddress) -> Step:
    return Step(MODPROBE, module, f"{module} has to be loaded: the kernel does not do it for a probe", str(address))


def override(address: PciAddress, driver: str | None, why: str = "") -> Step:
    """Say which driver alone may have a function; None: whichever fits."""
    why = why or (f"only {driver} may take it from now on" if driver else "any driver that fits may take it again")
    return Step(attribute_path(address, OVERRIDE), driver or CLEAR, why, str(address), expect=driver or NONE)


def unbind(address: PciAddress, driver: str) -> Step:
    """Take a function from the driver that was seen, by its name: not from one that has it meanwhile."""
    return Step(f"{DRIVERS}/{driver}/unbind", str(address), f"{driver} lets it go", str(address), expect=NONE)


def probe(address: PciAddress, driver: str | None) -> Step:
    """Let the kernel look for a driver; None: whichever takes it."""
    why = f"{driver} takes it" if driver else "a driver of the host takes it, if one does"
    return Step(PROBE, str(address), why, str(address), expect=driver)


def is_of_driver(step: Step) -> bool:
    """Whether it takes a function from a driver, or has the kernel look for one."""
    return step.write == PROBE or step.write.startswith(f"{DRIVERS}/")


def move(address: PciAddress, driver: str | None, override_now: str | None, goal: str) -> Iterator[Step]:
    """From the driver that it is on to waiting for another; the probe comes after all of a group are here."""
    if override_now != goal:
        yield override(address, goal)
    if driver is not None:
        yield unbind(address, driver)
