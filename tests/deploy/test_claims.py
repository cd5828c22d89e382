"""The driver of resource claims as it is applied: what it may do to a node and to a cluster, and nothing more."""

from __future__ import annotations

from typing import Any

from hooksidecar.agent import options as agent_options
from hooksidecar.claims.options import ACCOUNT, CDI, parse
from hooksidecar.nodewatch.options import KUBELET
from tests.deploy.kustomize import render
from tests.deploy.manifests import CLAIMS, DEPLOY, daemon, manifest

AGENT, DRIVER = "passgate-agent", "passgate-claims"


def host_paths(pod: dict[str, Any]) -> dict[str, bool]:
    """What of the node is mounted at its own path, and whether it can be written to."""
    (container,) = pod["containers"]
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in pod["volumes"] if "hostPath" in volume}
    mounts = [mount for mount in container["volumeMounts"] if mount["name"] in paths]
    assert all(mount["mountPath"] == paths[mount["name"]] for mount in mounts)
    return {mount["mountPath"]: not mount.get("readOnly", False) for mount in mounts}


def test_the_driver_has_no_more_of_the_node_than() -> None:
    assert host_paths(daemon(CLAIMS, DRIVER)) == {
        f"{KUBELET}/device-plugins": False,
        f"{KUBELET}/plugins": True,
        f"{KUBELET}/plugins_registry": True,
        CDI: True,
        "/sys": False,
        "/dev": False,
    }


def test_the_driver_is_confined() -> None:
    pod = daemon(CLAIMS, DRIVER)
    (container,) = pod["containers"]

    assert {name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)} == {"hostNetwork"}
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"].keys() == {"memory"}


def test_the_driver_alone_has_a_token() -> None:
    agent, driver = daemon(CLAIMS, AGENT), daemon(CLAIMS, DRIVER)
    account = manifest(CLAIMS, "ServiceAccount", AGENT)

    assert (agent["automountServiceAccountToken"], driver["automountServiceAccountToken"]) == (False, True)
    assert agent["serviceAccountName"] != driver["serviceAccountName"]
    assert not account["automountServiceAccountToken"]
    assert ACCOUNT.startswith("/var/run/secrets/"), "where kubelet mounts it by itself"


def test_it_may_do_what_it_needs_and_no_more() -> None:
    rules = manifest(CLAIMS, "ClusterRole")["rules"]
    binding = manifest(CLAIMS, "ClusterRoleBinding")

    assert {(*rule["apiGroups"], *rule["resources"]): rule["verbs"] for rule in rules} == {
        ("resource.k8s.io", "resourceclaims"): ["get"],
        ("resource.k8s.io", "resourceslices"): ["get", "list", "watch", "create", "update", "delete"],
        ("", "nodes"): ["get"],
    }
    assert not any("resourceNames" in rule for rule in rules)
    assert binding["roleRef"]["name"] == DRIVER
    assert [(one["kind"], one["name"], one["namespace"]) for one in binding["subjects"]] == [
        ("ServiceAccount", DRIVER, "passgate")
    ]


def test_both_understand_their_arguments_and_read_the_same_file() -> None:
    (agent,), (driver,) = daemon(CLAIMS, AGENT)["containers"], daemon(CLAIMS, DRIVER)["containers"]
    words = [[word.replace("$(NODE_NAME)", "worker-1") for word in one["args"]] for one in (agent, driver)]
    (config,) = (one for one in render(DEPLOY / CLAIMS) if one["kind"] == "ConfigMap")

    chosen, other = parse(words[1]), agent_options.parse(words[0])

    assert chosen.state == other.manage
    assert chosen.node == other.node == "worker-1"
    assert chosen.state == f"/etc/passgate/{next(iter(config['data']))}"
    assert other.offer


def test_the_agent_sees_what_claims_hold() -> None:
    """And has nothing else that it has not with the overlay `offer`."""
    more, less = daemon(CLAIMS, AGENT), daemon("overlays/offer")

    assert host_paths(more) == {**host_paths(less), f"{KUBELET}/plugins": False}
    for pod in (more, less):
        pod["containers"][0].pop("volumeMounts")
        pod.pop("volumes")
    assert more == less


def test_no_port_is_wanted_twice() -> None:
    """Both are in the node's network."""
    ports = [daemon(CLAIMS, name)["containers"][0]["ports"][0]["containerPort"] for name in (AGENT, DRIVER)]
    strategy = manifest(CLAIMS, "DaemonSet", DRIVER)["spec"]["updateStrategy"]

    assert len(set(ports)) == len(ports)
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    assert parse([*_words(DRIVER)]).listen == f":{ports[1]}"


def test_probes_ask_what_they_are_to_know() -> None:
    """A process that waits for the API server must not be ended for it: what is prepared is kept by it."""
    (container,) = daemon(CLAIMS, DRIVER)["containers"]
    paths = {name: probe["httpGet"]["path"] for name, probe in container.items() if name.endswith("Probe")}

    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert container["startupProbe"]["initialDelaySeconds"] >= 5


def _words(name: str) -> list[str]:
    return [word.replace("$(NODE_NAME)", "worker-1") for word in daemon(CLAIMS, name)["containers"][0]["args"]]
