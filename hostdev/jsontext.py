"""From the text of JSON documents to values: strictly where an author wrote them, forgivingly where strangers did."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from domxml.errors import BadInput
from hostdev.jsonutil import join_path, show_value

MAX_DEPTH = 64
_MANY = 100_000
"""A value that holds itself has no end."""
_PLAIN = frozenset({bool, int, type(None)})
_Trail: TypeAlias = "tuple[_Trail, str | int] | None"


class Format(NamedTuple):
    """The kind of text to read: how errors name it, what places in it begin with, and how much of it may come."""

    name: str
    code: str
    limit: int
    root: str = ""


def parse_json(text: str | bytes, format_: Format) -> Any:
    """Read JSON; no duplicate keys, no NaN, nothing endless, and never anything but a `BadInput`."""
    check_size(text, format_)
    try:
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadInput(format_.code, f"is not JSON: {error.msg} ({where})", subject=format_.name) from None
    except UnicodeDecodeError:
        raise BadInput(format_.code, "is not UTF-8 text", subject=format_.name) from None
    except ValueError:
        raise BadInput(format_.code, "holds a number that is too long", subject=format_.name) from None
    except RecursionError:
        raise _too_deep(format_.name, format_) from None
    check_plain(value, format_)
    return value


def check_size(text: str | bytes, format_: Format) -> None:
    """Refuse what is empty or too much."""
    if not text.strip():
        raise BadInput(format_.code, "is empty", subject=format_.name, hint="leave it out, or write JSON")
    if len(text) > format_.limit:
        what = f"is {len(text)} bytes long, at most {format_.limit} are read"
        raise BadInput(format_.code, what, subject=format_.name, hint="nothing that makes sense here is that long")


def check_plain(value: Any, format_: Format) -> None:
    """Refuse a value that holds anything JSON has no word for; a value that holds itself is looked at once."""
    if _is_surely_plain(value):
        return
    seen: set[int] = set()
    waiting: list[tuple[Any, _Trail, int]] = [(value, None, 0)]
    while waiting:
        found, trail, depth = waiting.pop()
        flaw = _flaw(found)
        if flaw:
            raise BadInput(format_.code, flaw.message, subject=_path(format_, trail), hint=flaw.hint)
        if isinstance(found, dict | list):
            if id(found) in seen:
                continue
            seen.add(id(found))
            if depth == MAX_DEPTH:
                raise _too_deep(_path(format_, trail), format_)
            items: Iterable[tuple[Any, Any]] = found.items() if isinstance(found, dict) else enumerate(found)
            waiting += [(inner, (trail, key), depth + 1) for key, inner in items]


def _is_surely_plain(value: Any) -> bool:
    """A quick look is enough, as for nearly every document: texts in ASCII, whole numbers, not deep."""
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for found in level:
            kind = type(found)
            if kind is dict and _are_ascii(found):
                below += found.values()
            elif kind is list:
                below += found
            elif kind not in _PLAIN and not (kind is str and found.isascii()):
                return False
        if not below or len(below) > _MANY:
            return not below
        level = below
    return False


def _are_ascii(keys: Iterable[Any]) -> bool:
    try:
        return all(map(str.isascii, keys))
    except TypeError:
        return False


def duplicate_key(keys: Iterable[str]) -> str | None:
    """A key that is there more than once."""
    return next((key for key, count in Counter(keys).items() if count > 1), None)


class _Flaw(NamedTuple):
    """Stands in the parsed document for what should not be there, so that it can be told with its place."""

    message: str
    hint: str = ""


def _pairs(pairs: list[tuple[str, Any]]) -> Any:
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    return _Flaw(f"has the key {show_value(duplicate_key(key for key, _ in pairs))} twice", "keep one of them")


def _constant(name: str) -> _Flaw:
    return _Flaw(f"is {name}, which JSON does not know", "write a number")


def _flaw(value: Any) -> _Flaw | None:
    if isinstance(value, _Flaw):
        return value
    if isinstance(value, dict):
        return next(filter(None, map(_key_flaw, value)), None)
    if isinstance(value, str):
        return None if _is_text(value) else _Flaw("holds half a character (a lone surrogate)")
    if isinstance(value, float) and value - value != 0:
        return _Flaw("is no finite number")
    if value is None or isinstance(value, list | int | float):
        return None
    return _Flaw(f"is of type {type(value).__name__}, which JSON does not know", "put it into quotes")


def _key_flaw(key: Any) -> _Flaw | None:
    if isinstance(key, str) and _is_text(key):
        return None
    return _Flaw(f"has a key that is no text: {ascii(key)[:60]}", "put it into quotes")


def _is_text(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _too_deep(path: str, format_: Format) -> BadInput:
    return BadInput(format_.code, "is nested too deep", subject=path, hint=f"at most {MAX_DEPTH} levels are read")


def _path(format_: Format, trail: _Trail) -> str:
    if trail is None:
        return format_.name
    path = format_.root
    for key in reversed(list(_keys(trail))):
        path = f"{path}[{key}]" if isinstance(key, int) else join_path(path, key)
    return path


def _keys(trail: _Trail) -> Iterator[str | int]:
    while trail is not None:
        trail, key = trail
        yield key


_WHITE = " \t\r\n"


def load_object(text: str) -> Mapping[str, Any]:
    """Read one JSON object."""
    documents = list(stream(text))
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ValueError("not one JSON object")
    return documents[0]


def stream(text: str) -> Iterator[object]:
    """Read JSON documents that follow each other."""
    import json  # noqa: PLC0415  most starts read none

    decoder = json.JSONDecoder()
    rest = text.strip(_WHITE)
    while rest:
        try:
            document, end = decoder.raw_decode(rest)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        yield document
        rest = rest[end:].lstrip(_WHITE)


def mapping(value: object) -> Mapping[str, Any]:
    """The value, if it is an object."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> Sequence[object]:
    """The value, if it is an array."""
    return value if isinstance(value, list) else ()


def string(value: object) -> str:
    """The value, if it is a string, without blanks around it."""
    return value.strip() if isinstance(value, str) else ""
