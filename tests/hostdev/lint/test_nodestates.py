"""NodeState files in a repository: the errors of `passgate node state plan`, at the same places, among other kinds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostdev.binding.statefile import BadState, read_states
from tests.hostdev.cli.running import host, process
from tests.hostdev.lint.run import results, run, vm

HEAD = "apiVersion: passgate.dev/v1\nkind: NodeState\nmetadata: {name: one}\n"
RIGHT = HEAD + "spec:\n  devices:\n  - match: {address: '0000:3d:02.2', id: '8086:37c9'}\n    driver: vfio-pci\n"
WRONG = {
    "a key": RIGHT.replace("driver:", "drivers:"),
    "a type": HEAD + "spec:\n  virtualFunctions:\n  - match: {id: '8086:37c8'}\n    count: many\n",
    "two mistakes": HEAD + "spec:\n  devices:\n  - driver: none\n  - match: {}\n    driver: vfio-pci\n",
    "a key twice": RIGHT + "    driver: auto\n",
    "a newer kind": RIGHT.replace("passgate.dev/v1", "passgate.dev/v2"),
    "one of two of a newer kind": RIGHT + "---\n" + RIGHT.replace("/v1", "/v3"),
    "a second document": RIGHT + "---\n" + HEAD + "spec: {device: []}\n",
    "an item of a list": "kind: List\nitems:\n- " + RIGHT.replace("driver:", "drivers:").replace("\n", "\n  ") + "\n",
    "a set": "apiVersion: passgate.dev/v1\nkind: UnitSets\nspec: {sets: [{name: a, functions: [{id: '8086:37c9'}]}]}\n",
    "no YAML": HEAD + "spec: [\n",
}


@pytest.mark.parametrize("what", WRONG)
def test_the_errors_are_those_of_a_plan(what: str) -> None:
    with pytest.raises(BadState) as caught:
        read_states(WRONG[what].encode(), "0.yaml")

    told = results(WRONG[what])

    assert {(one.place, one.finding) for one in told} == {(flaw.place, flaw.finding) for flaw in caught.value.flaws}
    assert all(one.finding.code in {"bad-node-state", "node-state-version"} for one in told)


def test_what_is_right_is_counted_and_has_no_result() -> None:
    report = run(RIGHT + "---\n" + RIGHT, vm())

    assert [one for one in report.results if one.kind == "NodeState"] == []
    assert (report.counts.files, report.counts.objects, report.counts.others) == (2, 3, 0)


def test_a_file_may_hold_other_kinds_beside_it() -> None:
    mixed = vm() + "\n---\n" + RIGHT.replace("driver:", "drivers:") + "---\nkind: Pod\n"
    line = mixed.splitlines().index("    drivers: vfio-pci") + 1

    told = [one for one in results(mixed) if one.kind == "NodeState"]

    assert {one.line for one in told if "drivers" in one.finding.subject} == {line}


def test_another_project_s_node_state_is_passed_over() -> None:
    report = run("apiVersion: other.example/v1\nkind: NodeState\nspec: {nodes: 3}\n")

    assert report.results == ()


CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: passgate-node-state
data:
  other: |
    kind: Pod
  node-state.yaml: |
    apiVersion: passgate.dev/v1
    kind: NodeState
    spec:
      devices:
      - match: {address: "0000:3d:02.2"}
        drivers: vfio-pci
"""


def test_that_of_a_config_map_has_its_line_in_the_file() -> None:
    told = {one.finding.subject: one.place for one in results(CONFIG_MAP)}

    assert told["spec.devices[0].drivers"] == "0.yaml:14:9"
    assert "        drivers" in CONFIG_MAP.splitlines()[13]


def test_that_of_a_config_map_in_quotes_has_the_place_of_the_text() -> None:
    text = json.dumps("apiVersion: passgate.dev/v1\nkind: NodeState\nspec: {device: []}\n")

    (told,) = results(f"kind: ConfigMap\ndata:\n  node-state.yaml: {text}\n")

    assert (told.line, told.finding.subject) == (3, "spec.device")


@pytest.mark.parametrize("is_named", [True, False])
def test_a_template_is_said_not_to_be_looked_at(*, is_named: bool) -> None:
    told = results(HEAD + "spec: {{ toYaml .Values.state }}\n", is_named=is_named)

    assert [one.finding.code for one in told] == ["not-rendered"]


def test_a_repository_of_many_files_and_kinds(tmp_path: Path) -> None:
    for name, text in {
        "vms/vm.yaml": vm(),
        "nodes/all.yaml": RIGHT + "---\n" + RIGHT.replace("name: one", "name: two, nodes: {names: [worker-2]}"),
        "nodes/newer.yaml": WRONG["a newer kind"],
        "nodes/wrong.yaml": WRONG["a key"],
        "agent/config.yaml": CONFIG_MAP,
        "other/pod.yaml": "kind: Pod\n",
        "other/state.json": json.dumps({"kind": "NodeState", "apiVersion": "passgate.dev/v1", "specs": {}}),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    ran = process("lint", str(tmp_path), "-o", "json")

    document = json.loads(ran.out)
    told = {(Path(one["file"]).name, one["code"], one["line"]) for one in document["items"] if "state" in one["code"]}
    assert ran.code == 1
    assert told == {
        ("newer.yaml", "node-state-version", 1),
        ("wrong.yaml", "bad-node-state", 6),
        ("wrong.yaml", "bad-node-state", 7),
        ("config.yaml", "bad-node-state", 13),
        ("config.yaml", "bad-node-state", 14),
        ("state.json", "bad-node-state", 1),
    }
    assert document["summary"]["passedOver"] == 1


def test_lint_and_plan_say_the_same_lines(tmp_path: Path) -> None:
    file = tmp_path / "node-state.yaml"
    file.write_text(WRONG["two mistakes"])

    planned = process("node", "state", "plan", str(file), *host("qat"))
    linted = process("lint", str(file), "-o", "json")

    places = {f"{file}:{one['line']}:{one['column']}" for one in json.loads(linted.out)["items"]}
    assert (planned.code, linted.code) == (2, 1)
    assert places
    assert all(f"error: {place}: " in planned.err for place in places)


@pytest.mark.parametrize("key", ["apiVersion", "kind"])
@pytest.mark.parametrize("value", ["{a: 1}", "[1]", "1", "true"])
def test_a_kind_or_version_of_another_type_is_a_mistake_and_no_defect(key: str, value: str) -> None:
    right = {"apiVersion": "passgate.dev/v1", "kind": "NodeState", key: value}
    text = "".join(f"{name}: {said}\n" for name, said in right.items())

    with pytest.raises(BadState) as caught:
        read_states(text.encode(), "x")

    assert key in {flaw.finding.subject for flaw in caught.value.flaws}
