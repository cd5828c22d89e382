"""Files that somebody is about to apply: YAML or JSON, the VM among other things."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import BadInput, PassgateError
from hostdev.vmi.file import Manifest, find_vm, parse_manifest
from tests.hostdev.vmi.jsonvalues import JSON
from tests.hostdev.vmi.vms import VM

OTHERS = """
kind: Namespace
metadata: {name: lab}
---
---
# nothing
---
kind: ConfigMap
data: {a: b}
---
"""


def check(manifest: Manifest) -> None:
    assert (manifest.kind, str(manifest.vmi), manifest.instancetype) == ("VirtualMachine", "lab/qat", "u1.large")
    assert manifest.own_annotations == {"note": "mine"}
    assert manifest.vmi.annotations == {"passgate.dev/devices": '[{"resource": "qat.intel.com/generic"}]\n'}
    assert manifest.vmi.asked == {"qat.intel.com/generic": 1}
    assert str(manifest) == "VirtualMachine lab/qat"


def test_a_yaml_file() -> None:
    check(parse_manifest(VM.encode()))


def test_the_vm_among_other_documents() -> None:
    check(parse_manifest((OTHERS + VM + "---\n" + OTHERS).encode()))


def test_a_json_file() -> None:
    check(parse_manifest(json.dumps(yaml.safe_load(VM)).encode()))


@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump])
def test_a_list_of_objects(write: Any) -> None:
    check(parse_manifest(write({"kind": "List", "items": [{"kind": "Pod"}, yaml.safe_load(VM)]}).encode()))


def test_a_vmi_has_no_annotations_besides_its_own() -> None:
    manifest = parse_manifest(b"kind: VirtualMachineInstance\nmetadata: {name: a, annotations: {b: c}}\nspec: {}")

    assert (manifest.own_annotations, manifest.vmi.annotations, manifest.instancetype) == ({}, {"b": "c"}, "")


BOMB = "a: &a [x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
)
"""A file that is 3^20 elements when it is written out."""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the manifest: is empty"),
        ("# nothing", "the manifest: holds none of VirtualMachineInstance, VirtualMachine,"),
        ("just text", 'must be an object, is "just text"'),
        ("- kind: VirtualMachine", "must be an object, is a list"),
        (OTHERS, "holds none of"),
        ("{", "is not JSON"),
        ("a: [", "is not YAML: while parsing a flow node"),
        ("a: b: c", "is not YAML: mapping values are not allowed in this context (line 1, column 5)"),
        ("\tkind: x", "is not YAML"),
        ("a: \0", "is not YAML"),
        ("a: !!python/object/apply:os.system [id]", "could not determine a constructor for the tag"),
        ("a: !!int ''", "is not YAML"),
        ("a: !!bool x", "is not YAML"),
        ("a: !!binary aGk=", "could not determine a constructor for the tag"),
        ("a: !!set {x}", "could not determine a constructor for the tag"),
        ("a: .nan", "a: is no finite number"),
        ("? {a: b}\n: c", "found unhashable key"),
        ("~: 1", "has a key that is no text"),
        ("<<: 1", "merges (<<) what is no mapping"),
        ("a: [" * 5000, "is nested too deep"),
        ("a: " + "[" * 100 + "]" * 100, "is nested too deep"),
        ("kind: VirtualMachine\nspec:\n  a: 1\n  a: 2", "has the key 'a' twice, for the second time in line 4"),
        ("{a: 1, a: 1}", "is not JSON"),
        (VM + "---" + VM, "holds 2 VMs: VirtualMachine lab/qat, VirtualMachine lab/qat: give one VM at a time"),
        ("a: *b", "found undefined alias"),
        (BOMB, "unfold to more than 1000000 values"),
        ("kind: List\nitems: &a [*a]", "holds itself"),
        ("kind: VirtualMachine\nmetadata: &m {annotations: *m}\nspec: {}", "holds itself"),
        ("a: [" * 100000, "is nested too deep"),
        ("kind: VirtualMachine\nspec: {template: {metadata: {annotations: {a: [1]}}}}", "annotations.a: must be text"),
    ],
)
def test_a_bad_file_is_a_sentence(text: str, message: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_manifest(text.encode())

    assert message in str(refused.value)
    assert refused.value.code == "bad-vmi"


def test_a_file_that_is_too_long() -> None:
    with pytest.raises(BadInput, match="is 4194305 bytes long, at most 4194304 are read"):
        parse_manifest(b" " * 4194303 + b"a:")


def test_without_pyyaml_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(BadInput, match="needs PyYAML") as refused:
        parse_manifest(VM.encode())
    assert "passgate[cli]" in refused.value.hint
    check(parse_manifest(json.dumps(yaml.safe_load(VM)).encode()))


def test_dates_and_times_are_text_as_kubectl_reads_them() -> None:
    check(
        parse_manifest(
            VM.replace("namespace: lab", "namespace: lab\n  creationTimestamp: 2019-12-18T10:44:37Z").encode()
        )
    )


def test_a_merge_of_yaml_is_no_repetition() -> None:
    text = VM.replace("annotations: {note: mine}", "annotations: {<<: {note: his}, note: mine}")

    check(parse_manifest(text.encode()))


@given(st.text() | st.text("-:{}[]&*!|>'\"\n\t aklm", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for data in (text.encode(errors="surrogatepass"), f"kind: VirtualMachine\n{text}".encode(errors="replace")):
        try:
            manifest = parse_manifest(data)
        except PassgateError:
            continue
        assert isinstance(manifest, Manifest)


@given(JSON)
def test_yaml_and_json_say_the_same(value: Any) -> None:
    document = {"kind": "VirtualMachine", "metadata": {"name": "x"}, "spec": {"template": {"spec": {"new": value}}}}
    try:
        as_json = parse_manifest(json.dumps(document).encode())
    except PassgateError:
        return
    assert parse_manifest(yaml.safe_dump(document).encode()) == as_json


def test_a_vmi_as_a_hook_is_handed_it_has_no_kind() -> None:
    assert find_vm(b'{"metadata": {"name": "a"}, "spec": {}}').fields["metadata"] == {"name": "a"}
