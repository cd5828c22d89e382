"""Results of a run: findings with the file, the line and the object that they are about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from domxml.finding import Finding, Severity
from hostdev.lint.objects import Object


class Result(NamedTuple):
    """One finding, and where."""

    finding: Finding
    file: str = ""
    line: int = 0
    column: int = 0
    kind: str = ""
    namespace: str = ""
    name: str = ""
    unreadable: bool = False
    """The file, or the rest of it, could not be read at all."""

    @property
    def place(self) -> str:
        """As compilers write it: FILE:LINE:COLUMN."""
        return ":".join([self.file, *(str(number) for number in (self.line, self.column) if number)])

    @property
    def object(self) -> str:
        """What it is about, as a reader knows it."""
        name = "/".join(part for part in (self.namespace, self.name) if part)
        return f"{self.kind} {name}".strip()

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; its keys are a contract."""
        there = {"kind": self.kind, "namespace": self.namespace, "name": self.name} if self.kind else None
        return {
            **self.finding.as_dict(),
            "file": self.file,
            "line": self.line or None,
            "column": self.column or None,
            "object": there,
        }


class Counts(NamedTuple):
    """What a run has looked at."""

    files: int = 0
    objects: int = 0
    others: int = 0
    """Files without anything that is looked at."""
    templates: int = 0
    """Files that were not, or not wholly, looked at before they are rendered."""

    def as_dict(self, results: Iterable[Result]) -> dict[str, int]:
        """The summary of a report."""
        severities = [result.finding.severity for result in results]
        return {
            "files": self.files,
            "objects": self.objects,
            "passedOver": self.others,
            "notRendered": self.templates,
            **{f"{severity}s": severities.count(severity) for severity in reversed(Severity)},
        }


class Report(NamedTuple):
    """Everything that a run says."""

    results: tuple[Result, ...]
    counts: Counts
    unused: tuple[str, ...] = ()
    """Codes of `--ignore` that were not found."""
    objects: tuple[Object, ...] = ()


def result_at(one: Object, finding: Finding) -> Result:
    """A finding with its place."""
    line, column = one.locate(finding.subject)
    return Result(finding, one.file, line, column, one.kind, one.namespace, one.name)


def sorted_results(results: Iterable[Result]) -> tuple[Result, ...]:
    """By file, the worst first, each thing once."""
    return tuple(sorted(dict.fromkeys(results), key=lambda one: (one.file, -one.finding.severity.rank, one.line)))
