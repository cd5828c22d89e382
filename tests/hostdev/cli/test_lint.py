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
from tests.hostdev.cli.validator import errors, schema
from tests.hostdev.vmi.vms import VM

RIGHT = (
    VM.replace(
        "      annotations:\n",
        '      annotations:\n        hooks.kubevirt.io/hookSidecars: \'[{"image": "x"}]\'\n',
    )
    .replace("devices: {}", "devices: {gpus: [{name: g, deviceName: a.b/c}]}")
    .replace("instancetype: {name: u1.large}", "runStrategy: Always")
    .replace("        resources:", "        memory: {guest: 4Gi}\n        resources:")
)
WRONG = RIGHT.replace("qat.intel.com/generic: 1", "qat.intel.com/other: 1")

SCHEMA = schema("lint.json")


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


PLAIN = """
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: plain}
spec: {runStrategy: Always, template: {spec: {domain: {memory: {guest: 1Gi}, devices: {}}}}}
"""


def test_a_vm_without_anything_to_say() -> None:
    ran = lint(PLAIN)

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
    assert json.loads(lint(PLAIN, "-o", "json").out)["items"] == []


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


def inside(directory: Path, *words: str) -> Any:
    return process("lint", *words, line=f'cd "{directory}" && exec "$@"')


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    files = {
        "good.yaml": PLAIN,
        "bad.yaml": PLAIN.replace("devices: {}", "devices: {gpus: [{name: g}]}"),
        "pod.yaml": "kind: Pod\n",
        "chart.yaml": "{{ .Values.x }}\nkind: VirtualMachine\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_directory(repository: Path) -> None:
    ran = inside(repository, ".")

    assert ran.code == ExitCode.FINDINGS
    assert [line.split()[:3] for line in ran.out.splitlines()] == [
        ["SEVERITY", "CODE", "FILE"],
        ["error", "device-refused", "./bad.yaml:5:95"],
        ["warning", "not-rendered", "./chart.yaml:1:1"],
    ]
    assert ran.err.split("; ") == [
        "note: 2 objects in 4 files: 1 error, 1 warning, 0 infos",
        "1 file without a VM passed over",
        "1 to be rendered first\n",
    ]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["good.yaml"], 0),
        (["bad.yaml"], 1),
        (["chart.yaml"], 0),
        (["chart.yaml", "--fail-on", "warning"], 1),
        (["pod.yaml"], 0),
        (["bad.yaml", "--ignore", "device-refused"], 0),
        (["nowhere.yaml", "bad.yaml"], 2),
        (["good.yaml", "--kubevirt", "1.4"], 2),
        (["good.yaml", "--against", "1.9"], 2),
        (["good.yaml", "--ignore", "no-such-code"], 2),
        (["bad.yaml", "--kubevirt", "v1.8.4", "--against", "head"], 0),
    ],
)
def test_exit_codes(repository: Path, words: list[str], code: int) -> None:
    ran = inside(repository, *words)

    assert ran.code == code
    assert "Traceback" not in ran.err


def test_what_can_be_read_is_told_beside_what_cannot(repository: Path) -> None:
    (repository / "broken.yaml").write_text("kind: VirtualMachine\nspec: [", encoding="utf-8")
    document = json.loads(inside(repository, ".", "-o", "json").out)

    assert list(errors(document, SCHEMA)) == []
    assert [(one["code"], one["file"], one["line"]) for one in document["items"]] == [
        ("device-refused", "./bad.yaml", 5),
        ("bad-vmi", "./broken.yaml", 3),
        ("not-rendered", "./chart.yaml", 1),
    ]
    assert document["object"] is None
    assert document["summary"]["files"] == 5


@pytest.mark.parametrize(
    ("form", "begins"),
    [
        ("sarif", '{\n  "$schema"'),
        ("junit", "<?xml"),
        ("github", "::error file=./bad.yaml,line=5"),
        ("yaml", "apiVersion"),
    ],
)
def test_other_forms(repository: Path, form: str, begins: str) -> None:
    ran = inside(repository, ".", "-o", form)

    assert ran.code == ExitCode.FINDINGS
    assert ran.out.startswith(begins)


def test_standard_input_as_a_file(repository: Path) -> None:
    ran = process("lint", "-", stdin=(repository / "bad.yaml").read_text(encoding="utf-8"))

    assert ran.code == ExitCode.FINDINGS
    assert "-:5:95" in ran.out


def test_a_suppression_that_is_not_needed_is_told(repository: Path) -> None:
    ran = inside(repository, "good.yaml", "--ignore", "disk-refused")

    assert "note: --ignore disk-refused" in ran.err
