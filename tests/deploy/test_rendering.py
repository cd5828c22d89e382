"""What the overlays come to: what each may do to a node, and nothing more."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from hooksidecar.agent import options
from hooksidecar.monitoring.alerts import JOB
from hooksidecar.monitoring.metrics import TARGET_LABELS
from hostdev.binding.state import NodeState
from hostdev.binding.statefile import read_states
from tests.deploy.kubectl import by_name, kubectl, skip_without
from tests.deploy.kustomize import documents, render
from tests.deploy.manifests import CLAIMS, DEPLOY, FOLDERS, MANAGERS, PLUGINS, VERSION, daemon, manifest

COMPONENTS = ("chosen-nodes", "dashboard", "device-nodes", "nfd", "podmonitor", "prometheusrule", "selinux")
AGENTS = ("overlays/agent-observe", "overlays/agent", *PLUGINS)
MANAGER, OFFERER = MANAGERS
_MANAGED = {
    "/var/lib/kubelet/device-plugins": False,
    "/var/lib/kubelet/pod-resources": False,
    "/var/lib/kubelet/pods": True,
    "/var/lib/passgate": True,
    "/sys": True,
    "/dev": False,
    "/lib/modules": False,
    "/run/udev": False,
}


def host_paths(folder: str) -> dict[str, bool]:
    """What of the node the agent has, and whether it may write there."""
    pod = daemon(folder)
    (container,) = pod["containers"]
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in pod["volumes"] if "hostPath" in volume}
    mounts = (mount for mount in container["volumeMounts"] if mount["name"] in paths)
    return {paths[mount["name"]]: not mount.get("readOnly", False) for mount in mounts}


@pytest.mark.parametrize("folder", FOLDERS)
def test_kubectl_renders_the_same(folder: str) -> None:
    skip_without()
    assert by_name(kubectl(DEPLOY / folder)) == by_name(render(DEPLOY / folder))


def test_kubectl_renders_the_same_with_every_component(tmp_path: Path) -> None:
    skip_without()
    own = _with_components(tmp_path)

    assert by_name(kubectl(own)) == by_name(render(own))


def test_components_change_the_agent_and_nothing_else(tmp_path: Path) -> None:
    with_all = {(found["kind"], found["metadata"]["name"]): found for found in render(_with_components(tmp_path))}
    without = {(found["kind"], found["metadata"]["name"]): found for found in render(DEPLOY / "overlays/agent")}

    assert {key for key, found in with_all.items() if without.get(key) != found} == {
        ("DaemonSet", "passgate-agent"),
        ("PodMonitor", "passgate-agent"),
        ("PodMonitor", "passgate-claims"),
        ("PrometheusRule", "passgate-agent"),
        ("ConfigMap", "passgate-dashboard"),
    }
    pod = with_all["DaemonSet", "passgate-agent"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["seLinuxOptions"] == {"type": "spc_t"}
    assert pod["containers"][0]["args"][-1].startswith("--features-dir=/etc/kubernetes/node-feature-discovery/")
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux", "passgate.dev/agent": "true"}
    assert {"name": "vfio", "hostPath": {"path": "/dev/vfio", "type": "Directory"}} in pod["volumes"]


@pytest.mark.parametrize(
    ("folder", "paths"),
    [
        (
            "overlays/agent-observe",
            {
                "/var/lib/kubelet/device-plugins": False,
                "/var/lib/kubelet/pod-resources": False,
            },
        ),
        (
            "overlays/agent",
            {
                "/var/lib/kubelet/device-plugins": False,
                "/var/lib/kubelet/pod-resources": False,
                "/var/lib/kubelet/pods": True,
            },
        ),
        (MANAGER, _MANAGED),
        (OFFERER, {**_MANAGED, "/var/lib/kubelet/plugins_registry": True}),
        (
            "overlays/plugin",
            {
                "/var/lib/kubelet/device-plugins": False,
                "/var/lib/kubelet/pod-resources": False,
                "/var/lib/kubelet/pods": True,
                "/var/run/kubevirt/plugins": True,
            },
        ),
    ],
)
def test_the_agent_has_no_more_of_the_node_than(folder: str, paths: dict[str, bool]) -> None:
    assert host_paths(folder) == paths


@pytest.mark.parametrize("folder", AGENTS)
def test_nothing_is_made_on_a_node_that_the_agent_does_not_need(folder: str) -> None:
    """With `DirectoryOrCreate` kubelet makes it, and it stays; without a type the runtime does."""
    kinds = {volume["hostPath"]["path"]: volume["hostPath"].get("type") for volume in daemon(folder)["volumes"]}
    made = {path for path, kind in kinds.items() if kind != "Directory"}

    # KubeVirt's own, of which it makes no more than it needs; /var/run is empty after each boot.
    assert made == ({"/var/run/kubevirt/plugins"} if "plugin" in folder else set())


@pytest.mark.parametrize("folder", AGENTS)
def test_the_agent_is_confined(folder: str) -> None:
    pod = daemon(folder)
    (container,) = pod["containers"]
    context = container["securityContext"]

    assert not pod["automountServiceAccountToken"]
    assert {name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)} == set()
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (context["readOnlyRootFilesystem"], context["allowPrivilegeEscalation"]) == (True, False)
    assert context["capabilities"]["drop"] == ["ALL"]
    assert context["capabilities"].get("add", []) == ([] if "observe" in folder else ["CHOWN", "DAC_OVERRIDE"])
    assert container["resources"]["limits"].keys() == {"memory"}
    assert ("--observe" in container["args"]) == ("observe" in folder)


@pytest.mark.parametrize("folder", MANAGERS)
def test_the_manager_has_what_it_needs_and_no_more(folder: str) -> None:
    """Observe, agent, manage, offer: each level has what the one below has, and what is written down here."""
    pod = daemon(folder)
    (container,) = pod["containers"]
    context = container["securityContext"]

    assert not pod["automountServiceAccountToken"]
    assert {name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)} == {"hostNetwork", "hostPID"}
    assert (context["readOnlyRootFilesystem"], context["allowPrivilegeEscalation"]) == (True, False)
    assert "privileged" not in context
    assert context["capabilities"] == {"drop": ["ALL"], "add": ["CHOWN", "DAC_OVERRIDE", "SYS_PTRACE", "NET_ADMIN"]}
    kinds = {volume["hostPath"].get("type") for volume in pod["volumes"] if "hostPath" in volume}
    assert kinds == {"Directory", "DirectoryOrCreate"}
    options.parse([word.replace("$(NODE_NAME)", "worker-1") for word in container["args"]])


def test_the_offerer_is_the_manager_with_a_place_for_its_sockets() -> None:
    """No capability more: kubelet's directories are root's, and the agent is root."""
    manager, offerer = daemon(MANAGER), daemon(OFFERER)
    (less,), (more,) = manager.pop("containers"), offerer.pop("containers")

    assert more["args"] == [*less["args"], "--offer"]
    assert {key for key in more if more[key] != less[key]} == {"args", "volumeMounts"}
    assert _mounts(OFFERER) == {
        **_mounts(MANAGER),
        "/var/lib/kubelet/plugins_registry": ("/var/lib/kubelet/plugins_registry", False),
    }
    assert {key for key in offerer if offerer[key] != manager.get(key)} == {"volumes"}


def test_no_two_plugins_of_one_name_are_on_a_node() -> None:
    """A second one would stay pending for the port of the node's network, and the first one would not end."""
    spec = manifest(OFFERER, "DaemonSet")["spec"]

    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    assert spec["template"]["spec"]["hostNetwork"]
    assert [port["containerPort"] for port in spec["template"]["spec"]["containers"][0]["ports"]]


MANAGERS_MOUNTS = {
    "/etc/passgate": ("passgate-node-state", True),
    "/var/lib/passgate": ("/var/lib/passgate", False),
    "/sys": ("/sys", False),
    "/dev": ("/dev", True),
    "/lib/modules": ("/lib/modules", True),
    "/run/udev": ("/run/udev", True),
}
"""By path in the container, what is there of the node or the cluster, and whether it is read only."""


def _mounts(folder: str) -> dict[str, tuple[str, bool]]:
    pod = daemon(folder)
    (container,) = pod["containers"]
    sources = {
        one["name"]: one["hostPath"]["path"] if "hostPath" in one else one.get("configMap", {}).get("name", "")
        for one in pod["volumes"]
    }
    return {one["mountPath"]: (sources[one["name"]], bool(one.get("readOnly"))) for one in container["volumeMounts"]}


def test_of_the_node_the_manager_writes_to_sys_and_its_journal_alone() -> None:
    agent, manager = _mounts("overlays/agent"), _mounts(MANAGER)
    more = {path: mount for path, mount in manager.items() if agent.get(path) != mount}

    assert more == MANAGERS_MOUNTS
    assert agent.keys() <= manager.keys()


def test_what_the_manager_needs_is_written_down() -> None:
    page = (DEPLOY.parent / "docs/node-state.md").read_text().split("What it needs of a node")[1].split("## VFs")[0]
    (container,) = daemon(MANAGER)["containers"]

    for word in (*container["securityContext"]["capabilities"]["add"][2:], "hostPID", "hostNetwork", "AppArmor"):
        assert word in page
    for path, (source, _) in MANAGERS_MOUNTS.items():
        assert f"`{source}`" in page or f"`{path}`" in page or source == "passgate-node-state", path


def test_the_state_that_comes_with_the_manager_declares_nothing() -> None:
    config = manifest(MANAGER, "ConfigMap")
    (container,) = daemon(MANAGER)["containers"]
    (name,) = config["data"]

    assert f"--manage=/etc/passgate/{name}" in container["args"]
    assert read_states(config["data"][name].encode(), name) == (NodeState("nothing"),)


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_overlay_needs_the_prometheus_operator(folder: str) -> None:
    """In a cluster without it `kubectl apply` would end with 1; where it is, components are added."""
    assert [one["kind"] for one in render(DEPLOY / folder) if one["apiVersion"].startswith("monitoring.")] == []


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder != CLAIMS])
def test_nothing_asks_for_rights_at_the_api_server(folder: str) -> None:
    assert [found["kind"] for found in render(DEPLOY / folder) if "Role" in found["kind"]] == []


def test_the_sidecar_overlay_puts_nothing_on_nodes() -> None:
    assert [found["kind"] for found in render(DEPLOY / "overlays/sidecar")] == [
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
    ]


@pytest.mark.parametrize("folder", AGENTS)
def test_the_agent_understands_its_arguments(folder: str) -> None:
    (container,) = daemon(folder)["containers"]

    options.parse(container["args"])


@pytest.mark.parametrize("folder", AGENTS)
def test_probes_go_where_the_agent_listens(folder: str) -> None:
    (container,) = daemon(folder)["containers"]
    (port,) = container["ports"]
    probes = [container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")]

    assert f"--listen=:{port['containerPort']}" in container["args"]
    assert probes == [{"path": "/healthz", "port": port["name"]}] * 3


@pytest.mark.parametrize("folder", AGENTS)
def test_nothing_asks_before_the_agent_listens(folder: str) -> None:
    """Kubelet tells the pod of each answer that is missing, as an event `Unhealthy`; other probes wait for this one."""
    (container,) = daemon(folder)["containers"]

    assert container["startupProbe"]["initialDelaySeconds"] >= 5
    assert not {"initialDelaySeconds"} & (container["livenessProbe"].keys() | container["readinessProbe"].keys())


@pytest.mark.parametrize("file", sorted(DEPLOY.rglob("*.yaml")), ids=lambda file: str(file.relative_to(DEPLOY)))
def test_images_have_the_version_of_the_project(file: Path) -> None:
    tags = re.findall(r"passgate-(?:hook|node):([\w.]+)|(?<=newTag: )([\w.]+)", file.read_text())

    assert {tag or new for tag, new in tags} <= {VERSION}


def test_the_dashboard_is_in_its_config_map(tmp_path: Path) -> None:
    (config,) = (one for one in render(_with_components(tmp_path)) if one["kind"] == "ConfigMap")

    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["data"] == {"dashboard.json": (DEPLOY / "components/dashboard/dashboard.json").read_text()}


def test_alerts_know_the_job_of_the_monitor() -> None:
    """The Prometheus operator names the job after the monitor, with its namespace before it."""
    monitor, of_claims = documents(DEPLOY / "components/podmonitor/podmonitor.yaml")
    (end,) = monitor["spec"]["podMetricsEndpoints"]
    pattern = JOB.removeprefix('job=~"').removesuffix('"')

    assert "jobLabel" not in monitor["spec"]
    assert of_claims["spec"]["podMetricsEndpoints"] == [end]
    assert re.fullmatch(pattern, f"{monitor['metadata']['namespace']}/{monitor['metadata']['name']}")
    assert re.fullmatch(pattern, monitor["metadata"]["name"])
    assert {relabeling["targetLabel"] for relabeling in end["relabelings"]} == TARGET_LABELS - {"namespace", "pod"}


def test_the_metrics_are_let_through() -> None:
    policy = manifest("overlays/agent", "NetworkPolicy")["spec"]
    monitor, of_claims = documents(DEPLOY / "components/podmonitor/podmonitor.yaml")

    claims = manifest(CLAIMS, "DaemonSet", "passgate-claims")["spec"]["template"]["metadata"]["labels"]
    assert of_claims["spec"]["selector"]["matchLabels"].items() <= claims.items()
    assert policy["egress"] == []
    assert policy["ingress"] == [{"ports": [{"port": "metrics", "protocol": "TCP"}]}]
    assert [end["port"] for end in monitor["spec"]["podMetricsEndpoints"]] == ["metrics"]
    labels = manifest("overlays/agent", "DaemonSet")["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()


def _with_components(folder: Path) -> Path:
    """A kustomization as a user may write it."""
    # kustomize wants relative paths, and follows no link into them.
    shutil.copytree(DEPLOY, folder / "deploy", symlinks=True)
    own = folder / "own"
    own.mkdir()
    components = [f"../deploy/components/{name}" for name in COMPONENTS]
    text = {"resources": ["../deploy/overlays/agent"], "components": components}
    (own / "kustomization.yaml").write_text(yaml.safe_dump(text))
    return own
