"""JSON from strangers: whatever is wrong with it is a ValueError, and no value has to be what it should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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
