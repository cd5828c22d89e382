"""What KubeVirt fills in before virt-launcher sees a VM, field by field, and what the files do not tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from hostdev.kubevirt.admission import Admitted, Beside, Cluster, admit
from hostdev.kubevirt.releases import release_of
from hostdev.kubevirt.spec import get_list, get_map

ANY = Cluster()


def vm(devices: str = "{}", *, spec: str = "", kind: str = "VirtualMachine") -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load(f"""
kind: {kind}
metadata: {{name: a, namespace: b, labels: {{own: x}}, annotations: {{own: x}}}}
spec:
  template:
    metadata: {{labels: {{inner: z}}, annotations: {{passgate.dev/devices: "[]"}}}}
    spec: {{domain: {{devices: {devices}}}{spec}}}
""")
    return found


def admitted(
    value: Mapping[str, Any], release: str = "1.9", cluster: Cluster = ANY, **beside: Mapping[str, Any] | None
) -> Admitted:
    return admit(value, release_of(release), cluster, Beside(**beside))  # type: ignore[arg-type]


def devices_of(done: Admitted) -> Mapping[str, Any]:
    return get_map(done.vmi, "spec", "domain", "devices")


def test_a_vm_becomes_the_vmi_of_its_template() -> None:
    metadata = admitted(vm()).vmi["metadata"]

    labels, annotations = {"inner": "z"}, {"passgate.dev/devices": "[]"}
    assert metadata == {"name": "a", "namespace": "b", "labels": labels, "annotations": annotations}
    assert admitted({**vm(), "metadata": {"name": "a"}}).vmi["metadata"]["namespace"] == "default"


@pytest.mark.parametrize(("architecture", "bus"), [("amd64", "sata"), ("arm64", "virtio"), ("s390x", "virtio")])
def test_a_bare_volume_becomes_a_disk(architecture: str, bus: str) -> None:
    spec = f", architecture: {architecture}, volumes: [{{name: r}}, {{name: shared}}, {{name: named}}]"
    value = vm("{filesystems: [{name: shared, virtiofs: {}}], disks: [{name: named, cdrom: {}}]}", spec=spec)

    assert devices_of(admitted(value))["disks"] == [
        {"name": "named", "cdrom": {"bus": bus}},
        {"name": "r", "disk": {"bus": bus}},
    ]


@pytest.mark.parametrize(
    ("devices", "spec", "names"),
    [
        ("{}", "", ["default"]),
        ("{autoattachPodInterface: false}", "", []),
        ("{}", ", networks: [{name: x, pod: {}}]", []),
        ("{interfaces: [{name: x, bridge: {}}]}", "", ["x"]),
    ],
)
def test_the_pod_network_comes_by_itself(devices: str, spec: str, names: list[str]) -> None:
    assert [one["name"] for one in get_list(devices_of(admitted(vm(devices, spec=spec))), "interfaces")] == names


def test_only_a_vm_gets_an_input_that_it_does_not_name() -> None:
    asked = "{autoattachInputDevice: true}"
    alone = {**vm(asked)["spec"]["template"], "kind": "VirtualMachineInstance"}

    assert devices_of(admitted(vm(asked)))["inputs"] == [{"name": "default-0", "bus": "usb", "type": "tablet"}]
    assert "inputs" not in devices_of(admitted(alone))


@pytest.mark.parametrize(
    ("cluster", "machine", "known"),
    [
        (Cluster(), "q35", False),
        (Cluster({}), "q35", True),
        (Cluster({"machineType": "pc-q35-9.2"}), "pc-q35-9.2", True),
        (Cluster({"architectureConfiguration": {"amd64": {"machineType": "pc-q35-8.2"}}}), "pc-q35-8.2", True),
    ],
)
def test_the_machine_type_is_the_clusters(cluster: Cluster, machine: str, known: bool) -> None:  # noqa: FBT001
    done = admitted(vm(spec=", architecture: amd64"), cluster=cluster)

    assert get_map(done.vmi, "spec", "domain", "machine")["type"] == machine
    assert any("machine.type" in line for line in done.unknown) is not known


def test_a_preference_comes_before_the_cluster_and_fills_what_is_empty() -> None:
    preference = {
        "preferredArchitecture": "arm64",
        "machine": {"preferredMachineType": "virt-9.2"},
        "devices": {
            "preferredDiskBus": "scsi",
            "preferredInterfaceModel": "e1000e",
            "preferredRng": {},
            "preferredDisableHotplug": False,
            "preferredVideoType": "virtio",
        },
    }
    value = vm(
        "{disableHotplug: true, disks: [{name: d, disk: {bus: virtio}}]}", spec=", volumes: [{name: d}, {name: e}]"
    )
    done = admitted(value, cluster=Cluster({"machineType": "virt"}), preference=preference)
    devices = devices_of(done)

    assert get_map(done.vmi, "spec", "domain", "machine")["type"] == "virt-9.2"
    assert [disk["disk"]["bus"] for disk in devices["disks"]] == ["virtio", "scsi"]
    assert [one["model"] for one in devices["interfaces"]] == ["e1000e"]
    assert (devices["rng"], devices["disableHotplug"], devices["video"]) == ({}, False, {"type": "virtio"})
    assert "video" not in devices_of(admitted(value, "1.8", preference=preference))


def test_what_is_named_and_not_there_is_unknown() -> None:
    done = admitted(vm(), instancetype=None, preference=None)

    assert any("instance type" in line for line in done.unknown)
    assert any("preference" in line for line in done.unknown)


def test_a_vmi_of_a_cluster_stays_as_it_is() -> None:
    vmi = {"kind": "VirtualMachineInstance", "spec": {"domain": {"devices": {}}}, "status": {"phase": "Scheduled"}}

    done = admitted(vmi)

    assert (devices_of(done), done.unknown) == ({}, ())


@pytest.mark.parametrize(("gates", "there", "told"), [(None, True, True), (["VSOCK"], True, False), ([], False, False)])
def test_vsock_depends_on_its_gate(gates: list[str] | None, there: bool, told: bool) -> None:  # noqa: FBT001
    cluster = Cluster(None if gates is None else {"developerConfiguration": {"featureGates": gates}})
    done = admitted(vm("{autoattachVSOCK: true}"), cluster=cluster)

    assert ("VSOCKCID" in get_map(done.vmi, "status")) is there
    assert any("VSOCK" in line for line in done.unknown) is told
