"""What the kernel remembers of a function's life: no read of these files reaches the device, wakes it or waits for it.

`config`, `current_link_*` and `vpd` ask the device itself, and are not among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hostdev.inventory.host import Host
from hostdev.inventory.sysfs import flag, number

ERRORS = {"correctable": "COR", "nonfatal": "NONFATAL", "fatal": "FATAL"}
"""Files aer_dev_…, and what stands for the sum in each, as TOTAL_ERR_COR."""


@dataclass(frozen=True, slots=True)
class Health:
    """None: the kernel does not say, or it could not be read."""

    power: str | None = None
    """D0, D1, D2, D3hot, D3cold; `unknown` until a driver has enabled it once (before Linux 7), `error`."""
    runtime: str | None = None
    """active, suspended, suspending, resuming, unsupported, error."""
    enabled: int | None = None
    """How often it is enabled: a vfio driver does so for as long as a process has the device open."""
    parity_broken: bool | None = None
    """The kernel ignores parity errors of it."""
    errors: Mapping[str, int] | None = None
    """Since the boot, by severity; only functions that report errors themselves (AER) have counters."""


def read_health(host: Host, path: str) -> Health:
    """Read it of the function at a path."""
    counted = {name: read_errors(host, path, name) for name in ERRORS}
    known = {name: count for name, count in counted.items() if count is not None}
    return Health(
        host.read(f"{path}/power_state"),
        host.read(f"{path}/power/runtime_status"),
        number(host.read(f"{path}/enable")),
        flag(host.read(f"{path}/broken_parity_status")),
        known or None,
    )


def read_errors(host: Host, path: str, name: str) -> int | None:
    """The sum of one severity, which is the last line of its file."""
    for line in reversed((host.read(f"{path}/aer_dev_{name}") or "").splitlines()):
        word, _, count = line.partition(" ")
        if word == f"TOTAL_ERR_{ERRORS[name]}":
            return number(count.strip())
    return None
