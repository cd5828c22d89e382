"""Each failure is found as the first one, in whatever form the dump has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import yaml

from hostdev.why.dump import File, read_dump
from hostdev.why.item import Result
from hostdev.why.steps import Check
from hostdev.why.subject import parse_name
from hostdev.why.why import Why, explain_vm
from tests.hostdev.why.cases import CASES, Case, newer

Form = Callable[[Case], Iterable[File]]


def _logs(case: Case) -> list[File]:
    return [File(name, text.encode()) for name, text in case.logs.items()]


def _one_list(case: Case) -> list[File]:
    return [File("all.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": case.objects}).encode())]


def _files(case: Case) -> list[File]:
    return [File(f"{index}.json", json.dumps(one).encode()) for index, one in enumerate(case.objects)]


def _bare_lists(case: Case) -> list[File]:
    """As the recordings have it: a list of events, none of which tells its kind."""
    events = [one for one in case.objects if "involvedObject" in one]
    others = [one for one in case.objects if "involvedObject" not in one]
    bare = [{key: value for key, value in one.items() if key not in {"kind", "apiVersion"}} for one in events]
    return [
        File("events", json.dumps(bare).encode()),
        *(File(f"x{i}", json.dumps(o).encode()) for i, o in enumerate(others)),
    ]


def _yaml(case: Case) -> list[File]:
    return [
        File("dump.yaml", yaml.safe_dump({"apiVersion": "v1", "items": list(case.objects), "kind": "List"}).encode())
    ]


def _documents(case: Case) -> list[File]:
    return [File("dump.txt", yaml.safe_dump_all(case.objects).encode())]


def _stream(case: Case) -> list[File]:
    return [File("appended", "\n".join(json.dumps(one, indent=4) for one in case.objects).encode())]


def _new_events(case: Case) -> list[File]:
    objects = [newer(one) if one.get("lastTimestamp") and "involvedObject" in one else one for one in case.objects]
    return [File("dump.json", json.dumps({"kind": "List", "items": objects}).encode())]


def _windows(case: Case) -> list[File]:
    return [File("dump.json", json.dumps({"kind": "List", "items": case.objects}).encode("utf-16"))]


FORMS: dict[str, Form] = {
    "list": _one_list,
    "files": _files,
    "bare lists": _bare_lists,
    "yaml": _yaml,
    "documents": _documents,
    "stream": _stream,
    "events.k8s.io": _new_events,
    "utf-16": _windows,
}


def explain(case: Case, form: Form = _one_list) -> Why:
    evidence = read_dump("the dump", [*form(case), *_logs(case)])
    return explain_vm(evidence, parse_name(case.vm, ""))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CASES)
def test_the_first_failure_is_the_right_one(name: str, form: str) -> None:
    case = CASES[name]

    why = explain(case, FORMS[form])

    told = {str(item.check): f"{item.result}: {item.message}" for item in why.items}
    assert list(told) == [str(check) for check in Check]
    assert (str(why.first.check) if why.first else "") == case.check, told
    assert int(why.exit_code) == case.code_of_exit
    if why.first:
        assert why.first.finding is not None
        assert case.code in {"", why.first.finding.code}
        assert case.about in why.first.finding.subject


@pytest.mark.parametrize("name", CASES)
def test_no_check_passes_without_evidence(name: str) -> None:
    """Of a VM of which nothing but its name is told, nothing passes."""
    case = CASES[name]
    bare: dict[str, Any] = {"kind": "VirtualMachine", "metadata": {"name": case.vm, "namespace": "default"}}

    why = explain_vm(read_dump("the dump", [File("vm.json", json.dumps(bare).encode())]), parse_name(case.vm, ""))

    passed = {item.check for item in why.items if item.result is Result.PASS}
    assert passed <= {Check.SIDECAR, Check.FILE, Check.HOOK}
    assert int(why.exit_code) == 4


@pytest.mark.parametrize("name", CASES)
def test_what_is_unknown_says_what_to_type(name: str) -> None:
    why = explain(CASES[name])
    first = why.first.check.rank if why.first else len(Check)

    assert all(item.command for item in why.unknown if item.check.rank < first)
