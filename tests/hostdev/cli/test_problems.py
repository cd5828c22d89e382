"""Problems: each cause once, whoever has it, and never one less than the checks found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.finding import Severity
from domxml.pciaddress import PciAddress
from hostdev.gate.advice import MENDED
from hostdev.gate.doctor import Check, Status, checks
from hostdev.gate.problems import WRONG, Problem, alike, find_problems, waits_for
from hostdev.inventory.machine import Machine, Vfio
from tests.hostdev.cli.running import MACHINES, Ran, host, machine
from tests.hostdev.gate.build import NO_IOMMU, at, function
from tests.hostdev.gate.build import machine as built
from tests.hostdev.gate.cases import CASES

NAMES = sorted(file.stem for file in MACHINES.glob("*.toml"))


def found(seen: Machine, *wanted: PciAddress) -> tuple[list[Problem], list[Check]]:
    done = list(checks(seen, wanted))
    return find_problems(seen, done), done


def test_vfs_with_one_cause_are_one_line_with_their_addresses() -> None:
    seen = machine("qat")
    wanted = [address for address, f in seen.functions.items() if f.driver == "c6xxvf"]
    (problem,), _ = found(seen, *wanted)

    assert problem.code == "not-bound-to-vfio"
    assert problem.subjects == tuple(map(str, wanted))
    assert problem.message == "is on c6xxvf"
    assert problem.hint == f"passgate node bind {' '.join(map(str, wanted))}", "one command for all"


def test_the_same_but_for_its_own_number_is_the_same() -> None:
    seen = machine("container-view")
    problems, _ = found(seen, *(a for a, f in seen.functions.items() if f.driver == "vfio-pci"))
    (nodes,) = (problem for problem in problems if len(problem.subjects) > 1)

    assert len(nodes.subjects) == 12
    assert nodes.message == "/dev/vfio/N is not to be seen: /dev/vfio is not there, as in a container"
    assert nodes.status is Status.UNKNOWN


def test_a_host_without_an_iommu_has_two_problems_and_not_seven() -> None:
    off = replace(built(function("0000:65:00.0", group=None, driver=None)), iommu=NO_IOMMU, vfio=Vfio({}, None))
    problems, done = found(off, at("0000:65:00.0"))

    assert [(problem.code, problem.subjects) for problem in problems] == [
        ("no-iommu", ("host",)),
        ("vfio-module-missing", ("host",)),
        ("not-bound-to-vfio", ("0000:65:00.0",)),
    ]
    assert problems[1].waiting == ("Interrupts are remapped", "VFIO can be opened")
    (line,) = (check for check in done if check.name == "command-line")
    assert line.status is Status.FAIL, "never right beside the hint to add to it"
    assert [check.name for check in done if waits_for(check, done)] == ["interrupts", "nodes"]


def test_what_is_ruled_out_is_not_told_to_be_bound() -> None:
    seen = machine("vmd")
    problems, _ = found(seen, *(a for a, f in seen.functions.items() if f.driver in {"vmd", "nvme"}))

    assert [(problem.code, len(problem.subjects)) for problem in problems if problem.status is Status.FAIL] == [
        ("host-root-disk", 2),
        ("domain-too-large", 2),
    ]


def _accounted(problems: list[Problem], done: list[Check], seen: Machine) -> None:
    """Every error and warning is one of the problems, follows from one, or stands beside what rules its device out."""
    told = {(problem.code, subject) for problem in problems for subject in problem.subjects}
    waiting = {title for problem in problems for title in problem.waiting}
    errors = [f for check in done for f in check.findings if f.severity is Severity.ERROR]
    ruled_out = {f.subject for f in errors if f.code not in MENDED}
    for check in done:
        for each in check.findings:
            if each.severity is Severity.INFO and check.status is not Status.UNKNOWN:
                continue
            followed = check.title in waiting or (each.code in MENDED and each.subject in ruled_out)
            assert (each.code, each.subject) in told or followed or each.severity is Severity.INFO, each
    assert bool(problems) is any(check.status in WRONG and check.findings for check in done)
    counted = Counter((problem.status, problem.code, problem.message, problem.hint) for problem in problems)
    assert not counted or max(counted.values()) == 1, "no cause is told twice"
    assert [WRONG.index(problem.status) for problem in problems] == sorted(
        WRONG.index(problem.status) for problem in problems
    )
    parts = alike(seen, done)
    assert sorted(s for part in parts for s in part.subjects) == sorted({check.subject for check in done})


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_is_wrong_is_left_out(name: str) -> None:
    seen = machine(name)
    problems, done = found(seen, *seen.functions)

    _accounted(problems, done, seen)


@given(st.sampled_from(sorted(CASES)))
def test_nothing_of_any_case_is_left_out(code: str) -> None:
    case = CASES[code]
    problems, done = found(case.host, *map(at, case.wanted))

    _accounted(problems, done, case.host)


def test_what_is_printed_is_one_line_a_cause(cli: Callable[..., Ran]) -> None:
    out = cli("node", "doctor", "--problems", "qat", *host("qat")).out

    assert [line.split()[0] for line in out.splitlines()] == ["FAIL"] * 4
    assert "16 devices: 0000:3f:01.0, 0000:3f:01.1, " in out
    assert out.count("[not-bound-to-vfio]") == 3, "for two drivers of the host, and without one"
    assert out.count("[pf-with-vfs]") == 1
    assert cli("node", "doctor", "--problems", "ready", *host("qat")).out.startswith("no problems: ")


def test_the_doctor_says_a_thing_once(cli: Callable[..., Ran]) -> None:
    qat = cli("node", "doctor", *host("qat")).out
    off = cli("node", "doctor", *host("no-iommu")).out

    assert len(qat.splitlines()) < 60, "of 28 VFs"
    assert "0000:3d:01.0 and 15 more of which the same is true\n  0000:3d:01.1, " in qat
    assert "230 PASS, 30 INFO" in qat
    assert off.count("add intel_iommu=on") == 1
    assert "PASS     The kernel command line" not in off
    assert off.count("as above [no-iommu]") == 2
    assert "UNKNOWN  Interrupts are remapped: not to be seen before this is right: VFIO is loaded" in off


def test_problems_are_in_the_document(cli: Callable[..., Ran]) -> None:
    whole = json.loads(cli("node", "doctor", *host("no-iommu"), "-o", "json").out)
    wrong = json.loads(cli("node", "doctor", "--problems", *host("no-iommu"), "-o", "json").out)

    assert wrong["problems"] == whole["problems"]
    assert [problem["code"] for problem in whole["problems"]] == ["no-iommu", "vfio-module-missing"]
    assert {check["status"] for check in wrong["checks"]} == {"FAIL", "UNKNOWN"}
    assert [item["code"] for item in whole["items"]].count("no-iommu") == 1
