"""Recordings as TOML: a table for each directory, a line for each file."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from domxml.errors import BadInput
from hostdev.inventory.recorded.recording import Entry, File, Link, Names, Origin, Recording, Unreadable, check_entry

FORMAT = 1
_HEAD = ("machine", "note", *Origin._fields)
HEADER = """\
# A machine as passgate saw it: what a scan reads of /sys, /proc and /dev, as it was.
# A string is a file of one line, a list a file of several. `names` is a directory of which only the names count.
"""
WIDTH = 116
LINES_WIDTH = 240
"""A uevent stays on one line, to be compared with the one below it."""

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def write(recording: Recording) -> str:
    """The text of a recording."""
    head = {"machine": recording.machine, "note": recording.note, **recording.origin._asdict()}
    tables: dict[str, dict[str, Entry]] = {}
    for path, entry in sorted(recording.entries.items()):
        directory, _, name = path.rpartition("/")
        tables.setdefault(directory, {})[name] = entry
    told = "".join(f"{key} = {_string(value)}\n" for key, value in head.items() if value)
    parts = [f"{HEADER}format = {FORMAT}\n{told}"]
    for directory, entries in sorted(tables.items()):
        lines = [f"{_key(name)} = {_value(entry)}\n" for name, entry in entries.items()]
        parts.append(f"[{_string(directory)}]\n" + "".join(lines))
    return "\n".join(parts)


def parse(text: str) -> Recording:
    """Read a recording and check that it stays in its directory."""
    data = read_sections(text)
    if data is None:
        data = {key: Section(key, value) if isinstance(value, dict) else value for key, value in _load(text).items()}
    if data.pop("format", None) != FORMAT:
        raise BadInput("bad-recording", f"has no `format = {FORMAT}`: not a recorded machine", hint=_HINT)
    head = {key: data.pop(key, "") for key in _HEAD}
    for key, value in head.items():
        if not isinstance(value, str):
            raise BadInput("bad-recording", f"{key} is no text", hint=_HINT)
    entries: dict[str, Entry] = {}
    for directory, section in data.items():
        if not isinstance(section, Section):
            raise _bad(directory, "is no table")
        entries |= section.entries
    recording = Recording(head.pop("machine"), head.pop("note"), entries, Origin(**head))
    recording.check_places()
    return recording


def _load(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Not only TOMLDecodeError: a number of thousands of digits is Python's own ValueError.
        raise BadInput("bad-recording", f"not TOML: {error}", hint=_HINT) from None


@dataclass(frozen=True)
class Section:
    """A table of a recording; the name of that before the first header is empty."""

    name: str
    table: Mapping[str, Any]

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """What it holds, each checked."""
        found: dict[str, Entry] = {}
        for name, value in self.table.items():
            path = f"{self.name}/{name}"
            if "/" in name:
                raise _bad(path, f"has {name!r} as a name")
            found[path] = File(f"{value}\n".encode()) if isinstance(value, str) else _entry(path, value)
            check_entry(path, found[path])
        return found


_TEXT = r'"[^"\\\x00-\x1f\x7f]*"'
_TEXTS = rf"\[(?:\n  )?(?:{_TEXT}(?:,(?: |\n  ){_TEXT})*(?:,\n)?)?\]"
_LISTED = re.compile(rf"(\{{ names = )?({_TEXTS})(?(1) \}})", re.ASCII)
"""A list of several lines, or the names in a directory."""
_HEADER = "\n["
_KEPT, _SHORT = 4096, 4096
"""So many sections of at most so many letters are kept."""
_QUOTED = re.compile(_TEXT)
_LINE = re.compile(
    rf"(?:([\w-]+|{_TEXT}) = (?:({_TEXT})|\[({_TEXT}(?:, {_TEXT})*)\]|\{{ (\w+) = ({_TEXT}) \}}|(.*(?:\n[ \]].*)*))"
    rf"|\[({_TEXT})\]|#[^\x00-\x1f\x7f]*|)\n",
    re.ASCII,
)
"""A line as `write` writes it; a value that goes on below."""


def read_sections(text: str) -> dict[str, Any] | None:
    """The sections of what `write` wrote, and the lines of the head, much faster than TOML is read; else None."""
    head, *pieces = text.split(_HEADER)
    first = None if head.startswith("[") else _read_section(f"{head}\n" if pieces else head)
    if first is None:
        return None
    data = dict(first.table)
    for number, piece in enumerate(pieces, 1):
        # No value goes on in a line that begins with a bracket.
        read = _read_again if len(piece) < _SHORT else _read_section
        section = read(f"[{piece}\n" if number < len(pieces) else f"[{piece}")
        if section is None or section.name in data:
            return None
        data[section.name] = section
    return data


def _read_section(text: str) -> Section | None:
    name, table, at, match_at = "", dict[str, Any](), 0, _LINE.match
    while match := match_at(text, at):
        at = match.end()
        key, plain, lines, kind, special, other, header = match.groups()
        if key and (key := key.strip('"')) in table:
            return None
        if plain is not None:
            table[key] = plain[1:-1]
        elif lines is not None:
            table[key] = lines[1:-1].split('", "')
        elif kind is not None:
            table[key] = {kind: special[1:-1]}
        elif other is not None:
            value = _value_of(other)
            if value is None:
                return None
            table[key] = value
        elif header is not None:
            name = header[1:-1]
    return Section(name, table) if at == len(text) else None


_read_again = lru_cache(maxsize=_KEPT)(_read_section)
"""Snapshots of one node, and of nodes of one model, have most of their sections in common."""


def _value_of(text: str) -> Any:
    listed = _LISTED.fullmatch(text)
    if listed:
        texts = [quoted[1:-1] for quoted in _QUOTED.findall(listed[2])]
        return {"names": texts} if listed[1] else texts
    try:
        found = tomllib.loads(f"v = {text}\n")
    except (ValueError, RecursionError):
        return None
    return found["v"] if len(found) == 1 else None


def _entry(path: str, value: Any) -> Entry:
    if isinstance(value, list):
        return File("".join(f"{line}\n" for line in _texts(path, value)).encode())
    if isinstance(value, dict) and len(value) == 1:
        kind, content = next(iter(value.items()))
        if kind == "names" and isinstance(content, list):
            return Names(tuple(_texts(path, content)))
        if isinstance(content, str):
            return _special(path, kind, content)
    raise _bad(path, "is neither text, a list of lines, nor one of link, names, hex, unreadable")


def _special(path: str, kind: str, content: str) -> Entry:
    if kind == "link":
        return Link(content)
    if kind == "unreadable":
        return Unreadable(content)
    try:
        if kind == "hex":
            return File(bytes.fromhex(content))
    except ValueError:
        raise _bad(path, f"has hex = {content[:20]!r}, which is not hexadecimal") from None
    raise _bad(path, f"is of the unknown kind {kind!r}")


def _texts(path: str, values: list[Any]) -> Iterable[str]:
    if not all(isinstance(value, str) for value in values):
        raise _bad(path, "is a list with something else than text in it")
    return values


def _value(entry: Entry) -> str:
    if isinstance(entry, Link):
        return f"{{ link = {_string(entry.target)} }}"
    if isinstance(entry, Unreadable):
        return f"{{ unreadable = {_string(entry.reason)} }}"
    if isinstance(entry, Names):
        return f"{{ names = {_list([_string(name) for name in entry.names], WIDTH, fill=True)} }}"
    try:
        text = entry.content.decode()
    except UnicodeDecodeError:
        text = ""
    if not text.endswith("\n"):
        return f'{{ hex = "{entry.content.hex()}" }}'
    lines = [_string(line) for line in text[:-1].split("\n")]
    return lines[0] if len(lines) == 1 else _list(lines, LINES_WIDTH, fill=False)


def _list(items: list[str], width: int, *, fill: bool) -> str:
    line = f"[{', '.join(items)}]"
    if len(line) <= width:
        return line
    rows: list[str] = []
    for item in items:
        if fill and rows and len(rows[-1]) + len(item) < WIDTH:
            rows[-1] += f", {item}"
        else:
            rows.append(item)
    return "[\n" + "".join(f"  {row},\n" for row in rows) + "]"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    # TOML's basic strings are JSON's, except that DEL has to be escaped, and that half a surrogate pair is nothing.
    whole = json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)
    if whole.isprintable():
        return whole
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in whole)


def _bad(path: str, what: str) -> BadInput:
    return BadInput("bad-recording", what, subject=repr(path), hint=_HINT)


_HINT = "record the machine again: passgate node snapshot"
