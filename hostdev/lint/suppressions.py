"""Findings that the author of a VM, or a run of lint, leaves out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from domxml.errors import BadInput
from domxml.finding import Finding
from hostdev.findings.files import SUPPRESSION_UNUSED
from hostdev.findings.registry import kind
from hostdev.findings.spec import BAD_ANNOTATION
from hostdev.lint.admission.rule import at

IGNORE = "passgate.dev/lint-ignore"
_WORDS = re.compile(r"[\s,]+")


class Suppressions(NamedTuple):
    """The codes that one object wants to be left alone with, by the place where it says so."""

    codes: Mapping[str, str]
    errors: tuple[Finding, ...] = ()

    def unused(self, met: set[str]) -> Iterator[Finding]:
        """Codes that were not found."""
        for code, place in self.codes.items():
            if code not in met:
                yield SUPPRESSION_UNUSED.found(place, f"{code} is suppressed, and not found")


def suppressions(value: Mapping[str, Any], template: str) -> Suppressions:
    """What an object's annotation says, its own or that of its template."""
    codes: dict[str, str] = {}
    errors: list[Finding] = []
    for path in dict.fromkeys(("metadata", f"{template}.metadata" if template else "metadata")):
        annotations = at(value, f"{path}.annotations")
        text = annotations.get(IGNORE) if isinstance(annotations, Mapping) else None
        place = f"{path}.annotations[{IGNORE}]"
        for code in filter(None, _WORDS.split(text) if isinstance(text, str) else ()):
            try:
                codes[kind(code).code] = place
            except BadInput as error:
                errors.append(BAD_ANNOTATION.found(place, error.message, hint=error.hint))
    return Suppressions(codes, tuple(errors))
