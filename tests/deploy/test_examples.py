"""The examples: VMs without an error, and files of which there is one copy only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hostdev.cloudinit.netplan import macs, network
from hostdev.lint.lint import lint
from hostdev.vmi.annotations import bonds, interfaces
from hostdev.vmi.file import parse_manifest
from tests.deploy.kustomize import documents
from tests.deploy.manifests import DEPLOY
from tests.hostdev.cli.injecting import passgate
from tests.scenarios.cases import FOLDER
from tests.scenarios.pages import PICTURES

EXAMPLES = DEPLOY / "examples"
VMS = sorted(file for file in EXAMPLES.glob("*/*.yaml") if "kind: VirtualMachine\n" in file.read_text())
SCENARIOS = FOLDER.resolve()


def test_every_scenario_has_one() -> None:
    text = (EXAMPLES / "README.md").read_text()

    assert {file.parent.name for file in EXAMPLES.glob("*/vm.yaml")} == set(PICTURES)
    assert [name for name in PICTURES if f"`deploy/examples/{name}/`" not in text] == []


@pytest.mark.parametrize("file", VMS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_lint_has_nothing_to_say_against_it(file: Path) -> None:
    findings = lint(parse_manifest(file.read_bytes()))
    said = passgate("lint", "--vmi", str(file), "--fail-on", "warning")

    assert {finding.code for finding in findings} <= {"network-injector", "sidecar-gate"}
    assert said.code == 0, said.err


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/*.yaml")), ids=lambda file: str(file.relative_to(EXAMPLES)))
def test_what_a_scenario_has_is_not_copied(file: Path) -> None:
    """The VM is the one that the scenario's page plays: the scenario has a link to it."""
    same = [other for other in SCENARIOS.rglob("*.yaml") if other.read_bytes() == file.read_bytes()]

    assert not file.is_symlink()
    assert [other for other in same if not other.is_symlink()] == []
    if file.name == "vm.yaml":
        assert [other.resolve() for other in same] == [file.resolve()]


def test_the_claims_are_the_functions_of_the_vm() -> None:
    claims = {one["metadata"]["name"] for one in documents(EXAMPLES / "harvester/cluster.yaml")}

    assert claims == {device["name"] for device in _devices("harvester")["hostDevices"]}


def test_what_is_permitted_is_what_the_vm_asks_for() -> None:
    (cluster,) = documents(EXAMPLES / "harvester/kubevirt.yaml")
    permitted = cluster["spec"]["configuration"]["permittedHostDevices"]["pciHostDevices"]
    host = (FOLDER / "hosts/harvester.toml").read_text()

    assert {one["resourceName"] for one in permitted} == {
        device["deviceName"] for device in _devices("harvester")["hostDevices"]
    }
    assert all(one["externalResourceProvider"] for one in permitted)
    assert [one["pciVendorSelector"] for one in permitted if f"PCI_ID={one['pciVendorSelector']}" not in host] == []


def test_the_operator_makes_the_network_of_the_vm() -> None:
    policy, network = documents(EXAMPLES / "network/operator.yaml")
    (vm,) = documents(EXAMPLES / "network/vm.yaml")
    (definition,) = (
        one
        for one in documents(EXAMPLES / "network/cluster.yaml")
        if one["kind"] == "NetworkAttachmentDefinition" and one["metadata"]["name"] == "uplink"
    )
    config = json.loads(definition["spec"]["config"])
    place = f"{network['spec']['networkNamespace']}/{network['metadata']['name']}"

    assert place in [one["multus"]["networkName"] for one in _pod(vm)["networks"] if "multus" in one]
    assert policy["spec"]["resourceName"] == network["spec"]["resourceName"]
    assert (config["vlan"], config["spoofchk"], config["trust"], config["capabilities"]) == (
        *(network["spec"][key] for key in ("vlan", "spoofChk", "trust")),
        json.loads(network["spec"]["capabilities"]),
    )


def _pod(vm: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = vm["spec"]["template"]["spec"]
    return spec


def _devices(name: str) -> dict[str, Any]:
    (vm,) = documents(EXAMPLES / name / "vm.yaml")
    devices: dict[str, Any] = _pod(vm)["domain"]["devices"]
    return devices


def test_the_bond_and_the_address_are_written_by_the_sidecar() -> None:
    """What PreCloudInitIso puts into the guest of either, from the VM alone."""
    written = {}
    for name in ("bonded", "addressed"):
        vmi = parse_manifest((EXAMPLES / f"guest-network/{name}.yaml").read_bytes()).vmi
        made = network(vmi, bonds(vmi), macs(vmi, {}), frozenset(), interfaces(vmi))
        assert made.findings == ()
        written[name] = json.loads(made.text)

    assert written["bonded"]["bonds"]["bond0"]["addresses"] == ["192.0.2.10/24"]
    (addressed,) = (one for one in written["addressed"]["ethernets"].values() if "addresses" in one)
    assert (addressed["addresses"], addressed["routes"][0]["metric"]) == (["192.0.2.11/24"], 500)


def test_the_guests_network_is_what_manifest_writes() -> None:
    machine = ("--host", "tests/fixtures/machines/two-socket-x710.toml")
    made = passgate("manifest", "3b:00.0", "af:00.0", "--bond", "--vlan", "100", "--name", "two-ports", *machine)
    *cluster, vm = yaml.safe_load_all(made.out)
    (example,) = documents(EXAMPLES / "guest-network/bonded.yaml")

    assert documents(EXAMPLES / "guest-network/cluster.yaml") == cluster
    assert _pod(example) == _pod(vm)
