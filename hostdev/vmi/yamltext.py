"""YAML as the API server and kubectl read it: version 1.1 as their library has it, with the place of every value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from domxml.errors import BadInput
from hostdev.jsontext import MAX_DEPTH, Format

Marks = dict[int, dict[Any, int]]
"""By the id of a mapping or list: where each of its keys or items begins."""

_MANY = 1_000_000
_EXACT = 1 << 53
_CORE = "tag:yaml.org,2002:"
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
"""`n` and `on` are truth values there, which other YAML libraries have given up."""
_NUMERIC = frozenset("+-.0123456789")
_INT = re.compile(r"[-+]?(?:0[bB][01]+|0[oO]?[0-7]+|0[xX][0-9a-fA-F]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[([^\]]*)\]")
# A date is text there, and so is 0000:00:05.0, which YAML 1.1 counts to base 60.


class Repeated(NamedTuple):
    """A key that a mapping has twice; the last one counts, where the file is taken at all."""

    path: str
    key: str
    mark: int
    first: int


class Document(NamedTuple):
    """One document of a file."""

    value: Any
    marks: Marks
    repeated: tuple[Repeated, ...] = ()
    mark: int = 1 << 20 | 1


def position(mark: int) -> tuple[int, int]:
    """Line and column, both counted from 1."""
    return mark >> 20, mark & 0xFFFFF


def path_steps(path: str) -> Iterator[str]:
    """The keys of a place as messages write it: `spec.devices[0]` is spec, devices, 0."""
    for match in _STEP.finditer(path):
        yield (match[1] or match[2] or "").strip('"')


def step_in(value: Any, key: str) -> Any:
    """The key or index of a mapping or list that a step means; None where it has none."""
    if isinstance(value, dict):
        return key if key in value else None
    if isinstance(value, list) and key.isdigit() and int(key) < len(value):
        return int(key)
    return None


def mark_at(value: Any, steps: Iterable[str], marks: Marks, start: int) -> int:
    """Where a place begins, or the nearest thing around it."""
    for key in steps:
        found = step_in(value, key)
        if found is None:
            break
        start = marks.get(id(value), {}).get(found, start)
        value = value[found]
    return start


def read_yaml(data: bytes, format_: Format) -> Iterator[Document]:
    """The documents of a file, one by one; empty ones are passed over."""
    yaml = _library()
    try:
        # Events, not nodes: libyaml's own composer calls itself for each level, and crashes on a deep file.
        events = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(data)
        while not events.check_event(yaml.StreamEndEvent):
            if isinstance(events.get_event(), yaml.DocumentStartEvent):
                document = _Builder(yaml, events, format_).document()
                if document.value is not None:
                    yield document
    except BadInput:
        raise
    except (yaml.YAMLError, ValueError) as error:
        what = f"is not YAML: {_flaw(error)}"
        hint = "indent with spaces; quote what is text"
        raise BadInput(format_.code, what, subject=format_.name, hint=hint) from None


def _library() -> Any:
    try:
        import yaml  # noqa: PLC0415  only files come as YAML
    except ImportError:
        what = "this needs PyYAML, which is not installed"
        raise BadInput("module-missing", what, hint="pip install 'passgate[cli]', or give JSON") from None
    return yaml


def _flaw(error: Any) -> str:
    """The library's words without the name of its buffer; the place at the end."""
    mark = getattr(error, "problem_mark", None)
    words = [getattr(error, "context", None), getattr(error, "problem", None)] if mark else [error]
    text = " ".join(", ".join(str(word) for word in words if word).split())[:200]
    return f"{text} (line {mark.line + 1}, column {mark.column + 1})" if mark else text


class _Builder:
    """From the events of one document to values, and to how many values each unfolds."""

    def __init__(self, yaml: Any, events: Any, format_: Format) -> None:
        self.next = events.get_event
        self.ends = (yaml.MappingEndEvent, yaml.SequenceEndEvent)
        self.kinds = {
            yaml.ScalarEvent: self.scalar,
            yaml.MappingStartEvent: self.mapping,
            yaml.SequenceStartEvent: self.sequence,
            yaml.AliasEvent: self.alias,
        }
        self.format = format_
        self.marks: Marks = {}
        self.repeated: list[Repeated] = []
        self.anchors: dict[str, tuple[Any, int] | None] = {}

    def document(self) -> Document:
        event = self.next()
        value, _ = self.build(event, "", 0)
        return Document(value, self.marks, tuple(self.repeated), _mark(event))

    def build(self, event: Any, path: str, depth: int) -> tuple[Any, int]:
        """The value that begins with an event."""
        anchor = event.anchor
        make = self.kinds[type(event)]
        if make == self.alias:
            return self.alias(event, path, depth)
        if anchor:
            self.anchors[anchor] = None
        built: tuple[Any, int] = make(event, path, depth)
        if anchor:
            self.anchors[anchor] = built
        return built

    def alias(self, event: Any, path: str, _depth: int) -> tuple[Any, int]:
        if event.anchor not in self.anchors:
            raise self.bad(f"is not YAML: found undefined alias {event.anchor!r}", path, "name an anchor above it")
        built = self.anchors[event.anchor]
        if built is None:
            raise self.bad("holds itself", path, "an alias must not lead to what it stands in")
        return built

    def sequence(self, event: Any, path: str, depth: int) -> tuple[Any, int]:
        self.check(event, path, depth)
        value: list[Any] = []
        marks: dict[Any, int] = {}
        size = 1
        while not isinstance(inner := self.next(), self.ends):
            marks[len(value)] = _mark(inner)
            one, more = self.build(inner, f"{path}[{len(value)}]", depth + 1)
            value.append(one)
            size += more
        self.marks[id(value)] = marks
        return value, self.bounded(size, path)

    def mapping(self, event: Any, path: str, depth: int) -> tuple[Any, int]:
        self.check(event, path, depth)
        value: dict[str, Any] = {}
        marks: dict[Any, int] = {}
        merged: list[Any] = []
        size = 1
        while not isinstance(name := self.next(), self.ends):
            if getattr(name, "value", None) == "<<" and name.implicit[0]:
                one, more = self.build(self.next(), path, depth + 1)
                merged += one if isinstance(one, list) else [one]
            else:
                key = self.key(name, path)
                if key in value:
                    self.repeated.append(Repeated(path, key, _mark(name), marks[key]))
                value[key], more = self.build(self.next(), f"{path}.{key}" if path else key, depth + 1)
                marks[key] = _mark(name)
            size += more
        for one in merged:
            if not isinstance(one, dict):
                raise self.bad("merges (<<) what is no mapping", path, "name an anchor of a mapping")
            for key in one:
                if key not in value:
                    value[key] = one[key]
                    marks[key] = self.marks[id(one)][key]
        self.marks[id(value)] = marks
        return value, self.bounded(size, path)

    def check(self, event: Any, path: str, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise self.bad("is nested too deep", "", f"at most {MAX_DEPTH} levels are read")
        if event.tag not in {None, "!", f"{_CORE}map", f"{_CORE}seq"}:
            what = f"is not YAML: could not determine a constructor for the tag {event.tag!r}"
            raise self.bad(what, path, "leave the tag out")

    def bounded(self, size: int, path: str) -> int:
        if size > _MANY:
            raise self.bad(f"its aliases unfold to more than {_MANY} values", path, "write out what is meant")
        return size

    def key(self, event: Any, path: str) -> str:
        """Keys become text, as kubectl does it on the way to JSON."""
        if type(event) not in self.kinds or self.kinds[type(event)] not in {self.scalar, self.alias}:
            raise self.bad("is not YAML: found unhashable key", path, "quote a key that begins with { or [")
        value = self.build(event, path, 0)[0]
        if value is None or isinstance(value, dict | list):
            raise self.bad("has a key that is no text", path, "put it into quotes")
        return str(value).lower() if isinstance(value, bool) else str(value)

    def scalar(self, event: Any, path: str, _depth: int) -> tuple[Any, int]:
        tag, text = event.tag, event.value
        if tag is None:
            return (plain(text) if event.implicit[0] else text), 1
        if tag in {"!", f"{_CORE}str"}:
            return text, 1
        value = plain(text)
        kind = {int: "int", float: "float", bool: "bool", type(None): "null", str: "timestamp"}[type(value)]
        if tag == _CORE + kind or (tag == f"{_CORE}float" and kind == "int"):
            return value, 1
        what = f"is not YAML: could not determine a constructor for the tag {tag!r} of {text[:40]!r}"
        raise self.bad(what, path, "quote what is text")

    def bad(self, what: str, path: str, hint: str) -> BadInput:
        where = f"{self.format.name}: {path}" if path else self.format.name
        return BadInput(self.format.code, what, subject=where, hint=hint)


def _mark(event: Any) -> int:
    line: int = event.start_mark.line
    column: int = event.start_mark.column
    return (line + 1) << 20 | min(column + 1, 0xFFFFF)


def plain(text: str) -> Any:
    """What a scalar without quotes stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if text[:1] not in _NUMERIC:
        return text
    digits = text.replace("_", "")
    if _INT.fullmatch(digits):
        return _whole(digits)
    if not _FLOAT.fullmatch(digits):
        return text
    number = float(digits)
    # JSON has no 2.0: it arrives as 2.
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


def _whole(digits: str) -> int | float:
    """A leading 0 makes it octal, as in C."""
    bare = digits.lstrip("+-")
    base = {"0x": 16, "0b": 2, "0o": 8}.get(bare[:2].lower(), 8 if bare[:1] == "0" and len(bare) > 1 else 10)
    if len(bare) > 40:
        return float("inf")
    number = int(bare.removeprefix("0o").removeprefix("0O") if base == 8 else bare, base)
    return -number if digits[0] == "-" else number
