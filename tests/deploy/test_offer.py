"""docs/offer.md, followed from a machine to what is applied, as far as there is no cluster."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hostdev.binding.statefile import read_states, state_for
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.scan import scan
from hostdev.offer.compose import compose_offer
from hostdev.offer.grant import make_grant
from tests.deploy.kustomize import documents, render
from tests.deploy.manifests import DEPLOY
from tests.hostdev.cli.running import MACHINES, environment, process
from tests.house import ROOT

PAGE = (ROOT / "docs/offer.md").read_text()
STEPS = PAGE.partition("In this order")[2].partition("```sh\n")[2].partition("```")[0].splitlines()
COMMANDS = [step.partition("  #")[0].rstrip() for step in STEPS]
"""Without what is said of them."""
KUSTOMIZATION = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[0]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a user follows the page, with a recording instead of a node, and has followed our own commands."""
    shutil.copy(MACHINES / "consumer-gpu.toml", tmp_path / "machine.toml")
    ours = [line for line in COMMANDS if line.startswith("passgate ") and "snapshot" not in line]
    assert len(ours) == 5
    for line in ours:
        command = line.replace("passgate", f"{sys.executable} -m hostdev.cli.main", 1)
        done = subprocess.run(
            ["sh", "-ec", command], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (line, done.stderr)
    return tmp_path


def test_its_commands_write_what_the_next_ones_read(place: Path) -> None:
    written = {name for line in COMMANDS for name in re.findall(r"> (\S+)", line)}
    read = {name for line in COMMANDS for name in re.findall(r"[\w-]+\.(?:yaml|toml)\b", line)}

    assert read <= written
    (state,) = read_states((place / "node-state.yaml").read_bytes(), "node-state.yaml")
    (vm,) = documents(place / "vm.yaml")
    (kubevirt,) = documents(place / "kubevirt.yaml")
    permitted = kubevirt["spec"]["configuration"]["permittedHostDevices"]["pciHostDevices"]
    (device,) = vm["spec"]["template"]["spec"]["domain"]["devices"]["gpus"]
    assert (
        {device["deviceName"]} == {one["resourceName"] for one in permitted} == {one.resource for one in state.offers}
    )
    assert vm["metadata"]["name"] == "render"


def test_its_kustomization_brings_the_file_to_the_agent(place: Path) -> None:
    """With the ConfigMap that the text below it describes."""
    shutil.copytree(DEPLOY, place / "passgate/deploy", symlinks=True)
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "passgate-node-state", "namespace": "passgate"},
        "data": {"node-state.yaml": (place / "node-state.yaml").read_text()},
    }
    (place / "config.yaml").write_text(json.dumps(config))
    (place / "kustomization.yaml").write_text(KUSTOMIZATION)

    rendered = render(place)

    (found,) = (one for one in rendered if one["kind"] == "ConfigMap")
    (daemon,) = (one for one in rendered if one["kind"] == "DaemonSet")
    (container,) = daemon["spec"]["template"]["spec"]["containers"]
    assert [state.offers[0].resource for state in read_states(found["data"]["node-state.yaml"].encode(), "x")]
    assert container["image"].startswith("registry.example/passgate-node:")
    assert {"--offer", "--manage=/etc/passgate/node-state.yaml"} <= {*container["args"]}
    assert yaml.safe_load(KUSTOMIZATION)["resources"] == ["passgate/deploy/overlays/offer"]


def test_the_vm_gets_the_whole_card_once_its_node_is_as_declared(place: Path) -> None:
    """What kubelet would put into `compute` by the agent's answer, and what the sidecar makes of it."""
    text = (place / "machine.toml").read_text()
    for driver in ("snd_hda_intel", "xhci_hcd", "nvidia-gpu"):
        text = text.replace(driver, "vfio-pci")
    (place / "bound.toml").write_text(text)
    with open_host(place / "bound.toml") as opened:
        machine = scan(opened)
    state = state_for(read_states((place / "node-state.yaml").read_bytes(), "x"), machine, None)
    assert state is not None
    (pool,) = compose_offer(state, machine).pools
    (unit,) = pool.units
    grant = make_grant(compose_offer(state, machine), pool.resource, [unit.id])
    variables = [word for name, value in grant.variables.items() for word in ("--env", f"{name}={value}")]

    planned = process("plan", str(place / "vm.yaml"), *variables, "--host", str(place / "bound.toml"), "-o", "json")

    assert planned.code == 0, planned.err
    assert unit.is_healthy
    given = {one["source"]: one["guest"] for one in json.loads(planned.out)["items"] if one["element"] == "hostdev"}
    assert [*given] == [f"0000:01:00.{number}" for number in range(4)]
    assert len({guest.rpartition(".")[0] for guest in given.values()}) == 1
