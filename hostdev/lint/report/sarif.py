"""A report as SARIF 2.1.0, which code hosts and editors read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from domxml.finding import Severity
from hostdev.findings.registry import ALL
from hostdev.lint.results import Report, Result

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def sarif(report: Report, version: str) -> dict[str, Any]:
    """The whole log: one run, with a rule for each code that is in it."""
    codes = list(dict.fromkeys(result.finding.code for result in report.results))
    driver = {"name": "passgate", "version": version, "rules": list(map(_rule, codes))}
    numbers = {code: index for index, code in enumerate(codes)}
    broken = [result for result in report.results if result.unreadable]
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(result, numbers) for result in report.results],
        "invocations": [
            {
                "executionSuccessful": not broken,
                "toolExecutionNotifications": [
                    {"level": "error", "message": {"text": f"{result.file}: {result.finding.message}"}}
                    for result in broken
                ],
            }
        ],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, Any]:
    kind = ALL.get(code)
    if kind is None:
        return {"id": code}
    return {
        "id": code,
        "shortDescription": {"text": kind.title},
        "fullDescription": {"text": kind.cause},
        "help": {"text": f"{kind.cause}\n\n{kind.remedy}", "markdown": f"{kind.cause}\n\n{kind.remedy}"},
        "defaultConfiguration": {"level": _LEVELS[kind.severity]},
    }


def _result(result: Result, numbers: dict[str, int]) -> dict[str, Any]:
    finding = result.finding
    text = f"{finding.what}. {finding.hint}".strip() if finding.hint else finding.what
    return {
        "ruleId": finding.code,
        "ruleIndex": numbers[finding.code],
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": list(_locations(result)),
    }


def _locations(result: Result) -> Iterator[dict[str, Any]]:
    if not result.file:
        return
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(result.file.replace("\\", "/"))}}
    if result.line:
        physical["region"] = {"startLine": result.line, "startColumn": max(result.column, 1)}
    location: dict[str, Any] = {"physicalLocation": physical}
    if result.kind:
        location["logicalLocations"] = [{"name": result.object, "fullyQualifiedName": result.finding.subject}]
    yield location
