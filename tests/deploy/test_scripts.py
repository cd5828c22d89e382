"""The scripts of deploy/, with a stand-in for kubectl and a cluster in a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.cluster import KINDS, STATE
from tests.deploy.kustomize import render
from tests.deploy.manifests import CLAIMS, DEPLOY, FOLDERS
from tests.hooksidecar.sidecar import environment
from tests.house import ROOT

DONE, STOPPED, USAGE = 0, 1, 2
Script = Callable[..., subprocess.CompletedProcess[str]]


class Tried:
    """A cluster, and the scripts in it."""

    def __init__(self, place: Path) -> None:
        self._file, self._bin = place / "cluster.json", place / "bin"
        self._bin.mkdir()
        stand_in = self._bin / "kubectl"
        stand_in.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.deploy.cluster "$@"\n')
        stand_in.chmod(0o755)

    def has(self, objects: Iterable[dict[str, Any]], served: Iterable[str] = KINDS) -> None:
        state = {"objects": list(objects), "served": list(served), "deleted": []}
        self._file.write_text(json.dumps(state))

    def run(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        variables = environment() | {STATE: str(self._file), "PYTHONPATH": str(ROOT)}
        variables["PATH"] = f"{self._bin}:{os.environ['PATH']}"
        words = ("sh", str(DEPLOY / script), *words)
        return subprocess.run(words, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self._file.read_text())
        return state


@pytest.fixture
def tried(tmp_path: Path) -> Tried:
    return Tried(tmp_path)


def kubevirt(gates: list[str] | None, namespace: str = "kubevirt") -> dict[str, Any]:
    spec: dict[str, Any] = (
        {} if gates is None else {"configuration": {"developerConfiguration": {"featureGates": gates}}}
    )
    return {"kind": "KubeVirt", "metadata": {"name": "kubevirt", "namespace": namespace}, "spec": spec}


def gates_of(tried: Tried) -> list[str]:
    (one,) = tried.state["objects"]
    found: list[str] = one["spec"]["configuration"]["developerConfiguration"]["featureGates"]
    return found


@pytest.mark.parametrize(("kind", "gate"), [("sidecar", "Sidecar"), ("plugin", "Plugins")])
@pytest.mark.parametrize(
    "there", [None, [], ["HostDevices"], ["Sidecar"], ["ReservedOverheadMemlock", "SidecarX", "HostDevices", "Plugins"]]
)
def test_gates_are_added_to_those_there_are_once(tried: Tried, kind: str, gate: str, there: list[str] | None) -> None:
    tried.has([kubevirt(there)])
    wanted = [*(there or []), *(one for one in (gate, "ReservedOverheadMemlock") if one not in (there or []))]

    for _ in range(3):
        done = tried.run("kubevirt/gates", kind)

        assert (done.returncode, done.stderr) == (DONE, "")
        assert gates_of(tried) == wanted
    assert done.stdout.startswith("nothing to do")


def test_gates_of_another_kubevirt(tried: Tried) -> None:
    tried.has([kubevirt([], "cnv")])

    assert tried.run("kubevirt/gates", "sidecar", "cnv").returncode == DONE
    assert gates_of(tried) == ["Sidecar", "ReservedOverheadMemlock"]


@pytest.mark.parametrize("words", [(), ("both",)])
def test_gates_must_be_named(tried: Tried, words: tuple[str, ...]) -> None:
    done = tried.run("kubevirt/gates", *words)

    assert (done.returncode, done.stdout) == (USAGE, "")
    assert done.stderr.startswith("usage: ")


def vmi(name: str, **annotations: str) -> dict[str, Any]:
    about = {"name": name, "namespace": "vms", "annotations": annotations}
    return {"kind": "VirtualMachineInstance", "metadata": about}


FOREIGN = {"kind": "MutatingAdmissionPolicy", "metadata": {"name": "of-others", "labels": {}}}


@pytest.mark.parametrize("folder", FOLDERS)
def test_everything_that_was_applied_goes_and_nothing_else(tried: Tried, folder: str) -> None:
    others = [FOREIGN, vmi("plain"), vmi("passgate"), kubevirt(["Sidecar"])]
    tried.has([*render(DEPLOY / folder), *others])

    done = tried.run("uninstall")

    assert (done.returncode, done.stderr) == (DONE, "")
    assert tried.state["objects"] == others


def test_what_calls_goes_before_what_is_called(tried: Tried) -> None:
    tried.has(render(DEPLOY / "overlays/plugin"))

    tried.run("uninstall")

    deleted = tried.state["deleted"]
    assert deleted[0] == "Plugin"
    assert deleted.index("MutatingAdmissionPolicyBinding") < deleted.index("MutatingAdmissionPolicy")
    assert deleted.index("MutatingAdmissionPolicy") < deleted.index("DaemonSet")


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if "plugin" in folder])
def test_delete_k_takes_the_plugin_first_too(folder: str) -> None:
    """kubectl deletes in the order in which kustomize prints: by kind, unless it is told otherwise."""
    written = yaml.safe_load((DEPLOY / folder / "kustomization.yaml").read_text())

    assert written["sortOptions"] == {"order": "fifo"}
    assert next(iter(render(DEPLOY / folder)))["kind"] == "Plugin"


@pytest.mark.parametrize(
    "annotation",
    [
        {"passgate.dev/devices": "[]"},
        {"hooks.kubevirt.io/hookSidecars": '[{"image": "registry.example/passgate-hook:1"}]'},
    ],
)
def test_vms_that_run_with_it_come_first(tried: Tried, annotation: dict[str, str]) -> None:
    objects = [*render(DEPLOY / "overlays/plugin"), vmi("crypto", **annotation), vmi("plain")]
    tried.has(objects)

    done = tried.run("uninstall")

    assert done.returncode == STOPPED
    assert done.stderr.splitlines()[1:] == ["vms/crypto"]
    assert tried.state["objects"] == objects


def test_a_cluster_that_serves_little(tried: Tried) -> None:
    """Without KubeVirt, or with one before the Plugin API, on a Kubernetes without the policies."""
    tried.has(render(DEPLOY / "overlays/agent"), served=["namespaces"])

    assert tried.run("uninstall").returncode == DONE
    assert tried.state["objects"] == []


def claim(name: str, driver: str) -> dict[str, Any]:
    results = [{"request": "gpu", "driver": driver, "pool": "worker-1", "device": "unit-0000-3d-00-0"}]
    status = {"allocation": {"devices": {"results": results}}}
    return {"kind": "ResourceClaim", "metadata": {"name": name, "namespace": "vms"}, "status": status}


def test_claims_that_are_allocated_come_first(tried: Tried) -> None:
    """Without the driver kubelet ends none of their pods."""
    objects = [*render(DEPLOY / CLAIMS), claim("vm1-gpu", "units.passgate.dev"), claim("other", "gpu.example.com")]
    tried.has(objects)

    done = tried.run("uninstall")

    assert done.returncode == STOPPED
    assert done.stderr.splitlines()[1:] == ["vms/vm1-gpu"]
    assert tried.state["objects"] == objects
