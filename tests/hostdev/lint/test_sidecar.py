"""The annotation that makes KubeVirt add hook sidecars."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hooksidecar.options import OPTIONS
from hostdev.lint.lint import lint
from hostdev.lint.sidecar import FLAGS
from tests.hostdev.lint.build import HOOK, QAT, found, manifest, told

HOOKS = "hooks.kubevirt.io/hookSidecars"


def test_every_vm_with_a_sidecar_needs_the_gate() -> None:
    assert [finding.code for finding in lint(manifest())] == ["sidecar-gate"]
    assert "sidecar-gate" not in [finding.code for finding in lint(manifest(None, hooks=None))]


@pytest.mark.parametrize(
    "sidecar",
    [
        HOOK[0],
        {**HOOK[0], "imagePullPolicy": "Always", "command": ["passgate-hook"], "args": ["--mode", "hook"]},
        {**HOOK[0], "configMap": {"name": "a", "key": "b", "hookPath": "/c"}, "pvc": {"name": "a", "volumePath": "b"}},
        {"Image": "x", "imagepullpolicy": "Never"},
    ],
)
def test_what_kubevirt_reads_is_fine(sidecar: dict[str, Any]) -> None:
    assert told(hooks=[sidecar]) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"{HOOKS}: is empty"),
        ("[{image: x}]", f"{HOOKS}: is not JSON: Expecting property name"),
        ('{"image": "x"}', f"{HOOKS}: must be a list of objects, is an object"),
        ('["x"]', f'{HOOKS}[0]: must be an object, is "x"'),
        ('[{"image": 1}]', f"{HOOKS}[0].image: must be text, is 1"),
        ('[{"image": "x", "args": "--mode"}]', f'{HOOKS}[0].args: must be a list, is "--mode"'),
        ('[{"image": "x", "args": [1]}]', f"{HOOKS}[0].args[0]: must be text, is 1"),
        ('[{"image": "x", "configMap": "hook"}]', f'{HOOKS}[0].configMap: must be an object, is "hook"'),
        ('[{"image": "x", "pvc": {"name": 1}}]', f"{HOOKS}[0].pvc.name: must be text, is 1"),
        ("[" * 3000, HOOKS),
    ],
)
def test_what_kubevirt_cannot_read(text: str, message: str) -> None:
    (line,) = told(hooks=text)

    assert line.startswith("error bad-hook-sidecars ")
    assert message in line


@pytest.mark.parametrize("key", ["env", "resources", "volumeMounts", "imagePullPolice"])
def test_what_kubevirt_ignores(key: str) -> None:
    (finding,) = found(hooks=[HOOK[0], {**HOOK[0], key: []}])

    assert (finding.code, finding.subject) == ("hook-key-ignored", f"{HOOKS}[1]")
    assert finding.message == f'KubeVirt ignores the key "{key}"'
    assert finding.hint == ("did you mean imagePullPolicy?" if key.startswith("image") else
                            "known: image, imagePullPolicy, command, args, configMap, pvc")  # fmt: skip


@pytest.mark.parametrize("sidecar", [{}, {"image": ""}, {"configMap": {}}])
def test_a_sidecar_without_an_image(sidecar: dict[str, Any]) -> None:
    assert told(hooks=[sidecar]) == [
        f"warning hook-without-image {HOOKS}[0]: has no image: KubeVirt runs its own sidecar-shim"
    ]


def test_annotations_that_nobody_reads() -> None:
    place = "spec.template.metadata.annotations"

    assert told(hooks=None) == [f"warning no-hook-sidecar {place}: {HOOKS} is not set, though passgate.dev/devices is"]
    assert told(None, hooks=None) == []
    assert told(hooks="[]") == [f"warning no-hook-sidecar {HOOKS}: the list is empty"]


def test_annotations_that_stand_at_the_vm() -> None:
    own = {HOOKS: json.dumps(HOOK), "passgate.dev/devices": "[]", "note": "x"}
    lines = told(None, hooks=None, own=own, limits={QAT: 1})
    where = "stands at the VirtualMachine, where nothing reads it"

    assert lines == [
        f"error annotation-misplaced metadata.annotations[{HOOKS}]: {where}",
        f"error annotation-misplaced metadata.annotations[passgate.dev/devices]: {where}",
    ]
    assert [finding.code for finding in found(hooks=None, own={HOOKS: "[]"})] == ["annotation-misplaced"]
    (finding,) = found(own={HOOKS: "[]"})
    assert finding.message.endswith("and the one of the template is what counts")
    assert finding.hint == "move it to spec.template.metadata.annotations"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"domain": {"cpu": {"dedicatedCpuPlacement": True}}}, "spec.template.spec.domain.cpu: the VM has dedicated"),
        (
            {"limits": {QAT: 1, "cpu": 4, "memory": "8Gi"}, "requests": {"cpu": "4"}},
            "spec.template.spec.domain.resources: the VM's requests are its limits",
        ),
    ],
)
def test_a_sidecar_in_a_corset(changes: Any, where: str) -> None:
    (line,) = told(**changes)

    assert line.startswith(f"info sidecar-limits {where}")
    assert "200m CPU and 64M" in line
    assert told(None, hooks=None, **changes) == []


@pytest.mark.parametrize("brings", [{"configMap": {"name": "x"}}, {"pvc": {"name": "x"}}])
def test_a_script_that_the_shim_runs_is_a_hook(brings: dict[str, Any]) -> None:
    assert found(hooks=[HOOK[0], brings]) == []


def test_the_arguments_are_those_of_the_sidecar() -> None:
    assert dict(FLAGS) == {row.names[0]: row.value for row in OPTIONS}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--log-level", "debug", "--host=none"], []),
        (["--log-levl=debug"], ['args[0]: the sidecar has no argument "--log-levl=debug"']),
        (["--wait"], ["args[0]: --wait needs a value"]),
        (["--version", "v1alpha2"], []),
        (["--version", "v1alpha9"], ["args[0]: --version cannot be v1alpha9"]),
    ],
)  # fmt: skip
def test_arguments_that_the_sidecar_does_not_take(args: list[str], said: list[str]) -> None:
    told = [
        f"{finding.subject.partition('[0].')[2]}: {finding.message}"
        for finding in found(hooks=[{**HOOK[0], "args": args}])
    ]

    assert told == said


def test_a_foreign_sidecar_takes_what_it_likes() -> None:
    hooks = [HOOK[0], {"image": "registry.example/smbios:1", "args": ["--version", "v1alpha2"]}]

    assert found(hooks=hooks) == []


def test_a_foreign_sidecar_puts_no_device_into_the_guest() -> None:
    hooks = [{"image": "foreign/smbios"}]
    limits = {"vhostuser/sockets": 1}

    assert found(None, hooks=hooks, limits=limits, domain={"memory": {"guest": "1Gi"}}) == []
