"""What a cluster told of a VM: objects, events, logs; and what was asked for and could not be had, with the reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hostdev.kubevirt.spec import Fields, get_text
from hostdev.why.events import Event

COMPUTE, SIDECAR, AGENT, HANDLER, KERNEL, FILE = "compute", "sidecar", "agent", "handler", "kernel", "allocation"
"""Who wrote a log; the last is the allocation file of a pod, as it lies there."""
WRITERS = {
    "virt-launcher": COMPUTE,
    "virt-launcher-monitor": COMPUTE,
    "passgate-hook": SIDECAR,
    "passgate-agent": AGENT,
    "virt-handler": HANDLER,
}
"""By the `component` of a line."""
_LAUNCHER = re.compile(r"virt-launcher-[a-z0-9.-]*[a-z0-9]")
_PARTS = r"(?:compute|hook-sidecar-\d+|passgate|guest-console-log|virt-launcher|previous|current|logs?|[a-z0-9]{5}\b)"


class Line(NamedTuple):
    """One line of a log: JSON's fields, or the bare text."""

    text: str
    fields: Fields
    number: int

    @property
    def time(self) -> str:
        """When it was written, as events have it."""
        found = get_text(self.fields, "timestamp").removesuffix("Z")
        return found.removesuffix("+00:00")

    @property
    def message(self) -> str:
        return get_text(self.fields, "msg") or self.text


class Log(NamedTuple):
    """The lines of one writer."""

    writer: str
    place: str
    """The file, or the command, that they are from."""
    lines: tuple[Line, ...]
    pod: str = ""
    container: str = ""

    def concerns(self, pod: str, vm: str, strangers: Sequence[str]) -> bool | None:
        """Whether it is of a pod or of its VM; None where nothing tells, and another VM could have written it."""
        launcher = self.pod or next(iter(_LAUNCHER.findall(self.place)), "")
        if pod and (self.pod == pod or _names(self.place, pod)):
            return True
        if launcher:
            # Of a pod that is not told, its name alone says whose it is.
            return not pod and _names(launcher, f"virt-launcher-{vm}")
        spoken = {get_text(line.fields, "name") or _after_slash(line.fields) for line in self.lines[:2000]} - {""}
        others = [one for one in strangers if _names(self.place, one) and not _names(vm, one)]
        if vm in spoken or (_names(self.place, vm) and not others):
            return True
        if others or spoken & set(strangers):
            return False
        return None if strangers else True


class Gap(NamedTuple):
    """Something that was asked for and was not told."""

    what: str
    """`events`, `pods`, `virtualmachines`, `log compute` and so on."""
    why: str


class Evidence(NamedTuple):
    """All of it."""

    source: str
    objects: tuple[Fields, ...] = ()
    events: tuple[Event, ...] = ()
    logs: tuple[Log, ...] = ()
    gaps: tuple[Gap, ...] = ()
    asked: frozenset[str] = frozenset()
    """What was asked for and answered as a whole: of this, what is not there does not exist."""
    unread: tuple[tuple[str, str], ...] = ()
    """Files that could not be read, and why."""
    answers: Mapping[str, Fields] = {}
    """Documents of Passgate's own, from the agent, by their kind."""

    def of_kind(self, *kinds: str) -> list[Fields]:
        """The objects of some kinds."""
        return [one for one in self.objects if one.get("kind") in kinds]

    def gap(self, *names: str) -> str:
        """Why something is not there; empty where it was never asked for, or is there."""
        return next((f"{gap.what}: {gap.why}" for gap in self.gaps if gap.what in names), "")

    def written_by(self, writer: str) -> Iterator[Log]:
        """The logs of one writer."""
        return (log for log in self.logs if log.writer == writer)


def read_line(text: str, number: int) -> Line:
    """A line, with its fields if it is one of JSON."""
    fields: Any = None
    if text.startswith("{") and len(text) < 1 << 20:
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            fields = None
    return Line(text, fields if isinstance(fields, dict) else {}, number)


def _after_slash(fields: Fields) -> str:
    """The VM in a line of the sidecar's: `default/crypto`."""
    return get_text(fields, "vm").rpartition("/")[2]


def _names(place: str, name: str) -> bool:
    """Whether a path names something, and not something longer; what joins a pod and its container may be a dash."""
    if not name or name not in place:
        return False
    return re.search(rf"(?<![a-z0-9-]){re.escape(name)}(?:(?![a-z0-9-])|(?=-{_PARTS}))", place) is not None
