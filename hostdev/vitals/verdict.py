"""From signs to a verdict: trouble first, then what is seen, then time; what cannot be seen stays unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from domxml.finding import Evidence, Finding
from domxml.text import listed
from hostdev.findings.device import DEVICE_OFF_BUS
from hostdev.findings.vitals import (
    BUS_ERROR,
    GUEST_ADDRESS_DIFFERS,
    GUEST_BAR_UNASSIGNED,
)
from hostdev.gate.device import power_findings
from hostdev.gate.rule import attribute_evidence, attribute_path
from hostdev.inventory.interrupts import FILE, Vectors
from hostdev.inventory.machine import PciFunction
from hostdev.inventory.vfiodrivers import is_on_vfio
from hostdev.vitals.guestview import GuestView
from hostdev.vitals.kernelwords import Said, evidence_of, read_words
from hostdev.vitals.signs import Signs, Verdict, Vital

PAUSED = frozenset({"paused", "shut off", "crashed", "suspended by its guest"})
_ASLEEP = frozenset({"D1", "D2", "D3hot", "D3cold"})
TABLE = f"/{FILE}"
MARGIN = 1.0
"""Seconds by which clocks of the log and of processes may differ."""


def judge(signs: Signs) -> Vital:
    """Make the verdict about one device."""
    said = _said(signs)
    findings = tuple(_trouble(signs, said))
    verdict, why, fine = _verdict(signs, findings)
    unknown = tuple(_unknown(signs))
    return Vital(signs, verdict, why, fine, tuple(_evidence(signs, said)), unknown, findings)


def _verdict(signs: Signs, findings: tuple[Finding, ...]) -> tuple[Verdict, str, str]:
    held = signs.held
    if findings:
        return Verdict.TROUBLE, findings[0].message, ""
    if not held.claims:
        if held.complete:
            return Verdict.NOT_HELD, _idle(signs), ""
        return Verdict.UNKNOWN, "no process was seen to have it open, and not all could be looked at", ""
    if not signs.mediated and signs.vectors is None:
        return Verdict.UNKNOWN, "it is open; which interrupts are set up is not to be seen here", ""
    arrived = _arrived(signs.vectors)
    return (Verdict.ARRIVED, arrived, "") if arrived else _without_sign(signs)


def _arrived(vectors: Vectors | None) -> str:
    """What shows that a driver in the guest has it; empty where nothing does."""
    if vectors and vectors.messages:
        return f"a driver in the guest has set up interrupts: {_counts(vectors.kinds)}"
    if vectors and vectors.allocated:
        unused = ", none in use, as of an interface that is down" if vectors.source == TABLE else ""
        return f"a driver in the guest has turned on its interrupts: {_counts(vectors.allocated)}{unused}"
    return ""


def _counts(kinds: Mapping[str, int]) -> str:
    return " and ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()) if count)


def _idle(signs: Signs) -> str:
    function = signs.function
    if signs.mediated or function is None or function.driver is None or is_on_vfio(function):
        return "no process has it open"
    return f"no VM can have it: it is on {function.driver}, a driver of the host"


def _without_sign(signs: Signs) -> tuple[Verdict, str, str]:
    age = signs.age
    if signs.mediated:
        why = "it is open; of a mediated device the host shows no more"
        return Verdict.NO_SIGN, why, "its interrupts are made by the driver of its parent, and stand in no table"
    if age is None:
        return Verdict.UNKNOWN, "it is open and no interrupt is set up; since when it is open is not known", ""
    if signs.guest is not None and signs.guest.state in PAUSED:
        return Verdict.NOT_YET, f"the domain {signs.guest.domain} is {signs.guest.state}: its guest does nothing", ""
    if age < signs.boot.seconds:
        why = f"open for {_duration(age)}; a boot of this kind takes {signs.boot.name}: {signs.boot.why}"
        return Verdict.NOT_YET, why, ""
    why = f"open for {_duration(age)}, and no interrupt was ever seen set up by a driver in the guest"
    return Verdict.NO_SIGN, why, "; ".join(_fine(signs))


def _fine(signs: Signs) -> Iterator[str]:
    """Why nothing may be wrong."""
    if signs.vectors and signs.vectors.kinds.get("intx"):
        yield "a device with its legacy interrupt alone shows no more than QEMU's own set-up"
    if signs.health.power in _ASLEEP:
        yield f"it is in {signs.health.power}, as a guest that put it to sleep leaves it"
    yield "a polled driver (DPDK, SPDK), or one that uses the legacy interrupt, turns on none"
    yield "neither has Windows before its driver is installed, nor a guest without a driver for it"
    if signs.guest is None:
        yield "a paused guest looks the same (--connect tells)"


def _said(signs: Signs) -> Said:
    """What the log says since the VM has it; of a device that none has, only whether it is there at all."""
    function = signs.function
    address = None if signs.mediated or function is None else function.address
    since = signs.held.since
    if since is None and not (signs.health.power in {"D3cold", "error"} and not signs.held.claims):
        return Said()
    lines = (line for line in signs.log.lines if since is None or line.seconds >= since - MARGIN)
    said = read_words(str(signs.device), lines, address, None if address is None or not function else function.parent)
    if since is not None:
        return said
    return Said(tuple(one for one in said.findings if one.code == DEVICE_OFF_BUS.code), said.others)


def _trouble(signs: Signs, said: Said) -> Iterator[Finding]:
    yield from signs.gate
    yield from _power(signs, said)
    yield from said.findings
    if signs.rises and not any(one.code == BUS_ERROR.code for one in said.findings):
        yield _counted(signs)
    if signs.held.claims:
        yield from _guest(signs)


def _counted(signs: Signs) -> Finding:
    counts = " and ".join(f"{count} {name}" for name, count in signs.rises)
    address = signs.function.address if signs.function else None
    evidence = tuple(
        attribute_evidence(address, f"aer_dev_{name}", f"{count} more") for name, count in signs.rises if address
    )
    return BUS_ERROR.found(str(signs.device), f"reported errors while it was looked at: {counts}", evidence=evidence)


def _power(signs: Signs, said: Said) -> Iterator[Finding]:
    """What the power state says, where the log has not said it in more words."""
    codes = {one.code for one in said.findings}
    if signs.function is not None:
        seen = replace(signs.function, health=signs.health)
        yield from (one for one in power_findings(str(signs.device), seen) if one.code not in codes)


def _guest(signs: Signs) -> Iterator[Finding]:
    guest = signs.guest
    qemu = guest.qemu if guest else None
    if guest is None or qemu is None or not guest.alias:
        return
    device, where = str(signs.device), f"query-pci of {guest.domain}"
    if qemu.path is None:
        yield GUEST_ADDRESS_DIFFERS.found(
            device, f"QEMU has no device {guest.alias} any more", evidence=(Evidence(where, "(absent)"),)
        )
        return
    if guest.path is not None and guest.path != qemu.path:
        text = f"is planned at {guest.plan} ({_way(guest.path)}), and QEMU has it at {_way(qemu.path)}"
        yield GUEST_ADDRESS_DIFFERS.found(device, text, evidence=(Evidence(where, _way(qemu.path)),))
    missing = [bar for bar in qemu.bars if bar.address is None and not bar.io]
    if qemu.placed is False and qemu.numbered and guest.state not in PAUSED:
        sizes = listed(f"BAR {bar.register} of {_size(bar.size)}" for bar in missing)
        text = f"the guest's firmware left no room for {sizes}"
        yield GUEST_BAR_UNASSIGNED.found(device, text, evidence=(Evidence(where, f"{sizes}: no address"),))


def _way(path: tuple[str, ...]) -> str:
    return "/".join(path)


def _evidence(signs: Signs, said: Said) -> Iterator[Evidence]:
    """What was seen, whatever it proves."""
    for claim in signs.held.claims[:3]:
        yield Evidence(f"{claim.how} {claim.who}", claim.where)
    if signs.function is not None:
        yield from _of_function(signs, signs.function)
    for found in signs.model:
        yield Evidence(found.evidence[-1].file, f"{found.message} [{found.code}]")
    if signs.vectors is not None:
        if signs.vectors.source == TABLE:
            yield Evidence(TABLE, _counts(signs.vectors.kinds) or "none of it")
        if signs.function is not None:
            allocated = _counts(signs.vectors.allocated) or "(none)"
            yield attribute_evidence(signs.function.address, "msi_irqs", allocated)
    if signs.guest is not None:
        yield from _of_guest(signs.guest)
    yield from evidence_of(said.others)


def _of_function(signs: Signs, function: PciFunction) -> Iterator[Evidence]:
    address, health = function.address, signs.health
    yield attribute_evidence(address, "driver", "(removal pending)" if function.removing else function.driver)
    yield attribute_evidence(address, "iommu_group", function.group)
    for name, value in (
        ("enable", health.enabled),
        ("power_state", health.power),
        ("power/runtime_status", health.runtime),
    ):
        if value is not None:
            yield attribute_evidence(address, name, value)
    for name, count in (health.errors or {}).items():
        if count:
            yield Evidence(attribute_path(address, f"aer_dev_{name}"), f"{count} since the node was booted")


def _of_guest(guest: GuestView) -> Iterator[Evidence]:
    reason = f" ({guest.reason})" if guest.reason else ""
    yield Evidence(
        f"domain {guest.domain}", f"{guest.state}{reason}; {guest.alias or 'no alias'} at {guest.plan or '-'}"
    )
    if guest.qemu is not None:
        bars = ", ".join(f"BAR {bar.register} {_at(bar.address)}" for bar in guest.qemu.bars) or "no BAR"
        yield Evidence(f"query-pci of {guest.domain}", f"{guest.qemu.address or 'absent'}: {bars}")


def _unknown(signs: Signs) -> Iterator[str]:
    """What was not to be seen, and what it would have told."""
    held = bool(signs.held.claims)
    if not signs.held.complete:
        yield "not all processes were seen: one of them may have it open"
    if held and signs.vectors is None and not signs.mediated:
        yield "interrupts: neither /proc/interrupts nor msi_irqs of the device is to be seen"
    if held and signs.log.why:
        yield f"the kernel's log: {signs.log.why}: faults and resets since the VM's start are not known"
    elif held and signs.held.since is not None and signs.log.since > signs.held.since:
        late = _duration(signs.log.since - signs.held.since)
        yield f"the kernel's log begins {late} after the VM's start: what was said before is not in it any more"
    if held and signs.held.since is None:
        yield "since when it is open: lines of the kernel's log cannot be told from those before"
    if held and not signs.mediated and signs.health.power is None:
        yield "power_state: kernels before 5.10 have none"
    if signs.guest is not None and signs.guest.qemu is not None and signs.guest.qemu.placed is None:
        yield "whether the guest's firmware placed its BARs: QEMU tells no address while their decoding is off"


def _at(address: int | None) -> str:
    return "no address" if address is None else f"at {address:#x}"


def _size(count: int) -> str:
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >> shift:
            return f"{count >> shift} {unit}"
    return f"{count} bytes"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} days"
