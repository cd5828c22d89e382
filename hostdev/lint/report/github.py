"""A report as workflow commands of GitHub: each finding stands at its line of the change."""

from __future__ import annotations

from collections.abc import Iterator

from domxml.finding import Severity
from hostdev.lint.results import Report

_WORDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def github(report: Report) -> Iterator[str]:
    """One line for each finding."""
    for result in report.results:
        finding = result.finding
        where = {"file": result.file, "line": result.line, "col": result.column, "title": finding.code}
        properties = ",".join(f"{key}={_property(str(value))}" for key, value in where.items() if value)
        text = finding.what + (f" ({finding.hint})" if finding.hint else "")
        yield f"::{_WORDS[finding.severity]} {properties}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
