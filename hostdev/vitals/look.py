"""Gathers the signs of devices from a host's files: nothing that reaches a device, wakes it or waits for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from domxml.finding import Finding
from domxml.source import HostDevice, Mdev
from hostdev.findings.driver import NOT_BOUND_TO_VFIO, REMOVAL_PENDING
from hostdev.findings.group import GROUP_NOT_VIABLE
from hostdev.gate.check import verdict_of
from hostdev.gate.device import model_findings
from hostdev.holders import processes
from hostdev.holders.claim import RANK, Claim, How
from hostdev.holders.domains import domain_claims
from hostdev.inventory.bars import parse_resource
from hostdev.inventory.functions import DEVICES
from hostdev.inventory.health import Health, read_health
from hostdev.inventory.host import Host
from hostdev.inventory.interrupts import read_interrupts, vectors_of
from hostdev.inventory.kernellog import KernelLog, read_kernel_log
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.vfiodrivers import is_on_vfio
from hostdev.vitals.boottime import class_of_boot
from hostdev.vitals.signs import Held, Signs

TICKS = 100
"""A second of /proc/PID/stat, on every architecture that has PCI."""
_START = 19
"""The field of /proc/PID/stat behind the name."""
_PINNED = ("VmPin:", "VmLck:")
WRONG_WHILE_HELD = frozenset({REMOVAL_PENDING.code, GROUP_NOT_VIABLE.code, NOT_BOUND_TO_VFIO.code})
_GROUP_NODE = ("/dev/vfio/noiommu-", *(f"/dev/vfio/{digit}" for digit in range(10)))
_PROCESS = frozenset({How.OPEN, How.TOLD})


class Around(NamedTuple):
    """What is read once for all devices."""

    now: float
    interrupts: Mapping[str, Counter[str]] | None
    log: KernelLog


def look_around(host: Host, *, table: bool = True) -> Around:
    """Read what all devices have in common; without the table of interrupts, megabytes on a large host, sysfs tells."""
    return Around(read_uptime(host), read_interrupts(host) if table else None, read_kernel_log(host))


def read_uptime(host: Host) -> float:
    """Seconds since the boot."""
    try:
        return float((host.read("proc/uptime") or "").split()[0])
    except (IndexError, ValueError):
        return 0.0


def signs_of(host: Host, machine: Machine, device: HostDevice, around: Around, held: Held) -> Signs:
    """Gather the signs of one device that is held in this way."""
    if isinstance(device, Mdev):
        mdev = machine.mdevs.get(device.uuid)
        function = machine.functions.get(mdev.parent) if mdev else None
    else:
        function = machine.functions.get(device)
    if function is None:
        return _bare(device, around, held)
    address, mediated = function.address, function.address != device
    return Signs(
        device,
        around.now,
        function,
        held,
        read_health(host, f"{DEVICES}/{address}"),
        None if mediated else vectors_of(host, address, around.interrupts),
        around.log,
        class_of_boot(_largest_bar(host, function), held.memory, machine.kernel.version),
        () if mediated else tuple(_gate(machine, function, held)),
        model_findings(machine, function),
    )


def _largest_bar(host: Host, function: PciFunction) -> int | None:
    bars = function.bars or parse_resource(host.read(f"{DEVICES}/{function.address}/resource") or "")
    return None if bars is None else max((bar.size for bar in bars.own), default=0)


def _bare(device: HostDevice, around: Around, held: Held) -> Signs:
    boot = class_of_boot(None, held.memory, (0, 0))
    return Signs(device, around.now, None, held, Health(), None, around.log, boot)


def _gate(machine: Machine, function: PciFunction, held: Held) -> Iterator[Finding]:
    """Its driver and its group as they should be of a device that a process has open."""
    if not (held.claims or function.removing):
        return
    for finding in verdict_of(machine, function.address).findings:
        if finding.code in WRONG_WHILE_HELD and (held.claims or finding.code == REMOVAL_PENDING.code):
            yield finding


def find_held(host: Host, machine: Machine, devices: Iterable[HostDevice]) -> Mapping[HostDevice, Held]:
    """Ask processes, libvirt's files and the kernel's own count who has devices open."""
    marks = {device: found for device in devices if (found := _marks(host, machine, device)) is not None}
    seen = processes.ask_for_each(host, marks)
    there = bool(processes.processes(host))
    return {device: _held_by(host, machine, device, seen[device], there=there) for device in marks}


def _marks(host: Host, machine: Machine, device: HostDevice) -> processes.Marks | None:
    if isinstance(device, Mdev):
        mdev = machine.mdevs.get(device.uuid)
        return processes.marks_of_mdev(host, device.uuid, mdev.group if mdev else None)
    function = machine.functions.get(device)
    return processes.marks_of(host, function) if function else None


def _held_by(host: Host, machine: Machine, device: HostDevice, seen: processes.Seen, *, there: bool) -> Held:
    complete = there and not seen.hidden
    function = None if isinstance(device, Mdev) else machine.functions.get(device)
    if function is None:
        return _held(host, seen.claims, complete=complete)
    idle = _is_idle(host, function)
    claims = (*seen.claims, *domain_claims(host, function.address), *processes.enabled_claims(host, function))
    if idle:
        # The node of a group is open for whichever of its members the process has.
        claims = tuple(one for one in claims if not (one.how is How.OPEN and one.where.startswith(_GROUP_NODE)))
    return _held(host, claims, complete=complete or idle)


def _is_idle(host: Host, function: PciFunction) -> bool:
    """A vfio driver enables a device for as long as it is open, by whichever process."""
    return is_on_vfio(function) and host.read(f"{DEVICES}/{function.address}/enable") == "0"


def _held(host: Host, claims: Iterable[Claim], *, complete: bool) -> Held:
    ranked = sorted(dict.fromkeys(claims), key=lambda claim: (RANK[claim.how], claim.pid or 0, claim.who))
    pids = sorted({claim.pid for claim in ranked if claim.pid and claim.how in _PROCESS})
    starts = [start for pid in pids if (start := read_start(host, pid)) is not None]
    pinned = [size for pid in pids if (size := read_pinned(host, pid)) is not None]
    # A second process that has it open, such as a monitor, says nothing about the VM's age.
    return Held(tuple(ranked), complete, min(starts, default=None), max(pinned, default=None))


def read_start(host: Host, pid: int) -> float | None:
    """When a process was started, in seconds since the boot."""
    fields = (host.text(f"proc/{pid}/stat") or "").rpartition(")")[2].split()
    ticks = fields[_START] if len(fields) > _START else ""
    return int(ticks) / TICKS if ticks.isdecimal() else None


def read_pinned(host: Host, pid: int) -> int | None:
    """Bytes of memory that are pinned or locked, as VFIO does with all of a guest's."""
    rows = (line.split() for line in (host.text(f"proc/{pid}/status") or "").splitlines())
    sizes = [int(row[1]) << 10 for row in rows if len(row) > 1 and row[0] in _PINNED and row[1].isdecimal()]
    return max(sizes, default=None)
