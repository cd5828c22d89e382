"""Values that are only known once a template is filled in."""

from __future__ import annotations

import re
from typing import Any

_PATTERN = re.compile(r"\$\{\{?\w+\}?\}|\$\(\w+\)|\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


class Unknown(str):
    """The text that stands for such a value."""

    __slots__ = ()


def has_placeholder(text: str) -> bool:
    """Whether a text of one line has something in it that another tool fills in."""
    return ("$" in text or "{" in text) and "\n" not in text and _PATTERN.search(text) is not None


def without_unknown(value: Any) -> Any:
    """A value with what is known of it only; names stay, since others refer to them."""
    if isinstance(value, dict):
        kept = {key: inner for key, inner in value.items() if key == "name" or not isinstance(inner, Unknown)}
        return {key: without_unknown(inner) for key, inner in kept.items()}
    if isinstance(value, list):
        return [without_unknown(inner) for inner in value if not isinstance(inner, Unknown)]
    return value
