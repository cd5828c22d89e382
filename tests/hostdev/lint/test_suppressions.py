"""Findings that are not to be told: by the object's annotation, or by the command line."""

from __future__ import annotations

import pytest

from tests.hostdev.lint.run import codes, results, run, vm

WRONG = {"devices": "{gpus: [{name: g}, {name: g, deviceName: a.b/c}]}"}


def ignoring(words: str) -> str:
    return vm(annotations=f'{{passgate.dev/lint-ignore: "{words}"}}', **WRONG)


def test_the_annotation_of_the_template() -> None:
    assert codes(vm(**WRONG)) == ["error device-refused", "warning device-name-twice"]
    assert codes(ignoring("device-name-twice")) == ["error device-refused"]
    assert codes(ignoring("device-name-twice, device-refused")) == []


def test_the_annotation_of_the_vm_itself() -> None:
    text = vm(**WRONG).replace(
        "namespace: lab}", "namespace: lab, annotations: {passgate.dev/lint-ignore: device-refused}}"
    )

    assert codes(text) == ["warning device-name-twice"]


def test_one_that_is_not_needed_is_told() -> None:
    told = [one for one in results(ignoring("disk-refused")) if one.finding.code == "suppression-unused"]

    assert [(one.finding.message, one.line) for one in told] == [("disk-refused is suppressed, and not found", 8)]


def test_a_code_that_is_none_is_told_with_what_was_meant() -> None:
    (finding,) = [one.finding for one in results(ignoring("device-refuse")) if one.finding.code == "bad-annotation"]

    assert "did you mean device-refused" in finding.hint


@pytest.mark.parametrize(("ignored", "unused"), [("device-refused", ()), ("disk-refused", ("disk-refused",))])
def test_by_option(ignored: str, unused: tuple[str, ...]) -> None:
    told = run(vm(**WRONG), ignored=(ignored,))

    assert ignored not in [one.finding.code for one in told.results]
    assert told.unused == unused
