"""Each finding of the gate: it is made, it names its evidence, its sentence fits, its words are known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from domxml import guestfindings as guest
from domxml.errors import SENTENCE_LIMIT, Refused
from domxml.finding import Finding, Severity
from hostdev.findings import device, driver, group, hostuse, platform, sriov
from hostdev.findings.registry import ALL
from hostdev.gate import check
from tests.hostdev.gate.cases import CASES, ELSEWHERE

TABLES = (platform, group, device, driver, sriov, hostuse)
GATE = Path(check.__file__).parent


def _made(code: str) -> tuple[Finding, ...]:
    return ELSEWHERE[code]() if code in ELSEWHERE else CASES[code].findings()


def test_every_code_of_the_gate_has_a_machine_that_makes_it() -> None:
    assert {kind.code for table in TABLES for kind in table.KINDS} == {*CASES, *ELSEWHERE}


def test_every_row_is_used_by_the_gate() -> None:
    source = "\n".join(file.read_text(encoding="utf-8") for file in GATE.glob("*.py"))
    emitted = set(re.findall(r"\b([A-Z_]+)\.found\b", source))
    assert emitted == {kind.code.upper().replace("-", "_") for table in TABLES for kind in table.KINDS}


def test_the_guests_findings_are_known_too() -> None:
    assert {kind.code for kind in guest.KINDS} <= set(ALL)


@pytest.mark.parametrize("code", [*CASES, *ELSEWHERE])
def test_it_is_made(code: str) -> None:
    assert code in {finding.code for finding in _made(code)}


@pytest.mark.parametrize("code", CASES)
def test_it_tells_what_is_seen_and_what_to_do(code: str) -> None:
    case = CASES[code]
    findings = [finding for finding in _made(code) if finding.code == code and case.message in finding.message]
    assert findings
    assert case.hint in findings[0].hint
    assert findings[0].hint
    assert findings[0].evidence or code in {"duplicate-device", "domain-too-large"}


@pytest.mark.parametrize("code", [*CASES, *ELSEWHERE])
def test_its_sentence_fits_an_event(code: str) -> None:
    for finding in _made(code):
        refusal = Refused(finding.code, finding.message, subject=finding.subject, hint=finding.hint)
        assert len(str(refusal)) < SENTENCE_LIMIT
        assert refusal.sentence() == str(refusal)


@pytest.mark.parametrize("code", CASES)
def test_errors_only_where_something_is_wrong(code: str) -> None:
    """No case makes an error of another kind by accident, but for those that belong together."""
    together = {
        "iommu-disabled": {"no-iommu"},
        "noiommu-group": {"no-iommu"},
        "denylisted-device": {"not-bound-to-vfio"},
        "vf-autoprobe-on": {"not-bound-to-vfio"},
        "gpu-without-vfs": {"not-bound-to-vfio"},
        "host-network-device": {"not-bound-to-vfio"},
        "host-root-disk": {"not-bound-to-vfio"},
        "host-uses-device": {"not-bound-to-vfio"},
        "host-use-unknown": {"not-bound-to-vfio"},
        "boot-display": {"not-bound-to-vfio"},
    }
    errors = {finding.code for finding in _made(code) if finding.severity is Severity.ERROR}
    assert errors <= {code, *together.get(code, ())}


def test_nothing_is_found_on_a_machine_where_all_is_right() -> None:
    right = CASES["duplicate-device"]
    assert check.check(right.host, right.host.functions) == ()
