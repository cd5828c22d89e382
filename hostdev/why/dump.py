"""Files of a dump become evidence: objects and events in JSON or YAML, descriptions, tables, logs under any name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from domxml.errors import BadInput
from hostdev.jsontext import Format, check_plain, parse_json, stream
from hostdev.kubevirt.spec import Fields, get_text
from hostdev.printing.documents import document
from hostdev.vmi.yamltext import read_yaml
from hostdev.why.describe import read_described
from hostdev.why.events import Event, event_of, is_event, table_events
from hostdev.why.evidence import (
    AGENT,
    COMPUTE,
    FILE,
    HANDLER,
    KERNEL,
    SIDECAR,
    WRITERS,
    Evidence,
    Gap,
    Line,
    Log,
    read_line,
)

LARGEST, LARGEST_YAML = 64 << 20, 8 << 20
MOST_LINES = 200_000
INDEX = "WhyDump"
"""The kind of the document in which `--collect` tells what it asked for."""
_OBJECT = re.compile(r"^(?:- )?(?:apiVersion|kind|items|metadata)\s*:", re.MULTILINE)
_REFUSED = re.compile(r"^Error from server \((\w+)\): ([a-z.]+)(?: \"[^\"]*\")? (.{0,300})", re.MULTILINE)
_PREFIX = re.compile(r"^\[pod/([a-z0-9.-]+)/([a-z0-9-]+)\] ?")
_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) (?:(?:stdout|stderr) [FP] )?(?=[{\[]|\S+: |panic)")
"""What `kubectl logs --timestamps` and the node's own files put in front of each line."""
_KERNEL = re.compile(r"^(?:<\d+>)?\[\s*\d+\.\d{3,9}\] |^\w{3} +\d+ \S+ \S+ kernel: |^\S+T\S+ \S+ kernel: ")
_ALLOCATION = re.compile(r"^(?:#passgate-agent=1|[A-Z][A-Z0-9_.-]*=(?:[0-9a-f]{4}:|[0-9a-f]{8}-))")
_FORMS = (b"\xff\xfe", b"\xfe\xff")
_NAMED = (
    (re.compile(r"hook-sidecar|passgate-hook|(?<![a-z])sidecar"), SIDECAR),
    (re.compile(r"passgate-agent|(?<![a-z])agent"), AGENT),
    (re.compile(r"virt-handler"), HANDLER),
    (re.compile(r"dmesg|journal|kern(?:el)?(?:\.log)?$"), KERNEL),
    (re.compile(r"compute|virt-launcher|launcher"), COMPUTE),
)
"""Writers by the names of files, where the lines do not say."""
_KIND_OF = (
    (("status", "nodeInfo"), "Node"),
    (("spec", "containers"), "Pod"),
    (("spec", "template", "spec", "domain"), "VirtualMachine"),
    (("spec", "domain"), "VirtualMachineInstance"),
)


class File(NamedTuple):
    """A file of a dump, or one answer of kubectl."""

    name: str
    data: bytes


def index_file(asked: Iterable[str], gaps: Iterable[Gap], left_out: Sequence[str] = ()) -> File:
    """What a dump says of itself: what was asked for, what there was no answer to, and what is not in it."""
    told = [{"what": gap.what, "why": gap.why} for gap in dict.fromkeys(gaps)]
    index = document("WhyDump", asked=sorted(set(asked)), gaps=told, leftOut=list(left_out))
    return File("index.json", (json.dumps(index, indent=2) + "\n").encode())


def read_dump(source: str, files: Iterable[File], unread: Sequence[tuple[str, str]] = ()) -> Evidence:
    """Everything that the files tell."""
    reader = _Reader()
    for file in files:
        reader.read(file)
    return reader.evidence(source, unread)


class _Reader:
    def __init__(self) -> None:
        self.objects: list[Fields] = []
        self.events: list[Event] = []
        self.logs: list[Log] = []
        self.gaps: list[Gap] = []
        self.asked: set[str] = set()
        self.unread: list[tuple[str, str]] = []
        self.answers: dict[str, Fields] = {}

    def evidence(self, source: str, unread: Sequence[tuple[str, str]]) -> Evidence:
        objects = {_identity(one, index): one for index, one in enumerate(self.objects)}
        return Evidence(
            source,
            tuple(objects.values()),
            _events_once(self.events),
            tuple(self.logs),
            tuple(dict.fromkeys(self.gaps)),
            frozenset(self.asked),
            (*unread, *self.unread),
            self.answers,
        )

    def read(self, file: File) -> None:
        """Take one file in, as what it looks like."""
        if len(file.data) > LARGEST:
            self.unread.append((file.name, f"has more than {LARGEST >> 20} MiB"))
            return
        text = _decoded(file.data)
        bare = text.lstrip("\ufeff \t\r\n")
        if not bare:
            return
        values = self._values(file.name, text, bare)
        if values is None:
            self._text(file.name, text)
        for value in values or ():
            self._take(value, file.name)

    def _values(self, name: str, text: str, bare: str) -> list[Any] | None:
        """The documents of a file; None where it is text for people."""
        if bare[0] in "{[":
            return self._json(name, bare)
        if not _OBJECT.search(bare) or _PREFIX.match(bare):
            return None
        if len(text) > LARGEST_YAML:
            self.unread.append((name, f"has more than {LARGEST_YAML >> 20} MiB of YAML; give JSON (-o json)"))
            return []
        found: list[Any] = []
        format_ = Format(name, "bad-dump", LARGEST_YAML)
        try:
            for document in read_yaml(bare.encode(), format_):
                check_plain(document.value, format_)
                found.append(document.value)
        except BadInput as error:
            # A log, or a description, may have such words at the margin as well.
            is_prose = re.search(r"^(?:Name|Events):\s", bare, re.MULTILINE) or not re.match(r"(?:- )?\w+:", bare)
            if is_prose and not any(isinstance(one, dict) for one in found):
                return None
            self.unread.append((name, f"{error.message}: the rest of it is not looked at"))
        return found

    def _json(self, name: str, bare: str) -> list[Any] | None:
        try:
            value = parse_json(bare, Format(name, "bad-dump", LARGEST))
        except BadInput as error:
            first = read_line(bare.partition("\n")[0].strip(), 1)
            if first.fields and not _looks_like_object(first.fields):
                return None
            try:
                # `kubectl get -o json` several times into one file.
                return [one for one in stream(bare) if isinstance(one, dict | list)]
            except ValueError:
                if bare[0] == "[":
                    return None
                self.unread.append((name, error.message))
                return []
        if isinstance(value, dict) and not _looks_like_object(value) and ("msg" in value or "level" in value):
            return None
        return [value]

    def _take(self, value: Any, place: str) -> None:
        if isinstance(value, list):
            for one in value:
                self._take(one, place)
        if not isinstance(value, dict):
            return
        kind, items = value.get("kind"), value.get("items")
        if kind == INDEX:
            self._index(value)
        elif str(value.get("apiVersion", "")).startswith("passgate.dev/"):
            self.answers[str(kind)] = value
        elif isinstance(kind, str) and kind.endswith("List") and isinstance(items, list):
            named = kind.removesuffix("List")
            self._take([{"kind": named, **one} if named and isinstance(one, dict) else one for one in items], place)
        elif is_event(value):
            self.events.append(event_of(value, place))
        elif isinstance(value.get("metadata"), dict):
            self.objects.append({**value, "kind": kind if isinstance(kind, str) and kind else _kind_of(value)})

    def _index(self, value: Fields) -> None:
        asked, gaps = value.get("asked"), value.get("gaps")
        self.asked.update(one for one in asked if isinstance(one, str)) if isinstance(asked, list) else None
        for one in gaps if isinstance(gaps, list) else ():
            if isinstance(one, dict):
                self.gaps.append(Gap(get_text(one, "what")[:80], get_text(one, "why")[:300]))

    def _text(self, name: str, text: str) -> None:
        lines = text.splitlines()
        if len(lines) > MOST_LINES:
            self.unread.append((name, f"has {len(lines)} lines: the last {MOST_LINES} were looked at"))
            lines = lines[-MOST_LINES:]
        for refused in _REFUSED.finditer("\n".join(lines[:200])):
            self.gaps.append(Gap(refused[2].partition(".")[0], f"{refused[1]}: {refused[3]}"))
        described = read_described(lines, name)
        self.objects += described.objects
        events = [*described.events, *table_events(lines, name)]
        self.events += events
        if not described.objects and not events:
            self.logs += _logs(name, lines)


def _logs(name: str, lines: Sequence[str]) -> Iterator[Log]:
    """The lines by who wrote them: one file may hold the logs of several containers."""
    usual = next((writer for pattern, writer in _NAMED if pattern.search(name.rpartition("/")[2])), "") or next(
        (writer for pattern, writer in _NAMED if pattern.search(name)), ""
    )
    found: dict[tuple[str, str, str], list[Line]] = {}
    writer, pod, container = usual, "", ""
    if any(map(_ALLOCATION.match, lines[:50])) and not any(line.startswith("{") for line in lines[:50]):
        yield Log(FILE, name, tuple(Line(line, {}, number) for number, line in enumerate(lines, 1)))
        return
    for number, raw in enumerate(lines, start=1):
        prefix = _PREFIX.match(raw)
        text = raw[prefix.end() :] if prefix else raw
        if prefix and (prefix[1], prefix[2]) != (pod, container):
            pod, container = prefix[1], prefix[2]
            writer = next((one for pattern, one in _NAMED if pattern.search(container)), usual)
        line = read_line(_STAMP.sub("", text) if text[:2] == "20" else text, number)
        component = get_text(line.fields, "component")
        if component:
            writer = WRITERS.get(component, usual)
        elif _KERNEL.match(text):
            writer = KERNEL
        found.setdefault((writer or COMPUTE, pod, container), []).append(line)
    for (one, of_pod, of_container), told in found.items():
        yield Log(one, name, tuple(told), of_pod, of_container)


def _decoded(data: bytes) -> str:
    """Text as shells write it into files, Windows' own included."""
    if data.startswith(_FORMS):
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8", errors="replace")


def _looks_like_object(value: Fields) -> bool:
    return isinstance(value.get("kind"), str) and bool(value["kind"]) and ("metadata" in value or "items" in value)


def _kind_of(value: Fields) -> str:
    for path, kind in _KIND_OF:
        found: Any = value
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if found is not None:
            return kind
    return ""


def _identity(value: Fields, index: int) -> tuple[str, ...]:
    """The same object twice in a dump is one; the later one counts."""
    metadata = value.get("metadata")
    name = get_text(metadata, "name")
    keys = (get_text(metadata, "namespace"), name, get_text(metadata, "uid"))
    return (get_text(value, "kind"), *keys) if name else (str(index),)


def _events_once(events: Sequence[Event]) -> tuple[Event, ...]:
    """Without those that two files tell."""
    return tuple({one._replace(place=""): one for one in events}.values())
