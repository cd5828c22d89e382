"""What was said of a VM's start, by events, conditions, containers and logs: each a step of the start, and known or not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from hostdev.findings import device, driver, group, holders, hostuse, platform, sriov
from hostdev.findings.explain import EXPLAINED
from hostdev.kubevirt.spec import Fields, get_list, get_map, get_text
from hostdev.why.evidence import COMPUTE, HANDLER, Line, Log
from hostdev.why.events import Event
from hostdev.why.subject import POD, VM, VMI, Subject
from hostdev.why.texts import find_cause

MOST = 400
"""Different sentences of a log that are looked at."""
LONGEST = 4000


class Check(StrEnum):
    """The steps from a VM to its guest slot, in the order of time."""

    SPEC = "spec"
    GATES = "gates"
    SCHEDULED = "scheduled"
    ALLOCATED = "allocated"
    SIDECAR = "sidecar"
    FILE = "file"
    HOOK = "hook"
    GATE = "gate"
    DEFINED = "defined"
    STARTED = "started"
    ARRIVED = "arrived"


ORDER = tuple(Check)


class Saying(NamedTuple):
    """A sentence that something went wrong."""

    text: str
    where: str
    """Who said it, as a reader finds it again."""
    check: Check
    time: str = ""
    code: str = ""
    """The code that explains it; empty where it is not known."""
    count: int = 1
    is_wrapper: bool = False
    """It only says that something before it went wrong."""


_OURS = re.compile(r"(?<![\w-])([a-z]+(?:-[a-z0-9]+)+): ")
_LIBVIRT = re.compile(r"(?:LibvirtError|virError)\(Code=(\d+)")
_AT_GATE = frozenset(
    kind.code for table in (platform, group, device, driver, sriov, hostuse, holders) for kind in table.KINDS
) | {"device-not-found"}
_OF_FILE = frozenset({"allocation-missing", "allocation-file-unreadable", "fewer-than-requested", "file-names-nothing"})
_STEPS: tuple[tuple[re.Pattern[str], Check], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), check)
    for pattern, check in (
        (r"admission webhook .* denied|feature gate.{0,40} not enabled|not permitted in (?:permittedHostDevices|kubevirt)",
         Check.GATES),
        (r"failed to collect all expected sidecar|hook sockets within", Check.SIDECAR),
        (r"PostStartHook", Check.FILE),
        (r"nodes are available|\bInsufficient \S+/|exceeded quota", Check.SCHEDULED),
        (r"Allocate failed due to|UnexpectedAdmissionError|\bOutOf\S+/|Node didn't have enough resource|Topology ?Affinity|"
         r"Topology locality|PreStartContainer|GetPreferredAllocation|lstat /dev/|not a device node|CDI device|"
         r"dynamic resources|endpoint not found in cache|ResourceClaim|unhealthy devices", Check.ALLOCATED),
        (r"sandbox|SRIOV-CNI|multus|CmdAdd|network plugin", Check.ALLOCATED),
        (r"timed out waiting for domain to be defined", Check.DEFINED),
        (r"host-?devices|no more addresses to allocate|pci address|resource .* not set for|unmarshal|PreCloudInitIso",
         Check.DEFINED),
        (r"waiting for the allocation file", Check.FILE),
        (r"hook.{0,20}sidecar|OnDefineDomain|MutateDomain|kubevirt-hooks|exit status \d+", Check.HOOK),
        (r"PreVMStart|node ?hook", Check.GATE),
        (r"vfio|qemu|monitor|locked memory|passthrough|manually detached|iommu|in use by driver|exited prior to exec|"
         r"panic:|SIGSEGV|nil pointer|OOMKilled|reset PCI device|mediated device|/dev/kvm", Check.STARTED),
    )
)  # fmt: skip
_DEFINE_CODES = frozenset({"8", "9", "27"})
"""Of libvirt: an invalid argument, an operation that failed, and XML that is wrong; all of them before a start."""
_AMBIGUOUS_CODES = frozenset({"1", "55", "67", "38", "99"})
_WRAPPERS = frozenset({"domain-not-defined"})
_BAD_LEVELS = frozenset({"error", "panic", "fatal", "critical"})
_TOLD = frozenset({"qemu", "libvirt"})
_BAD_WORDS = re.compile(r"panic:|SIGSEGV|error|fail|cannot|refused|denied|not viable|vfio", re.IGNORECASE)


def step_of(text: str) -> Check | None:
    """The step that a sentence is about; None where it does not show."""
    ours = our_code(text)
    if ours:
        return Check.FILE if ours in _OF_FILE else Check.GATE if ours in _AT_GATE else Check.HOOK
    code = _LIBVIRT.search(text)
    if code and code[1] in _DEFINE_CODES:
        return Check.DEFINED
    found = next((check for pattern, check in _STEPS if pattern.search(text)), None)
    if code and (found is None or ORDER.index(found) < ORDER.index(Check.DEFINED)):
        return Check.DEFINED
    return found


def our_code(text: str) -> str:
    """The code at the beginning of a sentence of the sidecar's, or of the agent's node hook."""
    before = text.partition("LibvirtError(")[0].partition("virError(")[0]
    return next((found[1] for found in _OURS.finditer(before) if found[1] in EXPLAINED), "")


def sayings_of(subject: Subject) -> tuple[Saying, ...]:
    """All that was said, in the order of time as far as it is told."""
    found = [
        *_of_events(subject),
        *_of_conditions(subject),
        *_of_logs(subject),
    ]
    order = {saying: index for index, saying in enumerate(found)}
    return tuple(sorted(order, key=lambda saying: (saying.time, order[saying])))


def make_saying(text: str, where: str, usual: Check | None, time: str = "", count: int = 1) -> Saying | None:
    """A sentence with its step and its cause; None where it is harmless, or about nothing that is known."""
    text = text[:LONGEST].strip()
    cause = _cause(text)
    check = step_of(text) or usual
    if check is None or cause.is_harmless:
        return None
    code = our_code(text) or cause.code
    return Saying(text, where, check, time, code, count, cause.is_wrapper or code in _WRAPPERS)


_cause = cache(find_cause)


def _of_events(subject: Subject) -> Iterator[Saying]:
    steps: Mapping[str, Check] = MappingProxyType(
        {VM: Check.GATES, VMI: Check.STARTED, POD: Check.STARTED}
    )
    for kind, usual in steps.items():
        for event in subject.events(kind):
            if event.warning:
                saying = _of_event(event, usual)
                if saying:
                    yield saying


_REASONS: Mapping[str, Check] = MappingProxyType(
    {
        "FailedScheduling": Check.SCHEDULED,
        "FailedCreate": Check.GATES,
        "UnexpectedAdmissionError": Check.ALLOCATED,
        "TopologyAffinityError": Check.ALLOCATED,
        "FailedPrepareDynamicResources": Check.ALLOCATED,
        "FailedCreatePodSandBox": Check.ALLOCATED,
        "FailedPostStartHook": Check.FILE,
    }
)
"""Steps by the reasons of events that belong to one step alone."""
_PASSING = frozenset({"Unhealthy", "BackOff", "FailedKillPod", "FailedMount", "Evicted", "NodeNotReady"})
"""Reasons that say nothing of a step by themselves."""


def _of_event(event: Event, usual: Check) -> Saying | None:
    reason = event.reason
    check = Check.ALLOCATED if reason.startswith("OutOf") and "/" in reason else _REASONS.get(reason)
    if check is Check.GATES and event.kind == VMI:
        # A VMI makes pods.
        check = Check.SCHEDULED
    text = event.message if check is not Check.FILE else f"{reason}: {event.message}"
    if check is None and reason in _PASSING:
        return None
    if event.field.startswith("spec.containers{") and "compute" not in event.field and check is None:
        # Of a sidecar its container tells.
        return None
    saying = make_saying(text or reason, event.where, check or usual, event.last, event.count)
    return saying._replace(check=check) if saying and check else saying


def _of_conditions(subject: Subject) -> Iterator[Saying]:
    """What the objects themselves say last."""
    for value, name in ((subject.vm, VM), (subject.vmi, VMI)):
        for condition in get_list(value, "status", "conditions"):
            kind, status, message = (get_text(condition, key) for key in ("type", "status", "message"))
            failed = status == ("True" if kind == "Failure" else "False") and kind in {
                *("Failure", "Synchronized", "Provisioning"),
                *(("PodScheduled",) if name == VMI else ()),
            }
            if failed and message:
                usual = Check.GATES if name == VM else Check.STARTED
                time = get_text(condition, "lastTransitionTime").removesuffix("Z")
                saying = make_saying(message, f"condition {kind} of {name}", usual, time)
                if saying:
                    yield saying


def _of_logs(subject: Subject) -> Iterator[Saying]:
    for writer in (COMPUTE, HANDLER):
        for log in subject.logs(writer):
            about: Callable[[Line], bool] = (lambda _: True) if writer == COMPUTE else _is_about(subject)
            yield from _of_log(log, about)


def _is_about(subject: Subject) -> Callable[[Line], bool]:
    """virt-handler serves all VMs of a node."""
    return lambda line: (
        get_text(line.fields, "name") == subject.name
        and subject.namespace in {"", get_text(line.fields, "namespace") or subject.namespace}
    )


def _of_log(log: Log, about: Callable[[Line], bool]) -> Iterator[Saying]:
    met: dict[str, int] = {}
    for line in log.lines:
        text = _bad_text(line.fields, line.text)
        if not text or text in met or not about(line):
            continue
        if len(met) >= MOST:
            return
        met[text] = 1
        saying = make_saying(text, f"{log.place}:{line.number}", None, line.time)
        if saying:
            yield saying


def _bad_text(fields: Fields, text: str) -> str:
    """The sentence of a line in which something went wrong; empty for all others."""
    if not fields:
        return text.strip() if _BAD_WORDS.search(text) else ""
    if get_text(fields, "level").lower() not in _BAD_LEVELS and get_text(fields, "subcomponent") not in _TOLD:
        return ""
    message, reason = (get_text(fields, key) for key in ("msg", "reason"))
    whole = f"{message}: {reason}" if reason and reason not in message else message
    return whole if get_text(fields, "level").lower() in _BAD_LEVELS or _BAD_WORDS.search(whole) else ""


def current(sayings: Sequence[Saying], answered: str = "") -> tuple[Saying, ...]:
    """Without those behind which the start has come since: a later step, said to fail later, was reached.

    `answered` is the time of the sidecar's last answer.
    """
    steps = [one for one in sayings if not one.is_wrapper and one.time]

    def is_over(one: Saying) -> bool:
        if not one.time or ORDER.index(one.check) < ORDER.index(Check.FILE):
            return False
        if answered and one.time < answered and one.check in {Check.FILE, Check.HOOK, Check.GATE}:
            return True
        return any(
            later.time > one.time and ORDER.index(later.check) > ORDER.index(one.check) and _is_of_try(later)
            for later in steps
        )

    return tuple(one for one in sayings if not is_over(one))


def _is_of_try(saying: Saying) -> bool:
    """Whether it tells of a try to start; what ends a pod comes last, whatever went wrong before."""
    return "SyncFailed" in saying.where or "SyncVMI" in saying.text


def terminated(status: Fields) -> Fields:
    """How a container ended, the last time it did."""
    return get_map(status, "state", "terminated") or get_map(status, "lastState", "terminated")
