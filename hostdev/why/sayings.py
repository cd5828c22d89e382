"""What was said of a VM's start, by events, conditions, containers and logs: by steps of the start."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from hostdev.explain.explanation import Explained, explain_text
from hostdev.findings.rule import Sureness
from hostdev.findings.trouble import Nature
from hostdev.kubevirt.spec import Fields, get_list, get_map, get_text
from hostdev.why.events import Event, is_later
from hostdev.why.evidence import COMPUTE, HANDLER, Line, Log
from hostdev.why.steps import Check, our_code, step_of
from hostdev.why.subject import POD, VM, VMI, Subject

MOST = 400
"""Different sentences of a log that are looked at."""
LONGEST = 4000
_MOST_GUESSES = 5


class Cause(NamedTuple):
    """What explains a sentence."""

    code: str = ""
    is_wrapper: bool = False
    is_harmless: bool = False
    one_of: tuple[str, ...] = ()
    """Codes of which one explains it, where the text alone does not tell which."""


def find_cause(text: str) -> Cause:
    """The likely root of a text; where it may be one of several, none is taken for it."""
    found = explain_text(text).items
    if not found:
        return Cause()
    causes = [item for item in found if item.nature is Nature.CAUSE]
    sure = next((item for item in causes if item.sureness is not Sureness.ONE_OF), None)
    is_one_of_several = sure is None or (sure.sureness is Sureness.LIKELY and _has_others(causes))
    if causes and is_one_of_several:
        codes = tuple(item.code for item in causes[:_MOST_GUESSES])
        return Cause(codes[0]) if len(codes) == 1 and not causes[0].open else Cause(one_of=codes)
    root = sure or found[0]
    return Cause(root.code, root.nature is Nature.WRAPPER, root.nature is Nature.HARMLESS)


def _has_others(causes: Sequence[Explained]) -> bool:
    return any(item.sureness is Sureness.ONE_OF for item in causes)


class Saying(NamedTuple):
    """A sentence that something went wrong."""

    text: str
    where: str
    """Who said it, as a reader finds it again."""
    check: Check
    time: str = ""
    code: str = ""
    """The code that explains it; empty where it is not known."""
    times: int = 1
    is_wrapper: bool = False
    """It only says that something before it went wrong."""
    one_of: tuple[str, ...] = ()
    """Codes of which one may explain it."""

    @property
    def is_known(self) -> bool:
        """Something explains it, or one of several things does."""
        return bool(self.code or self.one_of)


_WRAPPERS = frozenset({"domain-not-defined"})
_BARE_DEADLINE = re.compile(
    r"(?:command Sync\w+ failed: |DeadlineExceeded desc = )\\?[\"']?context deadline exceeded\\?[\"']?$"
)
"""A call was not answered: by whom, another line says."""
_BAD_LEVELS = frozenset({"error", "panic", "fatal", "critical"})
_TOLD = frozenset({"qemu", "libvirt"})
_BAD_WORDS = re.compile(r"panic:|SIGSEGV|error|fail|cannot|refused|denied|not viable|vfio", re.IGNORECASE)


def sayings_of(subject: Subject) -> tuple[Saying, ...]:
    """All that was said, in the order of time as far as it is told."""
    found = [
        *_of_events(subject),
        *_of_conditions(subject),
        *_of_compute(subject),
        *_of_logs(subject),
    ]
    order = {saying: index for index, saying in enumerate(found)}
    return tuple(sorted(order, key=lambda saying: (saying.time, order[saying])))


def make_saying(text: str, where: str, usual: Check | None, time: str = "", times: int = 1) -> Saying | None:
    """A sentence with its step and its cause; None where it is harmless, or about nothing that is known."""
    text = text[:LONGEST].strip()
    cause = _cause(text)
    check = step_of(text) or usual
    if check is None or cause.is_harmless:
        return None
    code = our_code(text) or cause.code
    is_wrapper = cause.is_wrapper or code in _WRAPPERS or (not code and _BARE_DEADLINE.search(text) is not None)
    return Saying(text, where, check, time, code, times, is_wrapper, cause.one_of)


_cause = cache(find_cause)


def _of_events(subject: Subject) -> Iterator[Saying]:
    steps: Mapping[str, Check] = MappingProxyType({VM: Check.GATES, VMI: Check.STARTED, POD: Check.STARTED})
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
        "FailedMount": Check.ALLOCATED,
        "FailedAttachVolume": Check.ALLOCATED,
    }
)
"""Steps by the reasons of events that belong to one step alone."""
_PASSING = frozenset({"Unhealthy", "BackOff", "FailedKillPod", "Evicted", "NodeNotReady"})
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
    counts = usual if reason in _TRIES else None
    saying = make_saying(text or reason, event.where, check or counts, event.last, event.times)
    return saying._replace(check=check) if saying and check else saying


_CONDITIONS = frozenset({"Failure", "Synchronized", "Provisioning", "PodScheduled"})
_TRIES = frozenset({"SyncFailed", "FailedCreate", "Failed", "Stopped", "PreVMStart"})
"""Reasons of events whose text counts even where it is not known."""


def _of_conditions(subject: Subject) -> Iterator[Saying]:
    """What the objects themselves say last."""
    for value, name in ((subject.vm, VM), (subject.vmi, VMI)):
        for condition in get_list(value, "status", "conditions"):
            kind, status, message = (get_text(condition, key) for key in ("type", "status", "message"))
            failed = kind in _CONDITIONS and status == ("True" if kind == "Failure" else "False")
            if failed and message:
                usual = Check.GATES if name == VM else Check.STARTED
                # Its time is that of the first failure, and its text that of the last.
                saying = make_saying(message, f"condition {kind} of {name}", usual)
                if saying:
                    yield saying


def _of_compute(subject: Subject) -> Iterator[Saying]:
    """What kubelet says of the container itself, where the event is gone."""
    status = subject.container_status("compute")
    for state in (get_map(status, "state", "waiting"), container_end(status)):
        reason, message = get_text(state, "reason"), get_text(state, "message")
        saying = make_saying(f"{reason}: {message}" if message else reason, f"compute of pod {subject.pod_name}", None)
        if saying and (saying.is_known or saying.check is not Check.STARTED):
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


_NUMBERS = re.compile(r"[0-9a-f]*[0-9][0-9a-f]*")
_OF_TRY = re.compile(
    r"^Failed to sync|^Synchronizing the VirtualMachineInstance failed|SyncVMI|LibvirtError\(|virError\(|^panic:|"
    r"unexpectedly closed|exited prior to exec|Failed to collect all expected|timed out waiting for domain"
)


def _of_log(log: Log, about: Callable[[Line], bool]) -> Iterator[Saying]:
    last: dict[str, tuple[str, Line]] = {}
    for line in log.lines:
        text = _bad_text(line.fields, line.text)
        # The same with other numbers is the same, and counts when it came last.
        shape = _NUMBERS.sub("0", text[:LONGEST])
        if text and (shape in last or len(last) < MOST) and about(line):
            last[shape] = text, line
    for text, line in last.values():
        saying = make_saying(text, f"{log.place}:{line.number}", None, line.time)
        # Many lines of errors are harmless: what is not known counts only where a try to start says it.
        if saying and (saying.is_known or _OF_TRY.search(text)):
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
    """Without what is over: a try that failed before another did, and steps behind which the start has come since.

    `answered` is the time of the sidecar's last answer.
    """
    tries = [one for one in sayings if not one.is_wrapper and one.time and _is_of_try(one)]

    def is_over(one: Saying) -> bool:
        if not one.time or one.check.rank < Check.FILE.rank:
            return False
        if is_later(answered, one.time) and one.check in {Check.FILE, Check.HOOK, Check.GATE}:
            return True
        later = [other for other in tries if is_later(other.time, one.time) and other.check.rank >= Check.FILE.rank]
        if _is_of_try(one) and not one.is_wrapper:
            return any(other.check is not one.check for other in later)
        return any(other.check.rank > one.check.rank for other in later)

    kept = [one for one in sayings if not is_over(one)]
    is_told = any(one.is_known and not one.is_wrapper and one.check.rank >= Check.FILE.rank for one in kept)
    return tuple(one for one in kept if not (is_told and one.is_wrapper and one.check.rank >= Check.FILE.rank))


def _is_of_try(saying: Saying) -> bool:
    """Whether it tells of a try to start; what ends a pod comes last, whatever went wrong before."""
    return "SyncFailed" in saying.where or "SyncVMI" in saying.text


_NEVER_RAN = frozenset({"StartError", "ContainerCannotRun"})


def container_end(status: Fields) -> Fields:
    """How a container ended, the last time it did."""
    return get_map(status, "state", "terminated") or get_map(status, "lastState", "terminated")


def has_begun(status: Fields) -> bool:
    """Whether a container was started, however it stands now."""
    end = container_end(status)
    return (bool(end) and get_text(end, "reason") not in _NEVER_RAN) or "running" in get_map(status, "state")
