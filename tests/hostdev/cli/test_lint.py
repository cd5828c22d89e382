"""`passgate lint` as its own process: files, standard input, formats and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from domxml.errors import ExitCode
from tests.hostdev.cli.running import process
from tests.hostdev.cli.terminal import SGR, at_terminal
from tests.hostdev.cli.validator import errors
from tests.hostdev.vmi.vms import VM

RIGHT = (
    VM.replace(
        "      annotations:\n",
        '      annotations:\n        hooks.kubevirt.io/hookSidecars: \'[{"image": "x"}]\'\n',
    )
    .replace("devices: {}", "devices: {gpus: [{name: g, deviceName: a.b/c}]}")
    .replace("instancetype: {name: u1.large}", "")
)
WRONG = RIGHT.replace("qat.intel.com/generic: 1", "qat.intel.com/other: 1")

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "apiVersion": {"const": "passgate.dev/v1"},
        "kind": {"const": "Lint"},
        "object": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("kind", "namespace", "name")},
            "required": ["kind", "namespace", "name"],
            "additionalProperties": False,
        },
        "items": {"type": "array", "items": {"$ref": "common.json#/$defs/finding"}},
    },
    "required": ["apiVersion", "kind", "object", "items"],
    "additionalProperties": False,
}


def lint(text: str, *words: str) -> Any:
    return process("lint", *words, stdin=text)


def test_a_vm_that_is_right() -> None:
    ran = lint(RIGHT)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.split()[:5] == ["SEVERITY", "CODE", "WHERE", "MESSAGE", "HINT"]
    assert [line.split()[:2] for line in ran.out.splitlines()[1:]] == [["info", "sidecar-gate"]]


def test_a_vm_that_is_wrong() -> None:
    ran = lint(WRONG)

    assert ran.code == ExitCode.FINDINGS
    assert [line.split()[:3] for line in ran.out.splitlines()[1:]] == [
        ["error", "resource-not-requested", "passgate.dev/devices[0].resource"],
        ["info", "sidecar-gate", "hooks.kubevirt.io/hookSidecars"],
        ["info", "resource-not-passed", "spec.template.spec.domain.resources.limits[qat.intel.com/other]"],
    ]


def test_a_terminal_shows_places_whole(tmp_path: Path) -> None:
    file = tmp_path / "vm.yaml"
    file.write_text(RIGHT.replace('[{"image": "x"}]', "[{}]"), encoding="utf-8")
    lines = SGR.sub("", at_terminal("lint", "--vmi", str(file), width=60)).splitlines()

    assert lines[0] == (
        "WARNING  hooks.kubevirt.io/hookSidecars[0]: has no image: KubeVirt runs its own sidecar-shim "
        "[hook-without-image]"
    )
    assert lines[1] == "         hint: add the image of Passgate"


def test_a_vm_without_anything_to_say() -> None:
    ran = lint("kind: VirtualMachine\nmetadata: {name: plain}\nspec: {}")

    assert (ran.code, ran.out, ran.err) == (0, "", "note: nothing is wrong with VirtualMachine plain\n")


@pytest.mark.parametrize(("fail_on", "code"), [("error", 0), ("warning", 1)])
def test_what_counts_as_failed(fail_on: str, code: int) -> None:
    text = RIGHT.replace('[{"image": "x"}]', "[{}]")

    assert lint(text, "--fail-on", fail_on).code == code


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "vm.yaml"
    file.write_text(RIGHT, encoding="utf-8")

    assert process("lint", "--vmi", str(file)).out == lint(RIGHT, "--vmi", "-").out


def test_json_follows_its_schema_and_yaml_says_the_same() -> None:
    as_json = lint(WRONG, "-o", "json")
    document = json.loads(as_json.out)

    assert list(errors(document, SCHEMA)) == []
    assert document["object"] == {"kind": "VirtualMachine", "namespace": "lab", "name": "qat"}
    assert yaml.safe_load(lint(WRONG, "-o", "yaml").out) == document
    assert json.loads(lint("kind: VirtualMachine\nspec: {}", "-o", "json").out)["items"] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the manifest: is empty [bad-vmi]"),
        ("kind: Pod", "holds none of VirtualMachineInstance"),
        ("kind: VirtualMachine\nspec: [", "is not YAML"),
        ("[" * 100000, "is nested too deep"),
        ("kind: VirtualMachine\nspec: 1", "spec: must be an object, is 1"),
    ],
)
def test_input_that_cannot_be_read(text: str, words: str) -> None:
    ran = lint(text)

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert words in ran.err
    assert "Traceback" not in ran.err


def test_a_file_that_is_not_there() -> None:
    ran = process("lint", "--vmi", "/nowhere/vm.yaml")

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert "No such file" in ran.err


def test_standard_input_that_is_closed() -> None:
    ran = process("lint", line='exec "$@" <&-')

    assert ran.code == ExitCode.USAGE
    assert "standard input is closed" in ran.err
