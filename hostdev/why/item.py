"""A step of the start as it was judged: passed, failed, or unknown with what to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import wraps
from typing import Any, NamedTuple, ParamSpec

from domxml.finding import Evidence as Seen
from domxml.finding import Finding, Severity
from domxml.text import visible
from hostdev.findings.explain import EXPLAINED, LOOK
from hostdev.kubevirt.spec import get_text
from hostdev.why.sayings import Saying
from hostdev.why.steps import Check
from hostdev.why.subject import Subject

P = ParamSpec("P")

MOST_SHOWN = 600
"""Letters of a foreign text in an answer."""
_DEVICES = (
    re.compile(r"\b[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b"),
    re.compile(r"(?<!containers/)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"),
    re.compile(r"/dev/vfio/(?:devices/)?\w+"),
    re.compile(r"\bgroup \d+\b"),
)
"""What names a device, the most exact first."""
_RESOURCE = re.compile(r"\b[a-z0-9-]+(?:\.[a-z0-9-]+)+/[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_LIBRARY = re.compile(r"/(?:dev|var|sys|opt|proc|run)/")


class Result(StrEnum):
    """What came of a check; unknown is never passed."""

    PASS = "PASS"  # noqa: S105  no password
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


class Item(NamedTuple):
    """One check and its result."""

    check: Check
    result: Result
    looked: str
    message: str
    finding: Finding | None = None
    command: str = ""
    """What to type to know more."""
    one_of: tuple[str, ...] = ()
    """Codes of which one explains a failure, where the text does not tell which."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; its keys are a contract."""
        return {
            "check": str(self.check),
            "result": str(self.result),
            "looked": self.looked,
            "message": self.message,
            "command": self.command,
        }


def mark_passed(check: Check, looked: str, message: str) -> Item:
    return Item(check, Result.PASS, visible(looked), shorten(message))


def mark_unknown(check: Check, looked: str, message: str, command: str = "") -> Item:
    return Item(check, Result.UNKNOWN, visible(looked), shorten(message), command=command)


def first_answer(answers_of: Callable[P, Iterator[Item | None]]) -> Callable[P, Item]:
    """A check that names its answers one after another; the first counts."""

    @wraps(answers_of)
    def check(*args: P.args, **kwargs: P.kwargs) -> Item:
        return next(answer for answer in answers_of(*args, **kwargs) if answer is not None)

    return check


def mark_failed(check: Check, where: str, code: str, message: str, subject: str) -> Item:
    """A failure with its code: the row of it tells what to do."""
    text = shorten(message)
    row = EXPLAINED[code]
    finding = Finding(code, Severity.ERROR, visible(subject), text, row.hint, (Seen(visible(where), text),))
    return Item(check, Result.FAIL, visible(where), text, finding, LOOK.get(code, ""))


def failure_of(subject: Subject, check: Check, sayings: Iterable[Saying], otherwise: str) -> Item | None:
    """The failure that sayings about a step make; the first that is explained, else the first."""
    mine = [one for one in sayings if one.check is check]
    if not mine:
        return None
    told = min(mine, key=lambda one: (one.is_wrapper, not one.code, not one.one_of))
    times = f" ({told.times} times)" if told.times > 1 else ""
    text = without_wrapping(told.text)
    item = mark_failed(check, told.where + times, told.code or otherwise, text, device_of(text, subject))
    if told.code or not told.one_of or item.finding is None:
        return item
    hint = f"what is known of this text is one of {', '.join(told.one_of)}: `passgate node explain CODE` tells each"
    return item._replace(finding=item.finding._replace(hint=hint), one_of=told.one_of)


_WRAPPING = re.compile(
    r"^(?:server error\. )?(?:command Sync\w+ failed: )?[\"']?"
    r"(?:rpc error: code = \w+ desc = (?![\"'])|(?=LibvirtError\())"
)


def without_wrapping(text: str) -> str:
    """What a program said, without what those that handed it on have put around it."""
    found = _WRAPPING.match(text)
    if not found or not found.end():
        return text
    bare = text[found.end() :]
    return bare[:-1] if bare[-1:] in {'"', "'"} and bare[-1:] in found[0] else bare


def device_of(text: str, subject: Subject) -> str:
    """The device, resource or VM that a sentence is about."""
    device = next((found[0] for pattern in _DEVICES if (found := pattern.search(text.lower()))), "")
    if device:
        return device
    bare = _LIBRARY.sub(" ", text)
    resource = next((found for found in _RESOURCE.findall(bare) if not found.endswith((".go", ".sock"))), "")
    return resource or subject.label


def shorten(text: str) -> str:
    """A foreign text on one line that a terminal can bear."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= MOST_SHOWN else f"{line[: MOST_SHOWN - 1]}…"


def kubectl(subject: Subject, verb: str, *words: str) -> str:
    """A command line for kubectl, with the namespace."""
    space = ("-n", subject.namespace) if subject.namespace else ()
    return shlex.join(("kubectl", verb, *space, *words))


def agent_command(subject: Subject, *words: str) -> str:
    """A command line for `passgate node` in the agent's pod on the VM's node."""
    agent, space = (get_text(subject.agent, "metadata", key) for key in ("name", "namespace"))
    where = f"-n {space} {agent}" if agent else f"-n passgate AGENT-POD-OF-{subject.node or 'NODE'}"
    return " ".join(("kubectl exec", where, "-- passgate node", *words))


def start_command(subject: Subject) -> str:
    """The command that starts the VM."""
    return shlex.join(("virtctl", "start", *(("-n", subject.namespace) if subject.namespace else ()), subject.name))
