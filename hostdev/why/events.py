"""Events as one value, whatever told them: v1, events.k8s.io/v1, `kubectl get events`, `kubectl describe`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hostdev.kubevirt.spec import get_map, get_text

LONGEST = 16384
"""Letters of a message that are looked at."""
_TABLE = re.compile(r"^(?:\s*NAMESPACE\s+)?\s*LAST SEEN\s+TYPE\s+REASON\s+OBJECT\s")
_ROW = re.compile(
    r"^\s*(?:(?P<namespace>[a-z0-9][a-z0-9-]*)\s+)?(?P<age>[0-9][0-9a-z]*|<\w+>|\S+ \(x\d+ over \S+\))\s+"
    r"(?P<type>Normal|Warning)\s+(?P<reason>\S+)\s+(?P<kind>[a-z][a-z.-]*)/(?P<name>[a-z0-9][a-z0-9.-]*)\s+(?P<rest>.*)$"
)
_DESCRIBED = re.compile(
    r"^\s{2,}(?P<type>Normal|Warning)\s+(?P<reason>\S+)\s+(?P<age>\S+|<\w+>)"
    r"(?:\s+\(x(?P<count>\d{1,9}) over \S+\))?\s{2,}(?P<from>\S+(?: \S+)*?)\s{2,}(?P<message>.*)$"
)
_AGE = re.compile(r"(\d{1,9})([smhdy])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "y": 31536000}
_KINDS = {
    "virtualmachine": "VirtualMachine",
    "vm": "VirtualMachine",
    "virtualmachineinstance": "VirtualMachineInstance",
    "vmi": "VirtualMachineInstance",
    "pod": "Pod",
    "node": "Node",
}


class Event(NamedTuple):
    """One event, or many of the same kind that the API server has put together."""

    reason: str
    message: str
    kind: str = ""
    name: str = ""
    namespace: str = ""
    uid: str = ""
    field: str = ""
    """The part of the object: `spec.containers{compute}`."""
    warning: bool = False
    times: int = 1
    last: str = ""
    """When it came last, in UTC as RFC 3339 has it; by its age (`~…`) where only that is told."""
    place: str = ""

    def is_about(self, kind: str, name: str, namespace: str = "", uid: str = "") -> bool:
        """Whether it is about an object; of what one of the two does not tell, nothing differs."""
        same = self.kind in {"", kind} and self.name == name and namespace in {"", self.namespace or namespace}
        return same and (not uid or self.uid in {"", uid})

    @property
    def where(self) -> str:
        """The event as a reader finds it again."""
        return f"event {self.reason} of {self.kind.lower() or 'object'}/{self.name}"


def is_later(one: str, other: str) -> bool:
    """Whether a time comes after another; an age and a time cannot be compared."""
    return bool(one and other) and (one[0] == "~") is (other[0] == "~") and one > other


def _age(text: str) -> str:
    """An age as kubectl writes it, such as 3m10s, as a time that sorts."""
    parts = _AGE.findall(text.partition(" ")[0])
    seconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
    return f"~{10**12 - seconds:013d}" if parts else ""


def is_event(value: Mapping[str, Any]) -> bool:
    """Whether an object is an event, whatever it calls itself: `kubectl get --raw` and lists leave kinds out."""
    about, kind = value.get("involvedObject", value.get("regarding")), value.get("kind")
    return (kind is None or kind == "Event") and isinstance(about, Mapping) and "reason" in value


def event_of(value: Mapping[str, Any], place: str = "") -> Event:
    """The event in an object of either API."""
    about = get_map(value, "involvedObject") or get_map(value, "regarding")
    message = get_text(value, "message") or get_text(value, "note")
    counts = (value.get("count"), value.get("deprecatedCount"), get_map(value, "series").get("count"))
    return Event(
        get_text(value, "reason"),
        message[:LONGEST],
        get_text(about, "kind"),
        get_text(about, "name"),
        get_text(about, "namespace") or get_text(value, "metadata", "namespace"),
        get_text(about, "uid"),
        get_text(about, "fieldPath"),
        warning=get_text(value, "type") == "Warning",
        times=max((count for count in counts if isinstance(count, int)), default=1) or 1,
        last=_last(value),
        place=place,
    )


def _last(value: Mapping[str, Any]) -> str:
    """The latest of its times; those of microseconds sort with those of seconds."""
    times = (
        get_text(value, "series", "lastObservedTime"),
        *(get_text(value, key) for key in ("lastTimestamp", "deprecatedLastTimestamp", "eventTime", "firstTimestamp")),
    )
    known = sorted(time.removesuffix("Z") for time in times if time)
    return known[-1] if known else get_text(value, "metadata", "creationTimestamp").removesuffix("Z")


def table_events(lines: Sequence[str], place: str = "") -> Iterator[Event]:
    """The rows of `kubectl get events` in a text."""
    inside = False
    for line in lines:
        if _TABLE.match(line):
            inside = True
        elif inside and (row := _ROW.match(line)):
            kind = row["kind"].partition(".")[0]
            yield Event(
                row["reason"],
                row["rest"][:LONGEST],
                _KINDS.get(kind, kind.capitalize()),
                row["name"],
                row["namespace"] or "",
                warning=row["type"] == "Warning",
                last=_age(row["age"]),
                place=place,
            )


def described_events(lines: Sequence[str], about: tuple[str, str, str], place: str = "") -> Iterator[Event]:
    """The table below `Events:` of `kubectl describe`, of an object by its kind, namespace and name."""
    kind, namespace, name = about
    current: Event | None = None
    for line in lines:
        row = _DESCRIBED.match(line)
        if row:
            if current:
                yield current
            current = Event(
                row["reason"],
                row["message"][:LONGEST],
                kind,
                name,
                namespace,
                warning=row["type"] == "Warning",
                times=int(row["count"] or 1),
                last=_age(row["age"]),
                place=place,
            )
        elif current and line.strip():
            # A message of several lines goes on at the margin.
            current = current._replace(message=f"{current.message}\n{line.strip()}"[:LONGEST])
    if current:
        yield current
