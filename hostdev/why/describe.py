"""What `kubectl describe` prints, as far as it tells how a pod or a VM stands: objects with little in them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hostdev.why.events import Event, described_events

DESCRIBED = "passgate.dev/described"
"""Marks an object that was made of a description: what is not in it may be there all the same."""
_BLOCK = re.compile(r"^Name:\s+(\S+)\s*$")
_KEY = re.compile(r"^( *)([A-Z][A-Za-z0-9 ./()-]*?):(?:\s+(.*))?$")
_CONTAINER = re.compile(r"^  ([a-z0-9][a-z0-9.-]*):\s*$")
_CONDITION = re.compile(r"^  ([A-Z]\w+)\s+(True|False|Unknown)\s*$")
_PAIR = re.compile(r"^\s*(?:Labels:|Annotations:)?\s*([\w./-]+)(?:=|:)\s*(.*)$")
_STATES = {"Waiting": "waiting", "Running": "running", "Terminated": "terminated"}


class Described(NamedTuple):
    """Objects, and the events below them."""

    objects: tuple[dict[str, Any], ...] = ()
    events: tuple[Event, ...] = ()


def read_described(lines: Sequence[str], place: str = "") -> Described:
    """The descriptions in a text; nothing where there are none."""
    starts = [number for number, line in enumerate(lines) if _BLOCK.match(line)]
    objects: list[dict[str, Any]] = []
    events: list[Event] = []
    for start, end in itertools.pairwise([*starts, len(lines)]):
        found = _Block(lines[start:end])
        value = found.object()
        if value is not None:
            metadata = value["metadata"]
            about = (value["kind"], metadata["namespace"], metadata["name"])
            objects.append(value)
            events += described_events(found.section("Events"), about, place)
    return Described(tuple(objects), tuple(events))


class _Block:
    """The lines of one object, by the keys at the margin."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.fields: dict[str, str] = {}
        self._sections: dict[str, list[str]] = {}
        current: list[str] = []
        for line in lines:
            key = _KEY.match(line)
            if key and not key[1]:
                self.fields.setdefault(key[2], (key[3] or "").strip())
                current = self._sections.setdefault(key[2], [])
                if key[3]:
                    current.append(key[3])
            else:
                current.append(line)

    def section(self, name: str) -> list[str]:
        """What stands behind and below a key."""
        return self._sections.get(name, [])

    @property
    def kind(self) -> str:
        if "Kind" in self.fields:
            return self.fields["Kind"]
        if "Containers" in self.fields and "Node" in self.fields:
            return "Pod"
        return "Node" if "Allocatable" in self.fields else ""

    def object(self) -> dict[str, Any] | None:
        """The object, where it is of a kind that is known."""
        kind = self.kind
        if not kind:
            return None
        metadata = {
            "name": self.fields["Name"],
            "namespace": self.fields.get("Namespace", ""),
            "labels": dict(self._pairs("Labels")),
            "annotations": {**dict(self._pairs("Annotations")), DESCRIBED: "true"},
        }
        value: dict[str, Any] = {"kind": kind, "metadata": metadata, "spec": {}, "status": {}}
        if kind == "Pod":
            self._add_pod(value)
        else:
            value["status"] = self._status()
        return value

    def _pairs(self, name: str) -> Iterator[tuple[str, str]]:
        for line in self.section(name):
            pair = _PAIR.match(line)
            if pair:
                yield pair[1], pair[2].strip()

    def _status(self) -> dict[str, Any]:
        """Of a custom resource, whose keys are printed with blanks in them."""
        found: dict[str, Any] = {}
        for line in self.section("Status"):
            key = _KEY.match(line)
            if key and len(key[1]) == 2 and key[3]:
                words = key[2].split(" ")
                found[words[0].lower() + "".join(words[1:])] = key[3].strip()
        return found

    def _add_pod(self, value: dict[str, Any]) -> None:
        node = self.fields.get("Node", "").partition("/")[0]
        value["spec"] = {} if node in {"", "<none>"} else {"nodeName": node}
        names = [found[1] for line in self.section("Containers") if (found := _CONTAINER.match(line))]
        value["spec"]["containers"] = [{"name": name} for name in names]
        conditions = [
            {"type": found[1], "status": found[2]}
            for line in self.section("Conditions")
            if (found := _CONDITION.match(line))
        ]
        told = {"phase": "Status", "reason": "Reason", "message": "Message"}
        value["status"] = {
            **{key: self.fields[title] for key, title in told.items() if self.fields.get(title)},
            "conditions": conditions,
            "containerStatuses": list(_containers(self.section("Containers"))),
        }


def _containers(lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    current: dict[str, Any] = {}
    inner: dict[str, Any] = {}
    for line in lines:
        named = _CONTAINER.match(line)
        if named:
            if current:
                yield current
            current, inner = {"name": named[1], "state": {}, "restartCount": 0}, {}
            continue
        key = _KEY.match(line)
        if current and key and key[3]:
            inner = _container_field(current, inner, key)
    if current:
        yield current


def _container_field(current: dict[str, Any], inner: dict[str, Any], key: re.Match[str]) -> dict[str, Any]:
    depth, title, text = len(key[1]), key[2], key[3].strip()
    if depth == 4 and title in {"State", "Last State"}:
        inner = {}
        current["state" if title == "State" else "lastState"] = {_STATES.get(text, text.lower()): inner}
    elif depth == 6 and title in {"Reason", "Message"}:
        inner[title.lower()] = text
    elif depth == 6 and title == "Exit Code" and text.isdecimal():
        inner["exitCode"] = int(text[:9])
    elif depth == 4 and title == "Ready":
        current["ready"] = text == "True"
    elif depth == 4 and title == "Image":
        current["image"] = text
    return inner


def is_described(value: Mapping[str, Any]) -> bool:
    """Whether an object was made of a description."""
    metadata = value.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return isinstance(annotations, Mapping) and DESCRIBED in annotations
