"""Machines of the tests with the driver core behind them."""

from __future__ import annotations

from pathlib import Path

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from hostdev.binding.carry import Means
from hostdev.binding.checks import Moment, host_use
from hostdev.binding.journal import Journal
from hostdev.findings.hostuse import DEVICE_IN_USE
from hostdev.inventory.machine import PciFunction
from tests.hostdev.binding.drivercore import DriverCore
from tests.hostdev.machines.fixtures import picture

GPU = "0000:01:00.0"
AUDIO, USB, UCSI = "0000:01:00.1", "0000:01:00.2", "0000:01:00.3"
CARD = (GPU, AUDIO, USB, UCSI)
"""A consumer's graphics card: four functions in one group, the first on vfio-pci already."""
DISK = "0000:1c:00.0"
"""An NVMe disk that nothing uses, on hgx-h100."""


def core(name: str = "consumer-gpu", kill_at: int | None = None) -> DriverCore:
    """A machine, and the kernel that would be behind it."""
    made = DriverCore(picture(name), kill_at=kill_at)
    made.registered.add("vfio-pci")
    return made


def means(kernel: DriverCore, state_dir: Path, *, stop_after: int | None = None) -> Means:
    """What changes are made with there: holders are those of the driver core."""
    count = iter(range(1_000_000))
    return Means(
        Journal(state_dir),
        kernel,
        (host_use, lambda moment: held(kernel, moment)),
        stop=lambda: stop_after is not None and next(count) >= stop_after,
    )


def held(kernel: DriverCore, moment: Moment) -> tuple[Finding, ...]:
    address = moment.function.address
    return (DEVICE_IN_USE.found(str(address), "is held by a VM"),) if address in kernel.held else ()


def functions(kernel: DriverCore, *addresses: str) -> list[PciFunction]:
    """Functions of the machine as it is now."""
    return [kernel.machine.functions[PciAddress.parse(address)] for address in addresses]


def state(kernel: DriverCore) -> dict[str, tuple[str | None, str | None]]:
    """The driver and the override of every function."""
    return {str(a): (one.driver, one.driver_override) for a, one in kernel.machine.functions.items()}
