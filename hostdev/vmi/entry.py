"""One object of an annotation while it is read: what is wrong with it is collected, not only the first of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from domxml.errors import BadInput
from domxml.text import did_you_mean
from hostdev.jsonutil import JsonObject, show_value

CODE = "bad-annotation"
MAX_BYTES = 256 << 10
"""All annotations of an object together may not be longer."""
_MOST_UNKNOWN = 10
"""To look for what was meant takes time."""

T = TypeVar("T")


class Entry:
    """An object whose keys are taken one by one."""

    def __init__(self, entry: JsonObject, errors: list[BadInput]) -> None:
        self.entry = entry
        self.errors = errors

    def take(self, key: str, read: Callable[[JsonObject, str], T], default: T) -> T:
        """Read a key; the default when it is absent, or wrong."""
        if not self.entry.has(key):
            return default
        try:
            return read(self.entry, key)
        except BadInput as error:
            self.errors.append(error)
            return default

    def check_keys(self, known: Mapping[str, str]) -> None:
        """Note every key that has no meaning, or no value."""
        unknown = [key for key in self.entry.fields if key not in known]
        for key in unknown[:_MOST_UNKNOWN]:
            hint = did_you_mean(key, known)
            self.errors.append(BadInput(CODE, f"there is no key {show_value(key)}", subject=self.entry.path, hint=hint))
        for key in known:
            if key in self.entry.fields and not self.entry.has(key):
                self.errors.append(self.entry.refused(key, "must not be null", hint=f"leave {key} out"))


def match_pattern(pattern: re.Pattern[str], wanted: str) -> Callable[[JsonObject, str], str]:
    """A reader of texts of a pattern, which errors call `wanted`."""

    def read(entry: JsonObject, key: str) -> str:
        text = entry.get_str(key) or ""
        if not pattern.fullmatch(text):
            raise entry.wrong(key, wanted)
        return text

    return read
