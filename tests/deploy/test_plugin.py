"""KubeVirt's Plugin: it calls what the policy adds and the agent serves, for the VMs that both mean."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hooksidecar import options
from tests.deploy.admission import admit
from tests.deploy.cel import evaluate
from tests.deploy.kustomize import render
from tests.deploy.manifests import DEPLOY, PLUGINS, daemon, manifest
from tests.deploy.pods import DEVICES, FOREIGN_SIDECAR, SIDECAR, container_names, launcher

ANNOTATIONS: tuple[dict[str, str], ...] = (
    {},
    DEVICES,
    SIDECAR,
    FOREIGN_SIDECAR,
    DEVICES | SIDECAR,
    DEVICES | FOREIGN_SIDECAR,
    {"passgate.dev/policy": "{}"},
)


@pytest.fixture(params=PLUGINS)
def overlay(request: pytest.FixtureRequest) -> str:
    """One for each alpha of the API."""
    name: str = request.param
    return name


@pytest.fixture
def plugin(overlay: str) -> dict[str, Any]:
    """Its spec."""
    spec: dict[str, Any] = manifest(overlay, "Plugin")["spec"]
    return spec


def domain_hooks(plugin: dict[str, Any]) -> list[dict[str, Any]]:
    """What virt-launcher calls, by either name."""
    found: list[dict[str, Any]] = plugin["domainHooks"] if "domainHooks" in plugin else plugin["launcherHooks"]
    return found


@pytest.fixture
def sidecar(overlay: str) -> dict[str, Any]:
    """The container that the policy adds."""
    pod = admit(manifest(overlay, "MutatingAdmissionPolicy"), launcher(DEVICES, sidecars=0, plugins=True))
    container: dict[str, Any] = pod["spec"]["containers"][-1]
    return container


@pytest.mark.parametrize("annotations", ANNOTATIONS, ids=lambda annotations: " ".join(annotations) or "none")
def test_the_domain_hook_is_called_where_there_is_a_sidecar(
    overlay: str, plugin: dict[str, Any], annotations: dict[str, str]
) -> None:
    """Called without one, KubeVirt waits 30 s and fails the VM; not called with one, the device is missing."""
    (hook,) = domain_hooks(plugin)
    pod = launcher(annotations, sidecars=sum(map(len, [annotations.keys() & SIDECAR.keys()])), plugins=True)

    stored = admit(manifest(overlay, "MutatingAdmissionPolicy"), pod)

    # virt-launcher knows the fields of a VMI by their names in Go.
    assert evaluate(hook["condition"], vmi={"Annotations": annotations}) == ("passgate" in container_names(stored))


@pytest.mark.parametrize("annotations", [None, *ANNOTATIONS], ids=str)
def test_the_node_hook_is_called_for_vms_with_devices(
    plugin: dict[str, Any], annotations: dict[str, str] | None
) -> None:
    (hook,) = plugin["nodeHooks"]
    vmi = {"metadata": {} if annotations is None else {"annotations": annotations}}

    # virt-handler knows them by their names in YAML.
    assert evaluate(hook["condition"], vmi=vmi) == ("passgate.dev/devices" in (annotations or {}))


def test_every_hook_fails_closed(plugin: dict[str, Any]) -> None:
    hooks = [*domain_hooks(plugin), *plugin["nodeHooks"]]

    assert {hook["failureStrategy"] for hook in [plugin, *hooks]} == {"Fail"}
    # virt-handler would take no notice of it.
    assert "condition" not in plugin
    assert len(hooks) == 2


def test_the_socket_is_where_kubevirt_allows_it(plugin: dict[str, Any], sidecar: dict[str, Any]) -> None:
    (hook,) = domain_hooks(plugin)
    (mount,) = sidecar["volumeMounts"]
    socket = hook["sidecar"]["socketPath"]

    assert re.fullmatch(r"/var/run/kubevirt-plugin/passgate/[^/]+\.sock", socket)
    assert len(socket) <= 108
    assert (mount["mountPath"], mount["subPath"]) == (socket.rpartition("/")[0], "passgate")


def test_the_sidecar_serves_there(plugin: dict[str, Any], sidecar: dict[str, Any]) -> None:
    parsed = options.parse(sidecar["args"])

    assert parsed.mode == "plugin"
    assert parsed.plugin_socket == domain_hooks(plugin)[0]["sidecar"]["socketPath"]


def test_the_agent_serves_the_node_hook(overlay: str, plugin: dict[str, Any]) -> None:
    (hook,) = plugin["nodeHooks"]
    (container,) = daemon(overlay)["containers"]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}

    assert f"--node-hook-socket={hook['socket']}" in container["args"]
    assert hook["socket"].rpartition("/")[0] in mounts


def test_the_policy_is_named(overlay: str, plugin: dict[str, Any]) -> None:
    assert plugin["mutatingAdmissionPolicies"] == [
        {"name": manifest(overlay, "MutatingAdmissionPolicy")["metadata"]["name"]}
    ]


def test_the_two_alphas_differ_in_the_name_of_the_hooks_and_in_what_the_sidecar_may_be_called_for() -> None:
    first, second = (manifest(folder, "Plugin") for folder in PLUGINS)
    (hook,) = second["spec"].pop("launcherHooks")

    assert hook["sidecar"].pop("permittedHooks") == ["GuestDefinition"]
    assert first["spec"].pop("domainHooks") == [hook]
    assert first == second
    others = [[one for one in render(DEPLOY / folder) if one["kind"] != "Plugin"] for folder in PLUGINS]
    assert others[0] == others[1]
