"""docs/install.md, followed as far as there is no cluster. Its console blocks are replayed with all documents."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.admission import admit
from tests.deploy.kustomize import documents, render
from tests.deploy.manifests import DEPLOY, VERSION, manifest
from tests.deploy.pods import DEVICES, command, launcher
from tests.hooksidecar.sidecar import environment
from tests.house import ROOT

PAGE = (ROOT / "docs/install.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.replace("\\\n", " ").splitlines()
]
BLOCKS = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)]
FOLDER = re.compile(r"(?:-k|kustomize) (deploy/\S+)")
FILE = re.compile(r"(?:-f|--patch-file) (\S+)")
REGISTRY = "registry.example"


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """Where a user's own kustomization is, beside a checkout."""
    shutil.copytree(DEPLOY, tmp_path / "passgate/deploy", symlinks=True)
    return tmp_path


def own(folder: Path, *changes: dict[str, Any]) -> list[dict[str, Any]]:
    """What a kustomization of the page comes to."""
    text = {key: value for block in changes for key, value in block.items()}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(text))
    return render(folder)


def test_the_folders_that_it_names_render() -> None:
    named = {folder for line in COMMANDS for folder in FOLDER.findall(line)}

    assert {"deploy/overlays/sidecar", "deploy/overlays/agent", "deploy/kyverno"} <= named
    assert all(render(ROOT / folder) for folder in named)


def test_the_files_that_it_names_are_there() -> None:
    named = {file for line in COMMANDS for file in FILE.findall(line)}

    assert len(named) >= 2
    assert [file for file in named if not (ROOT / file).is_file()] == []


def test_the_scripts_that_it_names_are_there() -> None:
    named = {line.split()[0] for line in COMMANDS if line.startswith("deploy/")}

    assert named == {"deploy/kubevirt/gates", "deploy/uninstall"}
    assert all(os.access(ROOT / name, os.X_OK) for name in named)


def test_every_overlay_and_component_is_told() -> None:
    folders = [*DEPLOY.glob("overlays/*"), *DEPLOY.glob("components/*"), DEPLOY / "kyverno"]

    assert [path.name for path in folders if f"`{path.relative_to(ROOT)}`" not in PAGE] == []


def test_the_rehearsal_goes_well() -> None:
    assert "passgate-hook rehearse" in COMMANDS

    done = subprocess.run(
        [sys.executable, "-m", "hooksidecar.main", "rehearse"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr


def test_a_registry_of_ones_own(beside: Path) -> None:
    objects = own(beside, BLOCKS[0])

    assert [one["kind"] for one in objects if one["apiVersion"].startswith("monitoring.")] == []
    objects = own(beside, BLOCKS[0], BLOCKS[1])
    (daemon,) = (one for one in objects if one["kind"] == "DaemonSet")
    (container,) = daemon["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{REGISTRY}/passgate-node:{VERSION}"
    assert "PodMonitor" in {one["kind"] for one in objects}


def test_alerts_and_a_dashboard(beside: Path) -> None:
    (block,) = (block for block in BLOCKS if "prometheusrule" in str(block))

    objects = own(beside, BLOCKS[0], block)

    assert {"PodMonitor", "PrometheusRule", "ConfigMap"} <= {one["kind"] for one in objects}


def test_a_registry_of_ones_own_for_the_plugins_sidecar(beside: Path) -> None:
    overlay = {"resources": ["passgate/deploy/overlays/plugin"]}

    objects = own(beside, BLOCKS[0], BLOCKS[2], overlay)

    (policy,) = (one for one in objects if one["kind"] == "MutatingAdmissionPolicy")
    stored = admit(policy, launcher(DEVICES, sidecars=0, plugins=True))
    assert stored["spec"]["containers"][-1]["image"] == f"{REGISTRY}/passgate-hook:{VERSION}"


def test_the_probe_shows_that_the_policy_acts() -> None:
    (pod,) = documents(DEPLOY / "policy/probe.yaml")

    assert command(admit(manifest("overlays/sidecar", "MutatingAdmissionPolicy"), pod))


def test_the_images_have_the_version_of_the_project() -> None:
    tags = re.findall(rf"{REGISTRY}/passgate-(?:hook|node):([\w.]+)", PAGE)

    assert set(tags) == {VERSION}
