"""What KubeVirt refuses of CPUs, memory and the resources that a VM asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hostdev.findings.admission import COMPUTE_REFUSED, GATE_CLOSED
from hostdev.lint.admission.releases import since, until
from hostdev.lint.admission.rule import (
    AMD64,
    ARM64,
    GIBI,
    MEBI,
    MILLI,
    Hit,
    Rule,
    Subject,
    amount,
    at,
    gate_rule,
    written,
)

CPU, MEMORY, RESOURCES = "domain.cpu", "domain.memory", "domain.resources"
_DEDICATED = f"{CPU}.dedicatedCpuPlacement"
_PASSTHROUGH = f"{CPU}.numa.guestMappingPassthrough"
_POLICIES = ("", "force", "require", "optional", "disable", "forbid")
_LEAST = 1_000_000 * MILLI


def vcpus(subject: Subject) -> int:
    """How many CPUs the guest gets by its topology; sockets follow the CPU limit or request where none is written."""
    cpu = subject.at(CPU) or {}
    parts = [cpu.get(key) or 0 for key in ("cores", "sockets", "threads")]
    if any(parts):
        count = 1
        for part in parts:
            count *= part or 1
        return count
    asked = amount(_asked(subject, "limits", "cpu")) or amount(_asked(subject, "requests", "cpu")) or MILLI
    return max(-(-asked // MILLI), 1)


def guest_memory(subject: Subject) -> Any:
    """The memory of the guest as it is written: its own, else what is requested, else the limit, else a huge page."""
    return next(
        (
            value
            for value in (
                subject.at(f"{MEMORY}.guest"),
                _asked(subject, "requests", "memory"),
                _asked(subject, "limits", "memory"),
                subject.at(f"{MEMORY}.hugepages.pageSize"),
            )
            if value is not None
        ),
        None,
    )


def _asked(subject: Subject, what: str, name: str) -> Any:
    return (subject.at(f"{RESOURCES}.{what}") or {}).get(name)


def _isolated(subject: Subject) -> Iterator[Hit]:
    if subject.at(f"{CPU}.isolateEmulatorThread") and not subject.at(_DEDICATED):
        yield f"{CPU}.isolateEmulatorThread", {}


def _dedicated_without_memory(subject: Subject) -> Iterator[Hit]:
    if subject.at(_DEDICATED) and guest_memory(subject) is None:
        yield MEMORY, {}


def _fraction_of_a_cpu(subject: Subject) -> Iterator[Hit]:
    if subject.at(_DEDICATED):
        for what in ("requests", "limits"):
            value = amount(_asked(subject, what, "cpu"))
            if value is not None and value % MILLI:
                yield f"{RESOURCES}.{what}.cpu", {}


def _unequal(subject: Subject) -> Iterator[Hit]:
    if subject.at(_DEDICATED):
        for name in ("memory", "cpu"):
            request, limit = (amount(_asked(subject, what, name)) for what in ("requests", "limits"))
            if request and limit and request != limit:
                yield f"{RESOURCES}.requests.{name}", {"name": name}


def _other_count(subject: Subject) -> Iterator[Hit]:
    cpu = subject.at(CPU) or {}
    if cpu.get("dedicatedCpuPlacement") and any(cpu.get(key) for key in ("cores", "sockets", "threads")):
        counts = [amount(_asked(subject, what, "cpu")) for what in ("requests", "limits")]
        told = {count for count in counts if count}
        if told and vcpus(subject) * MILLI not in told:
            yield f"{CPU}.cores", {"count": vcpus(subject)}


def _many_threads(subject: Subject) -> Iterator[Hit]:
    if subject.at(_DEDICATED) and (subject.at(f"{CPU}.threads") or 0) > 2:
        yield f"{CPU}.threads", {}


def _threads_on_arm64(subject: Subject) -> Iterator[Hit]:
    if subject.architecture == ARM64 and (subject.at(f"{CPU}.threads") or 0) > 1:
        yield f"{CPU}.threads", {}


def _numa_without_cpus(subject: Subject) -> Iterator[Hit]:
    if subject.at(_PASSTHROUGH) is not None and not subject.at(_DEDICATED):
        yield _PASSTHROUGH, {}


def _numa_without_pages(subject: Subject) -> Iterator[Hit]:
    if subject.at(_PASSTHROUGH) is not None and subject.at(f"{MEMORY}.hugepages") is None:
        yield _PASSTHROUGH, {}


def _realtime_without_cpus(subject: Subject) -> Iterator[Hit]:
    if subject.at(f"{CPU}.realtime") is not None and not subject.at(_DEDICATED):
        yield _DEDICATED, {}


def _realtime_without_numa(subject: Subject) -> Iterator[Hit]:
    if subject.at(f"{CPU}.realtime") is not None and subject.at(_PASSTHROUGH) is None:
        yield _PASSTHROUGH, {}


def _feature_policy(subject: Subject) -> Iterator[Hit]:
    for place, feature in subject.each(f"{CPU}.features"):
        if feature.get("policy", "") not in _POLICIES:
            yield f"{place}.policy", {"policy": feature["policy"], "policies": ", ".join(filter(None, _POLICIES))}


def _too_many_sockets(subject: Subject) -> Iterator[Hit]:
    sockets, most = subject.at(f"{CPU}.sockets"), subject.at(f"{CPU}.maxSockets")
    if sockets and most and sockets > most:
        yield f"{CPU}.sockets", {"sockets": sockets, "most": most}


def _above_limit(subject: Subject) -> Iterator[Hit]:
    for name in ("cpu", "memory"):
        request, limit = (_asked(subject, what, name) for what in ("requests", "limits"))
        wanted, most = amount(request), amount(limit)
        if wanted is not None and most and wanted > most:
            yield f"{RESOURCES}.requests.{name}", {"request": written(request), "limit": written(limit)}


def _negative(subject: Subject) -> Iterator[Hit]:
    for what in ("requests", "limits"):
        for name in ("cpu", "memory"):
            value = _asked(subject, what, name)
            if (amount(value) or 0) < 0:
                yield f"{RESOURCES}.{what}.{name}", {"value": written(value)}


def _next_to_nothing(subject: Subject) -> Iterator[Hit]:
    value = _asked(subject, "requests", "memory")
    if 0 < (amount(value) or 0) < _LEAST:
        yield f"{RESOURCES}.requests.memory", {"value": written(value)}


def _guest_next_to_nothing(subject: Subject) -> Iterator[Hit]:
    value = subject.at(f"{MEMORY}.guest")
    if _asked(subject, "requests", "memory") is None and 0 < (amount(value) or 0) < _LEAST:
        yield f"{MEMORY}.guest", {"value": written(value)}


def _guest_above_limit(subject: Subject) -> Iterator[Hit]:
    guest, limit = subject.at(f"{MEMORY}.guest"), _asked(subject, "limits", "memory")
    if guest is not None and limit is not None and (amount(guest) or 0) > (amount(limit) or 0):
        yield f"{MEMORY}.guest", {"guest": written(guest), "limit": written(limit)}


def _staged_above_limit(subject: Subject) -> Iterator[Hit]:
    if subject.switches.get("vmRolloutStrategy") == "Stage":
        yield from _guest_above_limit(subject)


def _no_memory(subject: Subject) -> Iterator[Hit]:
    if guest_memory(subject) is None and subject.at(f"{MEMORY}.hugepages") is None:
        yield MEMORY, {}


def _page_size(subject: Subject) -> Iterator[Hit]:
    pages = subject.at(f"{MEMORY}.hugepages")
    if pages is not None and amount(pages.get("pageSize")) is None:
        yield f"{MEMORY}.hugepages.pageSize", {"size": pages.get("pageSize", "")}


def _paged(subject: Subject) -> tuple[int, int]:
    """Memory and page size, where both can be told."""
    size = amount(subject.at(f"{MEMORY}.hugepages.pageSize")) or 0
    values = (
        _asked(subject, "requests", "memory"),
        subject.at(f"{MEMORY}.guest"),
        _asked(subject, "limits", "memory"),
    )
    memory = next((value for value in map(amount, values) if value is not None), 0)
    return memory, size


def _below_a_page(subject: Subject) -> Iterator[Hit]:
    memory, size = _paged(subject)
    if size > 0 and 0 < memory < size:
        yield f"{MEMORY}.hugepages.pageSize", {}


def _not_in_pages(subject: Subject) -> Iterator[Hit]:
    memory, size = _paged(subject)
    if size > 0 and memory > size and memory % size:
        yield f"{MEMORY}.hugepages.pageSize", {}


def _max_guest(subject: Subject) -> Iterator[Hit]:
    most = subject.at(f"{MEMORY}.maxGuest")
    if most is not None and subject.switches.get("vmRolloutStrategy") != "Stage":
        why = _max_guest_flaw(subject, amount(most) or 0)
        if why:
            yield f"{MEMORY}.maxGuest", {"why": why}


def _max_guest_flaw(subject: Subject, most: int) -> str:
    guest = amount(subject.at(f"{MEMORY}.guest"))
    size = amount(subject.at(f"{MEMORY}.hugepages.pageSize")) or 0
    step = (GIBI if size == GIBI * MILLI else 2 * MEBI) * MILLI
    checks = (
        (subject.architecture != AMD64, "memory hotplug is for amd64 only"),
        (subject.at(f"{CPU}.realtime") is not None, "it does not go with realtime"),
        (subject.at(_PASSTHROUGH) is not None, "it does not go with guestMappingPassthrough"),
        (subject.at("domain.launchSecurity") is not None, "it does not go with launchSecurity"),
        (guest is None, "guest memory must be set beside it"),
        ((guest or 0) > most, "guest memory is above it"),
        ((guest or 0) % step or most % step, f"guest and maxGuest must be multiples of {step // MILLI // MEBI}Mi"),
        ((guest or 0) < GIBI * MILLI, "guest memory must be at least 1Gi"),
    )
    return next((why for wrong, why in checks if wrong), "")


def _overhead(subject: Subject) -> Iterator[Hit]:
    if subject.at(f"{MEMORY}.reservedOverhead") is not None:
        yield f"{MEMORY}.reservedOverhead", {}


def _model_on_arm64(subject: Subject) -> Iterator[Hit]:
    model = subject.at(f"{CPU}.model")
    if subject.architecture == ARM64 and model and model != "host-passthrough":
        yield f"{CPU}.model", {"model": model}


def _host_model_on_arm64(subject: Subject) -> Iterator[Hit]:
    if subject.architecture == ARM64 and at(subject.spec, f"{CPU}.model") == "host-model":
        yield f"{CPU}.model", {}


_DEDICATE = "set cpu.dedicatedCpuPlacement: true (with a small p and u), or remove this"
RULES = (
    Rule(COMPUTE_REFUSED, _isolated,
         "IsolateEmulatorThread should be only set in combination with DedicatedCPUPlacement", _DEDICATE),
    Rule(COMPUTE_REFUSED, _dedicated_without_memory, "dedicated CPUs, and no memory is given",
         "write domain.memory.guest"),
    Rule(COMPUTE_REFUSED, _fraction_of_a_cpu, "provided resources CPU must be an integer", "write whole CPUs"),
    Rule(COMPUTE_REFUSED, _unequal,
         "with dedicated CPUs requests.{name} must be equal to limits.{name}", "write the limit only"),
    Rule(COMPUTE_REFUSED, _other_count,
         "CPU requests and limits must not be provided at the same time with cores, if they are not {count}",
         "leave the CPU out of resources; the topology says how many"),
    Rule(COMPUTE_REFUSED, _many_threads, "Not more than two threads must be provided with dedicated CPUs",
         "write 1 or 2 threads"),
    Rule(COMPUTE_REFUSED, _threads_on_arm64, "threads must not be greater than 1 on arm64", "write 1 thread",
         since("1.9")),
    Rule(COMPUTE_REFUSED, _numa_without_cpus,
         "dedicatedCpuPlacement must be set to true when NUMA topology strategy is set", _DEDICATE),
    Rule(COMPUTE_REFUSED, _numa_without_pages,
         "memory.hugepages must be requested when NUMA topology strategy is set",
         "write memory.hugepages.pageSize, 2Mi or 1Gi"),
    Rule(COMPUTE_REFUSED, _realtime_without_cpus,
         "dedicatedCpuPlacement must be set to true when cpu.realtime is used", _DEDICATE),
    Rule(COMPUTE_REFUSED, _realtime_without_numa,
         "numa.guestMappingPassthrough must be defined when cpu.realtime is used",
         "add numa: {{guestMappingPassthrough: {{}}}}, and huge pages"),
    Rule(COMPUTE_REFUSED, _feature_policy, "uses policy {policy} that is not supported", "write one of {policies}"),
    Rule(COMPUTE_REFUSED, _too_many_sockets,
         "Number of sockets in CPU topology is greater than the maximum sockets allowed: {sockets} of {most}",
         "raise maxSockets"),
    Rule(COMPUTE_REFUSED, _above_limit, "'{request}' is greater than the limit '{limit}'", "raise the limit"),
    Rule(COMPUTE_REFUSED, _negative, "'{value}': must be greater than or equal to 0", "write a positive amount"),
    Rule(COMPUTE_REFUSED, _next_to_nothing, "'{value}': must be greater than or equal to 1M",
         "m means thousandths; write M or Mi"),
    Rule(COMPUTE_REFUSED, _guest_next_to_nothing, "'{value}': must be greater than or equal to 1M",
         "m means thousandths; write M or Mi", until("1.5")),
    Rule(COMPUTE_REFUSED, _guest_above_limit, "guest memory '{guest}' must not be above the memory limit '{limit}'",
         "raise the limit, or leave it out", until("1.5")),
    Rule(COMPUTE_REFUSED, _staged_above_limit, "guest memory '{guest}' must not be above the memory limit '{limit}'",
         "raise the limit, or leave it out", since("1.6")),
    Rule(COMPUTE_REFUSED, _no_memory,
         "no memory requested, at least one of memory.guest, memory.hugepages.pageSize or requests.memory must be set",
         "write domain.memory.guest", vmi_only=True),
    Rule(COMPUTE_REFUSED, _page_size, "'{size}' is no page size: quantities must match the regular expression",
         "write 2Mi or 1Gi"),
    Rule(COMPUTE_REFUSED, _below_a_page, "memory must be equal to or larger than page size", "use smaller pages"),
    Rule(COMPUTE_REFUSED, _not_in_pages, "memory is not a multiple of the page size", "round the memory up"),
    Rule(COMPUTE_REFUSED, _max_guest, "maxGuest is not possible: {why}", "leave maxGuest out, or correct it",
         since("1.6"), vm_only=True),
    gate_rule(GATE_CLOSED, _overhead, "ReservedOverheadMemlock", "ReservedOverheadMemlock feature gate is not enabled"),
    Rule(COMPUTE_REFUSED, _model_on_arm64, "currently, host-passthrough is the only model supported on Arm64",
         "leave the model out, or write host-passthrough", since("1.6"), vmi_only=True),
    Rule(COMPUTE_REFUSED, _host_model_on_arm64, "Arm64 not support CPU host-model",
         "leave the model out, or write host-passthrough", until("1.5"), vmi_only=True),
)  # fmt: skip
"""CPU, memory and resources, in the order of KubeVirt's checks."""
