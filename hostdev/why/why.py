"""Why a VM does not start: every check in the order of time, and the first that failed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from domxml.errors import ExitCode
from domxml.text import listed
from hostdev.explain.values import add_namespace
from hostdev.findings.explain import EXPLAINED
from hostdev.kubevirt.spec import Fields, get_map, get_text
from hostdev.why.boot import check_arrived, check_defined, check_started
from hostdev.why.evidence import COMPUTE, SIDECAR, Evidence, Log
from hostdev.why.hook import agent_findings, check_file, check_gate, check_hook, read_answers, sayings_of_sidecar
from hostdev.why.item import Item, Result, shorten
from hostdev.why.pod import check_allocated, check_scheduled, check_sidecar
from hostdev.why.sayings import current, sayings_of
from hostdev.why.spec import check_gates, check_spec, lint_subject
from hostdev.why.steps import Check
from hostdev.why.subject import Name, Subject, find_subject


class Why(NamedTuple):
    """The answer."""

    subject: Subject
    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> Item | None:
        """The earliest failure."""
        return next((one for one in self.items if one.result is Result.FAIL), None)

    @property
    def exit_code(self) -> ExitCode:
        """Failed, running, or not known: that nothing is seen to fail does not mean that it runs."""
        if self.first:
            return ExitCode.FINDINGS
        started = next(one for one in self.items if one.check is Check.STARTED)
        return ExitCode.DONE if started.result is Result.PASS else ExitCode.HOST_UNREADABLE

    @property
    def unknown(self) -> tuple[Item, ...]:
        """The checks of which nothing is known."""
        return tuple(one for one in self.items if one.result is Result.UNKNOWN)


def explain_vm(evidence: Evidence, wanted: Name) -> Why:
    """Find the VM in the evidence, and judge every step of its start."""
    subject = find_subject(evidence, wanted)
    answers = read_answers(subject)
    told = [*sayings_of(subject), *sayings_of_sidecar(answers), *agent_findings(subject)]
    # What failed before a VM was stopped is not why it does not run.
    sayings = () if subject.is_stopped else current(sorted(told, key=lambda one: one.time), answers.time)
    linted = lint_subject(subject)
    rest = (
        check_gates(subject, linted, sayings),
        check_scheduled(subject, sayings),
        check_allocated(subject, sayings),
        check_sidecar(subject, sayings),
        check_file(subject, sayings, answers),
        check_hook(subject, sayings, answers),
        check_gate(subject, sayings, answers),
        check_defined(subject, sayings),
        check_started(subject, sayings),
        check_arrived(subject),
    )
    items = tuple(_not_reached((check_spec(subject, linted, rest), *rest)))
    last = [f"before it was stopped: {shorten(told[-1].text)}"] if subject.is_stopped and told else []
    return Why(subject, items, (*last, *_notes(subject)))


def _not_reached(items: Sequence[Item]) -> Iterator[Item]:
    """What is unknown behind a failure was not reached, and needs no command."""
    first = next((one for one in items if one.result is Result.FAIL), None)
    for one in items:
        if first and one.result is Result.UNKNOWN and one.check.rank > first.check.rank:
            yield one._replace(message=f"not reached, or not told: {first.check} failed before", command="")
        else:
            yield one


def _notes(subject: Subject) -> Iterator[str]:
    for pod in subject.others[:5]:
        yield f"not looked at: {_state_of(pod)}"
    if subject.others[5:]:
        yield f"not looked at: {len(subject.others) - 5} older pods"
    state = get_map(subject.vmi, "status", "migrationState")
    if state:
        yield _migration(state)
    for name, why in subject.evidence.unread[:5]:
        yield f"{name}: {why}"
    if subject.evidence.unread[5:]:
        names = listed((name for name, _ in subject.evidence.unread[5:]), 3)
        yield f"{len(subject.evidence.unread) - 5} more files could not be read: {names}"
    for gap in subject.evidence.gaps[:10]:
        yield f"{gap.what}: {gap.why}"
    stray = [log.place for log in subject.evidence.logs if _is_stray(subject, log)]
    if stray:
        yield f"not looked at, for it may be another VM's: {listed(dict.fromkeys(stray))}"


def _is_stray(subject: Subject, log: Log) -> bool:
    concerned = log.concerns(subject.pod_name, subject.name, subject.strangers)
    return log.writer in {COMPUTE, SIDECAR} and concerned is None


def _state_of(pod: Fields) -> str:
    phase, reason = (get_text(pod, "status", key) for key in ("phase", "reason"))
    node = get_text(pod, "spec", "nodeName")
    where = f" on {node}" if node else ""
    why = f" ({reason})" if reason else ""
    return f"pod {get_text(pod, 'metadata', 'name')}{where}: {phase or 'unknown'}{why}"


def _migration(state: Fields) -> str:
    nodes = f"from {get_text(state, 'sourceNode') or '?'} to {get_text(state, 'targetNode') or '?'}"
    if state.get("failed"):
        reason = get_text(state, "failureReason")
        return f"its last migration {nodes} failed" + (f": {reason[:300]}" if reason else "")
    return f"it was migrated {nodes}" if state.get("completed") else f"it is being migrated {nodes}"


class Advice(NamedTuple):
    """What the tables have for a failure, with the names of this VM in its commands."""

    cause: str
    hint: str
    remedy: str
    look: str


def advice_for(why: Why, item: Item) -> Advice:
    """What it means, and what to do."""
    row = EXPLAINED[item.finding.code] if item.finding else None
    if row is None or item.finding is None:
        return Advice("", "", "", item.command)
    remedy = row.remedy or f"{row.hint}."
    texts = (row.cause or f"{row.title}.", item.finding.hint, remedy, item.command)
    return Advice(*(_with_names(text, why.subject, item.finding.subject) for text in texts))


_NAME = re.compile(r"(?<![\w./-])(?:POD|NODE|VM|DEVICE|FILE|DOMAIN)(?![\w-])")
_COMMAND = re.compile(r"`[^`]*`|^(?:kubectl|passgate|virtctl) .*$", re.MULTILINE)


def _with_names(text: str, subject: Subject, about: str) -> str:
    """The commands in a text as they are typed for this VM."""
    names = {
        "POD": subject.pod_name,
        "NODE": subject.node,
        "VM": subject.name,
        "DEVICE": about if re.fullmatch(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", about) else "",
    }

    def fill(command: re.Match[str]) -> str:
        filled = _NAME.sub(lambda found: shlex.quote(names.get(found[0]) or found[0]), command[0])
        return add_namespace(filled, subject.namespace if filled != command[0] else "")

    return _COMMAND.sub(fill, text)
