"""What others say: templates of the tables with values in them, and the codes that a text leads to."""

from __future__ import annotations

from collections.abc import Mapping

from hostdev.explain.explanation import explain_text
from hostdev.findings.explain import PLACEHOLDER


def fill_template(template: str, values: Mapping[str, str]) -> str | None:
    """The template with its values; None if one of them is not known."""
    names = PLACEHOLDER.findall(template)
    if not all(name in values for name in names):
        return None
    return PLACEHOLDER.sub(lambda found: values[found[1]], template)


def match_codes(text: str) -> tuple[str, ...]:
    """The codes alone, the likely root first."""
    return tuple(item.code for item in explain_text(text).items)
