"""The policy on pods: whom it is for, and what they become. The expressions are evaluated as they are written."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from hostdev.allocation.dialects import DIALECTS
from tests.deploy.admission import Variables, admit, matches
from tests.deploy.kustomize import render
from tests.deploy.manifests import DEPLOY, manifest
from tests.deploy.pods import DEVICES, FOREIGN_SIDECAR, SIDECAR, command, compute, container_names, launcher

KINDS = {"overlays/sidecar": "MutatingAdmissionPolicy", "kyverno": "MutatingPolicy"}
HOOKS, PLUGINS = "/var/run/kubevirt-hooks", "/var/run/kubevirt-plugin"
OTHERS = {"postStart": {"exec": {"command": ["/bin/true"]}}}
BARE = {"metadata": {"labels": {"kubevirt.io": "virt-launcher"}}, "spec": {"containers": []}}


@pytest.fixture(params=sorted(KINDS))
def policy(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The API server's form, and Kyverno's."""
    return manifest(request.param, KINDS[request.param])


@pytest.fixture
def plugin() -> dict[str, Any]:
    """The policy of the plugin overlay."""
    return manifest("overlays/plugin", "MutatingAdmissionPolicy")


@pytest.mark.parametrize("annotations", [DEVICES, SIDECAR, DEVICES | SIDECAR, {"passgate.dev/policy": "{}"} | SIDECAR])
def test_an_annotated_pod_gets_the_hook(policy: dict[str, Any], annotations: dict[str, str]) -> None:
    pod = launcher(annotations)

    stored = admit(policy, pod)

    assert command(stored)[:2] == ["/bin/sh", "-c"]
    assert command(stored)[3:] == ["passgate", f"{HOOKS}/hook-sidecar-0"]
    del compute(stored)["lifecycle"]
    assert stored == pod


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(launcher(None), id="no annotations"),
        pytest.param(launcher({}), id="empty annotations"),
        pytest.param(launcher(FOREIGN_SIDECAR), id="another's sidecar"),
        pytest.param(launcher({"passgate.example/devices": "[]"}), id="another's annotation"),
        pytest.param(launcher(DEVICES, sidecars=0), id="no volumes at all"),
        pytest.param(BARE, id="nearly nothing"),
    ],
)
def test_other_virt_launchers_stay_as_they_are(policy: dict[str, Any], pod: dict[str, Any]) -> None:
    assert not matches(policy, pod)
    assert admit(policy, pod) == pod


@pytest.mark.parametrize("labels", [None, {}, {"kubevirt.io": "virt-handler"}, {"app": "virt-launcher"}])
def test_pods_that_are_no_virt_launchers_stay_as_they_are(
    policy: dict[str, Any], labels: dict[str, str] | None
) -> None:
    pod = launcher(DEVICES | SIDECAR)
    pod["metadata"]["labels"] = labels

    assert not matches(policy, pod)


def test_volumes_of_others_do_not_count(policy: dict[str, Any]) -> None:
    pod = launcher(DEVICES)
    pod["spec"]["volumes"] = [{"name": "private", "emptyDir": {}}]

    assert not matches(policy, pod)


def test_a_pod_without_compute_stays_as_it_is(policy: dict[str, Any]) -> None:
    pod = launcher(DEVICES)
    compute(pod)["name"] = "d8v-compute"

    assert not matches(policy, pod)


def test_two_sidecars_get_a_file_each(policy: dict[str, Any]) -> None:
    stored = admit(policy, launcher(SIDECAR, sidecars=2))

    assert command(stored)[4:] == [f"{HOOKS}/hook-sidecar-0", f"{HOOKS}/hook-sidecar-1"]


def test_before_kubevirt_1_6_the_volume_has_no_folders(policy: dict[str, Any]) -> None:
    stored = admit(policy, launcher(SIDECAR, folders=False))

    assert command(stored)[4:] == [HOOKS]


def test_containers_without_mounts_and_with_other_mounts(policy: dict[str, Any]) -> None:
    pod = launcher(SIDECAR)
    pod["spec"]["containers"] += [
        {"name": "volumerootdisk", "volumeMounts": [{"name": "container-disks", "mountPath": "/d"}]},
        {"name": "bare"},
    ]

    assert command(admit(policy, pod))[4:] == [f"{HOOKS}/hook-sidecar-0"]


def test_compute_is_found_by_name(policy: dict[str, Any]) -> None:
    """An injector may have put a container before it."""
    pod = launcher(SIDECAR)
    pod["spec"]["containers"].insert(0, {"name": "istio-proxy"})

    stored = admit(policy, pod)

    assert "lifecycle" not in stored["spec"]["containers"][0]
    assert command(stored)[4:] == [f"{HOOKS}/hook-sidecar-0"]


def test_another_hook_stays(policy: dict[str, Any]) -> None:
    pod = launcher(SIDECAR, lifecycle=OTHERS)

    assert admit(policy, pod) == pod


def test_a_pre_stop_stays_beside_ours(policy: dict[str, Any]) -> None:
    before = {"preStop": {"exec": {"command": ["/bin/true"]}}}

    stored = admit(policy, launcher(SIDECAR, lifecycle=copy.deepcopy(before)))

    assert compute(stored)["lifecycle"].keys() == {"preStop", "postStart"}
    assert compute(stored)["lifecycle"]["preStop"] == before["preStop"]


@pytest.mark.parametrize("pod", [launcher(SIDECAR), launcher(DEVICES, sidecars=0, plugins=True)], ids=["hook", "own"])
def test_asked_again_nothing_changes(policy: dict[str, Any], plugin: dict[str, Any], pod: dict[str, Any]) -> None:
    for one in (policy, plugin):
        stored = admit(one, pod)

        assert command(stored)
        assert admit(one, stored) == stored


def test_in_plugin_mode_the_sidecar_is_added(plugin: dict[str, Any]) -> None:
    pod = launcher(DEVICES, sidecars=0, plugins=True)

    stored = admit(plugin, pod)

    ours = stored["spec"]["containers"][-1]
    assert ours["name"] == "passgate"
    # What KubeVirt's own policy asks of every container but compute.
    assert ours["volumeMounts"] == [
        {"name": "kubevirt-plugin-sockets", "mountPath": f"{PLUGINS}/passgate", "subPath": "passgate"}
    ]
    assert ours["resources"]["requests"] == ours["resources"]["limits"] == {"cpu": "200m", "memory": "64M"}
    assert ours["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 107,
        "runAsGroup": 107,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert command(stored)[4:] == [f"{PLUGINS}/passgate"]
    assert stored["spec"]["containers"][:-1][1:] == pod["spec"]["containers"][1:]


def test_in_plugin_mode_a_hook_sidecar_of_ours_is_enough(plugin: dict[str, Any]) -> None:
    stored = admit(plugin, launcher(DEVICES | SIDECAR, plugins=True))

    assert container_names(stored) == ["compute", "hook-sidecar-0"]
    assert command(stored)[4:] == [f"{HOOKS}/hook-sidecar-0"]


def test_in_plugin_mode_another_hook_sidecar_is_no_obstacle(plugin: dict[str, Any]) -> None:
    stored = admit(plugin, launcher(DEVICES | FOREIGN_SIDECAR, plugins=True))

    assert container_names(stored) == [
        "compute",
        "hook-sidecar-0",
        "passgate",
    ]
    assert command(stored)[4:] == [f"{HOOKS}/hook-sidecar-0", f"{PLUGINS}/passgate"]


def test_in_plugin_mode_another_hook_of_compute_is_no_obstacle(plugin: dict[str, Any]) -> None:
    """The agent may bring the file."""
    stored = admit(plugin, launcher(DEVICES, sidecars=0, plugins=True, lifecycle=OTHERS))

    assert container_names(stored) == ["compute", "passgate"]
    assert compute(stored)["lifecycle"] == OTHERS


def test_without_the_plugins_gate_no_sidecar_is_added(plugin: dict[str, Any]) -> None:
    """KubeVirt makes no volume then."""
    stored = admit(plugin, launcher(DEVICES | FOREIGN_SIDECAR))

    assert container_names(stored) == ["compute", "hook-sidecar-0"]


def test_kyverno_has_the_same_policy() -> None:
    ours, kyvernos = manifest("overlays/sidecar", "MutatingAdmissionPolicy"), manifest("kyverno", "MutatingPolicy")
    # Kyverno asks its policies again anyway, and the field is not in its schema.
    assert ours["spec"].pop("reinvocationPolicy") == "IfNeeded"

    assert kyvernos["spec"] == ours["spec"]
    assert kyvernos["apiVersion"] == "policies.kyverno.io/v1"
    assert [one["kind"] for one in render(DEPLOY / "kyverno")] == ["MutatingPolicy"]


def test_the_hook_writes_what_the_dialects_name(policy: dict[str, Any]) -> None:
    starts = {start + ("[0-9]" if row.numbered else "") for row in DIALECTS for start in row.starts}
    least = {one for one in starts if not any(one != other and one.startswith(other) for other in starts)}

    script = Variables.of(policy["spec"], launcher(SIDECAR))["script"]

    assert f"'^({'|'.join(sorted(least))})[^=]*='" in script
