"""As much of JSON Schema as docs/schema uses; an unknown keyword is an error, so that nothing is skipped in silence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from tests.hostdev.cli.running import ROOT

SCHEMAS = ROOT / "docs/schema"
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
_SILENT = {"$schema", "$defs", "title", "description"}


@cache
def schema(name: str) -> Any:
    """A schema file."""
    return json.loads((SCHEMAS / name).read_text(encoding="utf-8"))


def errors(value: Any, rules: Any, place: str = "$") -> Iterator[str]:
    """Everything in which a value breaks the rules."""
    for keyword, wanted in rules.items():
        if keyword not in _SILENT:
            yield from _KEYWORDS[keyword](value, wanted, rules, place)


def _ref(value: Any, wanted: Any, _rules: Any, place: str) -> Iterator[str]:
    file, _, path = wanted.partition("#/")
    found = schema(file)
    for step in filter(None, path.split("/")):
        found = found[step]
    yield from errors(value, found, place)


def _type(value: Any, wanted: Any, _rules: Any, place: str) -> Iterator[str]:
    names = [wanted] if isinstance(wanted, str) else wanted
    fits = [
        isinstance(value, _TYPES[name]) and not (name in {"integer", "number"} and isinstance(value, bool))
        for name in names
    ]
    if not any(fits):
        yield f"{place}: {value!r} is no {' or '.join(names)}"


def _minimum(value: Any, wanted: Any, _rules: Any, place: str) -> Iterator[str]:
    if isinstance(value, int) and value < wanted:
        yield f"{place}: {value!r} is less than {wanted}"


def _maximum(value: Any, wanted: Any, _rules: Any, place: str) -> Iterator[str]:
    if isinstance(value, int) and value > wanted:
        yield f"{place}: {value!r} is more than {wanted}"


def _enum(value: Any, wanted: Any, _rules: Any, place: str) -> Iterator[str]:
    if value not in wanted:
        yield f"{place}: {value!r} is none of {wanted}"


def _const(value: Any, wanted: Any, _rules: Any, place: str) -> Iterator[str]:
    if value != wanted:
        yield f"{place}: {value!r} is not {wanted!r}"


def _pattern(value: Any, wanted: Any, _rules: Any, place: str) -> Iterator[str]:
    if isinstance(value, str) and not re.search(wanted, value):
        yield f"{place}: {value!r} is not like {wanted}"


def _properties(value: Any, wanted: Any, _rules: Any, place: str) -> Iterator[str]:
    for name, rules in wanted.items() if isinstance(value, dict) else ():
        if name in value:
            yield from errors(value[name], rules, f"{place}.{name}")


def _required(value: Any, wanted: Any, _rules: Any, place: str) -> Iterator[str]:
    yield from (f"{place}: {name} is missing" for name in wanted if isinstance(value, dict) and name not in value)


def _additional(value: Any, wanted: Any, rules: Any, place: str) -> Iterator[str]:
    for name in set(value) - set(rules.get("properties", ())) if isinstance(value, dict) else ():
        if wanted is False:
            yield f"{place}: {name} is not known"
        else:
            yield from errors(value[name], wanted, f"{place}.{name}")


def _items(value: Any, wanted: Any, _rules: Any, place: str) -> Iterator[str]:
    for index, item in enumerate(value if isinstance(value, list) else ()):
        yield from errors(item, wanted, f"{place}[{index}]")


def _any_of(value: Any, wanted: Any, _rules: Any, place: str) -> Iterator[str]:
    found = [list(errors(value, rules, place)) for rules in wanted]
    if all(found):
        yield min(found, key=len)[0]


_KEYWORDS: dict[str, Callable[[Any, Any, Any, str], Iterator[str]]] = {
    "$ref": _ref,
    "type": _type,
    "minimum": _minimum,
    "maximum": _maximum,
    "enum": _enum,
    "const": _const,
    "pattern": _pattern,
    "properties": _properties,
    "required": _required,
    "additionalProperties": _additional,
    "items": _items,
    "anyOf": _any_of,
}
