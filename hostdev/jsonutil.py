"""Typed getters over a JSON document whose errors tell the place, and amounts as Kubernetes writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from domxml.errors import BadInput

MOST = (1 << 63) - 1
"""Kubernetes keeps amounts within this."""

_QUANTITY = re.compile(r"\+?([0-9]{0,30})(?:\.([0-9]{0,30}))?([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?", re.ASCII)
_BINARY = {f"{letter}i": 1 << 10 * power for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def parse_quantity(text: str, *, scale: int = 1) -> int:
    """The amount times `scale`, rounded up as Kubernetes does."""
    match = _QUANTITY.fullmatch(text)
    whole, fraction, suffix = match.groups(default="") if match else ("", "", "")
    if not whole and not fraction:
        raise BadInput("bad-quantity", f"{text[:40]!r} is not a quantity", hint='write it as 2, "500m" or "4Gi"')
    exponent = _exponent(suffix) - len(fraction)
    top: int = int(whole + fraction) * scale * _BINARY.get(suffix, 1) * 10 ** max(exponent, 0)
    amount: int = -(-top // 10 ** max(-exponent, 0))
    if amount > MOST:
        raise BadInput("bad-quantity", f"{text[:40]!r} is too large", hint=f"the most there can be is {MOST}")
    return amount


def _exponent(suffix: str) -> int:
    if suffix in _BINARY:
        return 0
    return _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])


_LARGEST = 1 << 62

T = TypeVar("T")


class JsonObject(NamedTuple):
    """An object, and where it stands. A field that is absent or null reads as None, or as empty."""

    fields: Mapping[str, Any]
    path: str
    code: str

    def has(self, key: str) -> bool:
        """The field is there, and not null."""
        return self.fields.get(key) is not None

    def place(self, key: str) -> str:
        return join_path(self.path, key)

    def wrong(self, key: str, wanted: str, *, hint: str = "") -> BadInput:
        """The error that a field is not what it must be."""
        return self.refused(key, f"must be {wanted}, is {show_value(self.fields.get(key))}", hint=hint)

    def refused(self, key: str, message: str, *, hint: str = "") -> BadInput:
        """An error about a field."""
        return BadInput(self.code, message, subject=self.place(key), hint=hint)

    def get_str(self, key: str) -> str | None:
        """A text."""
        value = self.fields.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, "text")
        return value

    def get_int(self, key: str, least: int = 0, most: int = _LARGEST) -> int | None:
        """A whole number between two bounds."""
        value = self.fields.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(key, "a whole number")
        if not least <= value <= most:
            raise self.wrong(key, f"between {least} and {most}" if most < _LARGEST else f"{least} or more")
        return value

    def get_bool(self, key: str) -> bool | None:
        """A truth value."""
        value = self.fields.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def get_object(self, key: str) -> JsonObject:
        """An object inside this one."""
        value = self.fields.get(key)
        if value is not None and not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return JsonObject(value or {}, self.place(key), self.code)

    def get_objects(self, key: str) -> tuple[JsonObject, ...]:
        """A list of objects."""
        value = self.fields.get(key)
        return list_of_objects([] if value is None else value, self.place(key), self.code)

    def get_strings(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        values = self.fields.get(key)
        if values is not None and not isinstance(values, list):
            raise self.wrong(key, "a list")
        for index, value in enumerate(values or []):
            if not isinstance(value, str):
                raise BadInput(
                    self.code, f"must be text, is {show_value(value)}", subject=f"{self.place(key)}[{index}]"
                )
        return tuple(values or ())

    def get_texts(self, key: str) -> dict[str, str]:
        """An object whose fields are all texts."""
        inner = self.get_object(key)
        return {name: text for name in inner.fields if (text := inner.get_str(name)) is not None}

    def get_quantity(self, key: str, *, scale: int = 1) -> int | None:
        """An amount as Kubernetes writes it (`2`, "4Gi", "500m"), times `scale`, rounded up."""
        value = self.fields.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise self.wrong(key, "a quantity")
        written = value if isinstance(value, str) else show_value(value)
        return parse_text(written, lambda text: parse_quantity(text, scale=scale), self.place(key), self.code)

    def get_parsed(self, key: str, parse: Callable[[str], T]) -> T | None:
        """A text that stands for something else."""
        text = self.get_str(key)
        return None if text is None else parse_text(text, parse, self.place(key), self.code)


def list_of_objects(value: Any, path: str, code: str) -> tuple[JsonObject, ...]:
    """A value that must be a list of objects."""
    if not isinstance(value, list):
        raise BadInput(
            code, f"must be a list of objects, is {show_value(value)}", subject=path, hint="put [ and ] around it"
        )
    return tuple(as_object(item, f"{path}[{index}]", code) for index, item in enumerate(value))


def as_object(value: Any, path: str, code: str) -> JsonObject:
    """A value that must be an object."""
    if not isinstance(value, dict):
        raise BadInput(code, f"must be an object, is {show_value(value)}", subject=path)
    return JsonObject(value, path, code)


def parse_text(text: str, parse: Callable[[str], T], place: str, code: str) -> T:
    """Parse a text; what its parser has to say is told with the place."""
    try:
        return parse(text)
    except BadInput as error:
        raise BadInput(code, error.message, subject=place, hint=error.hint) from None


def show_value(value: Any) -> str:
    """A value as messages show it: short, on one line, and never a whole document."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and abs(value) > _LARGEST:
        return "a number that is too large"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:60] + "…"


def join_path(path: str, key: str) -> str:
    """The place of a field inside of another place."""
    if not key.replace("_", "a").replace("-", "a").isalnum():
        return f"{path}[{show_value(key)}]"
    return f"{path}.{key}" if path else key
