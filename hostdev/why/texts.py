"""From a sentence to the row of the tables that explains it."""

from __future__ import annotations

from typing import NamedTuple

from hostdev.findings.explain import find_codes


class Cause(NamedTuple):
    """What explains a sentence."""

    code: str = ""
    about: tuple[str, ...] = ()
    is_wrapper: bool = False
    is_harmless: bool = False


def find_cause(text: str) -> Cause:
    """The first code whose words stand in a text."""
    found = find_codes(text)
    return Cause(found[0].code, found[0].about) if found else Cause()
