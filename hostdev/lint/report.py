"""A report in the forms of other programs: SARIF 2.1.0, JUnit's XML, and workflow commands of GitHub."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from lxml import etree

from domxml.finding import Severity
from hostdev.findings.registry import ALL
from hostdev.lint.results import Report, Result

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WORDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def sarif(report: Report, version: str) -> dict[str, Any]:
    """A log of SARIF: one run, with a rule for each code that is in it."""
    codes = list(dict.fromkeys(result.finding.code for result in report.results))
    driver = {"name": "passgate", "version": version, "rules": list(map(_rule, codes))}
    numbers = {code: index for index, code in enumerate(codes)}
    broken = [result for result in report.results if result.unreadable]
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(result, numbers) for result in report.results],
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


def _sarif_result(result: Result, numbers: dict[str, int]) -> dict[str, Any]:
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


def junit(report: Report, failing: Severity | None) -> bytes:
    """A suite for each file, a case for each finding; what is at least as bad as `failing` counts as failed."""
    root = etree.Element("testsuites", name="passgate lint")
    by_file: dict[str, list[Result]] = {}
    for result in report.results:
        by_file.setdefault(result.file or "passgate", []).append(result)
    for file, results in by_file.items():
        _suite(root, file, results, failing)
    if not by_file:
        _suite(root, "passgate", (), failing)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def _suite(root: etree._Element, file: str, results: Iterable[Result], failing: Severity | None) -> None:
    suite = etree.SubElement(root, "testsuite", name=_clean(file))
    failures = errors = count = 0
    for result in results:
        count += 1
        case = _case(suite, result.finding.code, file, result)
        if result.unreadable:
            errors += 1
            _verdict(case, "error", result)
        elif failing is not None and result.finding.severity.rank >= failing.rank:
            failures += 1
            _verdict(case, "failure", result)
        else:
            etree.SubElement(case, "system-out").text = _clean(_text(result))
    if not count:
        count = 1
        _case(suite, "nothing-found", file, None)
    suite.set("tests", str(count))
    suite.set("failures", str(failures))
    suite.set("errors", str(errors))


def _case(suite: etree._Element, code: str, file: str, result: Result | None) -> etree._Element:
    name = code if result is None else f"{code} {result.finding.subject}".strip()
    owner = file if result is None or not result.kind else result.object
    return etree.SubElement(suite, "testcase", name=_clean(name), classname=_clean(owner), time="0")


def _verdict(case: etree._Element, tag: str, result: Result) -> None:
    finding = result.finding
    verdict = etree.SubElement(case, tag, message=_clean(finding.message), type=finding.code)
    verdict.text = _clean(_text(result))


def _text(result: Result) -> str:
    finding = result.finding
    hint = f"\n{finding.hint}" if finding.hint else ""
    return f"{result.place}: {finding.severity}: {finding.what}{hint}"


def _clean(text: str) -> str:
    """XML has no word for some letters, not even an escaped one."""
    return _NO_XML.sub("\ufffd", text)


def github(report: Report) -> Iterator[str]:
    """A line for each finding, which the change then shows."""
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
