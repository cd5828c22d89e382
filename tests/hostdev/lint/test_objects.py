"""Files as they lie there: many documents, lists, templates of several kinds, and what cannot be read."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hostdev.lint.objects import read_objects
from hostdev.lint.rendering import engine_of
from tests.hostdev.lint.run import codes, results, run, said, vm

TEMPLATE = """
apiVersion: template.openshift.io/v1
kind: Template
metadata: {name: t}
objects:
- kind: ConfigMap
- apiVersion: kubevirt.io/v1
  kind: VirtualMachine
  metadata: {name: "${NAME}-vm"}
  spec:
    runStrategy: Halted
    template:
      spec:
        domain:
          cpu: {cores: "${{CORES}}"}
          memory: {guest: "${MEMORY}"}
          machine: {type: "${MACHINE}"}
          devices:
            disks: [{name: "${NAME}", disk: {bus: ide}}]
        volumes: [{name: "${NAME}", containerDisk: {image: a.b/c}}]
parameters:
- {name: NAME, generate: expression, from: "vm-[a-z]{4}"}
- {name: MEMORY, value: 2Gi}
- {name: CORES, value: "4"}
- {name: MACHINE}
"""
NATIVE = """
apiVersion: template.kubevirt.io/v1alpha1
kind: VirtualMachineTemplate
metadata: {name: t}
spec:
  parameters: [{name: NAME, required: true}, {name: BUS, value: ide}]
  virtualMachine:
    metadata: {name: "${NAME}"}
    spec:
      runStrategy: Always
      template:
        spec:
          domain: {memory: {guest: 1Gi}, devices: {disks: [{name: d, disk: {bus: "${BUS}"}}]}}
          volumes: [{name: d, emptyDisk: {capacity: 1Gi}}]
"""
HELM = "{{- if .Values.vm }}\napiVersion: kubevirt.io/v1\nkind: VirtualMachine\n{{- end }}\n"
JINJA = "{% if vm %}\napiVersion: kubevirt.io/v1\nkind: VirtualMachine\nmetadata: {name: {{ vm.name }} }\n{% endif %}\n"


def test_many_documents_and_what_is_no_vm() -> None:
    contents = read_objects(f"kind: Pod\n---\n{vm()}---\n---\n- a list\n---\n{vm()}".encode(), "f")

    assert [str(one) for one in contents.objects] == ["VirtualMachine lab/vm"] * 2
    assert (contents.others, contents.error) == (2, None)


@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump])
def test_lists_in_lists(write: object) -> None:
    inner = {"kind": "VirtualMachineList", "items": [yaml.safe_load(vm(devices="{gpus: [{name: g}]}"))]}
    text = write({"kind": "List", "items": [{"kind": "Pod"}, inner]})  # type: ignore[operator]
    (result,) = [one for one in results(text) if one.finding.code == "device-refused"]

    assert (result.object, result.finding.subject) == (
        "VirtualMachine lab/vm",
        "spec.template.spec.domain.devices.gpus[0]",
    )
    assert result.line >= 1


def test_an_openshift_template_is_filled_with_its_defaults() -> None:
    told = results(TEMPLATE)

    assert [(one.finding.code, one.line) for one in told] == [("disk-refused", 19)]
    assert read_objects(TEMPLATE.encode(), "f").objects[0].value["spec"]["template"]["spec"]["domain"]["cpu"] == {
        "cores": 4
    }


def test_a_parameter_without_a_value_is_unknown_and_never_wrong() -> None:
    text = TEMPLATE.replace("{name: MEMORY, value: 2Gi}", "{name: MEMORY}").replace('value: "4"', 'displayName: "4"')

    assert [one.finding.code for one in results(text)] == ["disk-refused"]


def test_kubevirts_own_templates() -> None:
    (told,) = said(NATIVE)

    assert told.startswith("0.yaml:13:77 disk-refused spec.template.spec.domain.devices.disks[0].disk.bus: ")


@pytest.mark.parametrize(
    ("text", "engine", "command"),
    [
        (HELM, "Helm", "helm template CHART | passgate lint -"),
        (JINJA, "Jinja", "jinja2 0.yaml | passgate lint -"),
        ("kind: VirtualMachine\n{{ range .Items }}\n- a\n{{ end }}\n", "Go", "gomplate -f 0.yaml | passgate lint -"),
        ("kind: VirtualMachine\nmetadata:\n  {{% name %}}\n   x\n", "Hugo", "hugo"),
    ],
)
def test_a_template_that_is_no_yaml_is_named_with_the_command_that_renders_it(
    text: str, engine: str, command: str
) -> None:
    (result,) = results(text)

    assert (result.finding.code, result.finding.severity) == ("not-rendered", "warning")
    assert f"is a template of {engine}," in result.finding.message
    assert command in result.finding.hint
    assert not result.unreadable


def test_the_chart_of_a_helm_template_is_named() -> None:
    (result,) = results(HELM, chart="charts/vm")

    assert "helm template charts/vm | passgate lint -" in result.finding.hint


def test_a_template_that_is_yaml_is_read_but_for_its_placeholders() -> None:
    text = vm(memory="'{{ memory }}'", devices="{gpus: [{name: '{{ name }}'}, {name: g}]}")
    told = [one.finding for one in results(text)]

    assert [(one.code, one.severity) for one in told] == [("device-refused", "error"), ("not-rendered", "info")]
    assert told[0].subject == "spec.template.spec.domain.devices.gpus[1]"
    assert told[1].message.startswith("2 of its values")


def test_braces_of_the_guest_are_no_template() -> None:
    seed = "{cloudInitNoCloud: {userData: 'echo {{ ds.meta_data }} ${HOME}'}, name: c}"

    assert codes(vm(f"volumes: [{seed}]")) == []


def test_a_patch_of_a_kustomization_is_no_whole_vm() -> None:
    patch = "kind: VirtualMachine\nmetadata: {name: x}\nspec: {template: {spec: {nodeSelector: {a: b}}}}"
    (result,) = results(patch, overlay="overlays/prod")

    assert (result.finding.code, result.finding.severity) == ("kustomize-patch", "info")
    assert "kustomize build overlays/prod | passgate lint -" in result.finding.hint


def test_what_cannot_be_read_is_told_with_its_place_and_the_rest_is_looked_at() -> None:
    told = run(f"{vm(devices='{gpus: [{name: g}]}')}---\nkind: VirtualMachine\nspec: [", vm())

    assert [one.finding.code for one in told.results] == ["device-refused", "bad-vmi"]
    assert [(one.finding.code, one.line) for one in told.results if one.unreadable] == [("bad-vmi", 17)]
    assert told.counts.files == 2


def test_a_broken_file_without_a_vm_that_was_only_found_is_passed_over() -> None:
    told = run("a: [", is_named=False)

    assert told.results == ()


def test_a_key_that_is_there_twice_is_told_with_both_lines() -> None:
    (told,) = results(vm().replace("        memory:", "        memory: {guest: 2Gi}\n        memory:"))

    assert (told.finding.code, told.finding.subject) == ("duplicate-key", "spec.template.spec.domain.memory")
    assert told.finding.message == f"the key memory is there twice, in lines {told.line - 1} and {told.line}"


def test_yaml_is_read_as_the_api_server_reads_it() -> None:
    (told,) = results(vm(devices="{autoattachMemBalloon: n, rng: on, disks: [{name: d, disk: , bootOrder: 0x1}]}"))

    assert (told.finding.code, told.finding.subject) == ("wrong-type", "spec.template.spec.domain.devices.rng")
    assert told.finding.message == "KubeVirt refuses it: must be of type object, is the boolean true"


@pytest.mark.parametrize("value", ["n", "on", "yes", "5", "0x10"])
def test_annotations_are_texts_and_yaml_makes_something_else_of_words(value: str) -> None:
    assert codes(vm(annotations=f"{{a/b: {value}}}")) == ["error wrong-type"]


def test_nulls_vanish() -> None:
    told = said(vm("networks: [{name: lan, pod: }]", devices="{interfaces: [{name: lan, masquerade: }]}"))

    assert any("should have a network type" in one for one in told)
    assert any("exactly one binding method" in one for one in told)


def test_a_place_inside_an_annotation_is_the_annotations_line() -> None:
    wish = '{passgate.dev/devices: \'[{"resource": "a.b/c"}]\'}'
    (result,) = [one for one in results(vm(annotations=wish)) if one.finding.code == "resource-not-requested"]

    assert (result.line, result.column) == (8, 30)


@given(st.text("{}%$.#<> aVif-\n:", max_size=60))
def test_an_engine_is_named_for_braces_only(text: str) -> None:
    engine = engine_of(text.encode())

    assert (engine is None) == ("{{" not in text and "{%" not in text)


@given(st.binary(max_size=60) | st.text("-:{}[]&*!|>'\"\n\t kind: VirtualMachine", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    contents = read_objects(b"kind: VirtualMachine\n" + data, "f")

    assert contents.error is None or contents.error.code == "bad-vmi"
    for result in results(b"kind: VirtualMachine\nmetadata: {name: a}\n" + data):
        assert result.finding.message
