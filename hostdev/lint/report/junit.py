"""A report as JUnit's XML: a suite for each file, a case for each finding, and one that passes where there is none."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lxml import etree

from domxml.finding import Severity
from hostdev.lint.results import Report, Result

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Report, failing: Severity | None) -> bytes:
    """The whole document; what is at least as bad as `failing` counts as failed."""
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
