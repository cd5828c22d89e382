"""A cluster in a file, and as much of kubectl as the scripts of deploy/ use: `python -m tests.deploy.cluster WORDS`."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from tests.deploy.admission import apply

STATE = "CLUSTER"
"""The variable that names the file."""
KINDS = {
    "kubevirts.kubevirt.io": "KubeVirt",
    "virtualmachineinstances.kubevirt.io": "VirtualMachineInstance",
    "plugins.plugin.kubevirt.io": "Plugin",
    "mutatingadmissionpolicies.admissionregistration.k8s.io": "MutatingAdmissionPolicy",
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": "MutatingAdmissionPolicyBinding",
    "mutatingpolicies.policies.kyverno.io": "MutatingPolicy",
    "validatingadmissionpolicies.admissionregistration.k8s.io": "ValidatingAdmissionPolicy",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": "ValidatingAdmissionPolicyBinding",
    "clusterroles.rbac.authorization.k8s.io": "ClusterRole",
    "clusterrolebindings.rbac.authorization.k8s.io": "ClusterRoleBinding",
    "resourceclaims.resource.k8s.io": "ResourceClaim",
    "namespaces": "Namespace",
}


class Cluster:
    """Objects, the kinds that are served, and what was deleted in which order."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.state: dict[str, Any] = json.loads(file.read_text())

    def save(self) -> None:
        self._file.write_text(json.dumps(self.state))

    def of(self, resource: str) -> list[dict[str, Any]]:
        """The objects of a kind; one that is not served is an error of kubectl's."""
        if resource not in self.state["served"]:
            sys.exit(f"error: the server doesn't have a resource type {resource!r}")
        return [one for one in self.state["objects"] if one["kind"] == KINDS[resource]]

    def delete(self, one: dict[str, Any]) -> None:
        """With a namespace goes what is in it."""
        self.state["objects"].remove(one)
        self.state["deleted"].append(one["kind"])
        if one["kind"] == "Namespace":
            inside = [o for o in self.state["objects"] if o["metadata"].get("namespace") == one["metadata"]["name"]]
            for other in inside:
                self.delete(other)


def run(cluster: Cluster, words: Namespace) -> None:
    """Do what is asked."""
    if words.command == "api-resources":
        print("\n".join(name for name in cluster.state["served"] if name.partition(".")[2] == words.api_group))
    elif words.command == "delete":
        key, _, value = words.selector.partition("=")
        for one in cluster.of(words.resource):
            if one["metadata"].get("labels", {}).get(key) == value:
                cluster.delete(one)
    elif words.command == "get" and words.all_namespaces:
        for one in cluster.of(words.resource):
            print(f"{one['metadata']['namespace']}/{one['metadata']['name']} {_shown(one)}")
    elif words.command == "get":
        gates = _developer(_named(cluster, words)).get("featureGates")
        sys.stdout.write("" if gates is None else json.dumps(gates, separators=(",", ":")))
    else:
        _patch(_named(cluster, words), words)


def _patch(one: dict[str, Any], words: Namespace) -> None:
    patch = json.loads(words.patch)
    if words.type == "merge":
        _developer(one).update(patch["spec"]["configuration"]["developerConfiguration"])
        return
    tests = [step for step in patch if step["op"] == "test"]
    assert all(step["value"] == _developer(one)[step["path"].rpartition("/")[2]] for step in tests)
    apply(one, [step for step in patch if step["op"] != "test"])


def _shown(one: dict[str, Any]) -> str:
    """What the scripts ask of an object beside its name."""
    if one["kind"] == "ResourceClaim":
        results = one.get("status", {}).get("allocation", {}).get("devices", {}).get("results", ())
        return " ".join(result["driver"] for result in results)
    return json.dumps(one["metadata"].get("annotations", {}))


def _developer(one: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = one["spec"].setdefault("configuration", {}).setdefault("developerConfiguration", {})
    return found


def _named(cluster: Cluster, words: Namespace) -> dict[str, Any]:
    found = (one for one in cluster.of(words.resource) if one["metadata"]["name"] == words.name)
    return next(one for one in found if one["metadata"]["namespace"] == words.namespace)


def main(argv: list[str]) -> None:
    """What the stand-in for kubectl calls."""
    parser = ArgumentParser()
    parser.add_argument("command", choices=("api-resources", "delete", "get", "patch"))
    parser.add_argument("resource", nargs="?")
    parser.add_argument("name", nargs="?")
    for flag in ("--namespace", "--api-group", "--output", "--selector", "--type", "--patch"):
        parser.add_argument(flag)
    for flag in ("--all-namespaces", "--ignore-not-found"):
        parser.add_argument(flag, action="store_true")
    cluster = Cluster(Path(os.environ[STATE]))
    run(cluster, parser.parse_args(argv))
    cluster.save()


if __name__ == "__main__":
    main(sys.argv[1:])
