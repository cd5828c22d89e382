"""A VMI as KubeVirt's JSON has it: what is read, what absence means, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import BadInput, PassgateError
from domxml.pciaddress import PciAddress
from hostdev.vmi.vmi import Disk, Interface, SpecDevice, Vmi, parse_vmi
from tests.domxml.domains import FOLDER
from tests.hostdev.vmi.jsonvalues import JSON
from tests.hostdev.vmi.vms import RECORDED


def of(document: Any) -> Vmi:
    return parse_vmi(json.dumps(document).encode())


def spec(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": "vm"}, "spec": {"domain": fields}}


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.name.removesuffix(".vmi.json"))
def test_every_recorded_vmi_is_read(file: Path) -> None:
    vmi = parse_vmi(file.read_bytes())

    assert vmi.name == file.name.removesuffix(".vmi.json")
    assert vmi.memory in {2 << 30, 8 << 30}
    assert vmi.eviction_strategy == "None"
    assert not vmi.is_migration_target


def recorded(name: str) -> Vmi:
    return parse_vmi((FOLDER / f"{name}.vmi.json").read_bytes())


def test_there_are_recorded_vmis() -> None:
    assert len(RECORDED) >= 12


def test_sriov_interfaces_with_their_networks() -> None:
    vmi = recorded("q35-sriov-2")

    default, first, second = vmi.interfaces
    assert default == Interface("default", "spec.domain.devices.interfaces[0]", "masquerade")
    assert first == Interface(
        "sriov0",
        "spec.domain.devices.interfaces[1]",
        "sriov",
        guest=PciAddress(0, 4, 0, 0),
        boot_order=1,
        definition="sriov/net0",
    )
    assert (second.is_sriov, second.guest, second.definition) == (True, None, "sriov/net1")
    assert vmi.has_vfio
    assert vmi.asked == {}


def test_devices_of_the_spec_with_their_resources() -> None:
    vmi = recorded("q35-hostdevices-qat-nvme")

    assert vmi.host_devices[0] == SpecDevice("qat0", "spec.domain.devices.hostDevices[0]", "intel.com/qat")
    assert vmi.asked == {"intel.com/qat": 1, "devices.kubevirt.io/nvme": 1}
    assert recorded("q35-root-complex-gpu-2").asked == {"nvidia.com/GH100_H200": 2}


def test_a_vm_with_dedicated_cpus() -> None:
    vmi = recorded("q35-numa-dedicated-hugepages-1gi")

    assert (vmi.dedicated_cpus, vmi.guest_numa, vmi.guaranteed, vmi.memory) == (True, True, True, 8 << 30)
    assert (recorded("q35-default").guaranteed, recorded("q35-default").guest_numa) == (False, False)
    assert vmi.features == {"acpi": True}
    assert recorded("s390x-ccw").features == {"acpi": False}


def test_what_the_spec_does_not_say_is_empty() -> None:
    assert of({"spec": {}}) == Vmi()
    assert of({"spec": None, "kind": "VirtualMachineInstance"}) == Vmi()
    assert str(Vmi()) == "the VM"


def test_what_is_not_known_is_passed_over() -> None:
    vmi = of(spec(newThing=[1], devices={"gpus": [{"name": "a", "deviceName": "b/c", "new": {}}], "x": 1}))

    assert vmi.gpus == (SpecDevice("a", "spec.domain.devices.gpus[0]", "b/c"),)


def test_limits_count_devices_however_they_are_written() -> None:
    limits = {"a.b/x": "1", "a.b/y": 2, "a.b/z": "2k", "a.b/none": 0, "cpu": "4", "memory": "8Gi"}
    vmi = of(spec(resources={"limits": limits}, devices={"gpus": [{"name": "g", "deviceName": "a.b/x"}]}))

    assert vmi.limits == {"a.b/x": 1, "a.b/y": 2, "a.b/z": 2000, "a.b/none": 0}
    assert vmi.asked == {"a.b/x": 2, "a.b/y": 2, "a.b/z": 2000}


@pytest.mark.parametrize(
    ("memory", "requested", "size"),
    [("4Gi", None, 4 << 30), ("4Gi", "5Gi", 4 << 30), (None, "5Gi", 5 << 30), (None, None, 0)],
)
def test_guest_memory(memory: str | None, requested: str | None, size: int) -> None:
    assert of(spec(memory={"guest": memory}, resources={"requests": {"memory": requested}})).memory == size


def test_devices_from_claims() -> None:
    vmi = of(
        {
            "spec": {
                "resourceClaims": [{"name": "c", "resourceClaimTemplateName": "t"}],
                "domain": {
                    "devices": {
                        "gpus": [{"name": "g", "claimName": "c", "requestName": "r"}],
                        "interfaces": [{"name": "n", "sriov": {}}, {"name": "p", "binding": {"name": "passt"}}],
                    }
                },
                "networks": [{"name": "n", "resourceClaim": {"claimName": "c", "requestName": "nic"}}],
            },
            "status": {"deviceStatus": {"gpuStatuses": []}},
        }
    )

    assert vmi.claims == ("c",)
    assert (vmi.gpus[0].claim, vmi.gpus[0].claim_request, vmi.gpus[0].resource) == ("c", "r", "")
    assert vmi.interfaces[0].claim == "c"
    assert (vmi.interfaces[1].binding, vmi.interfaces[1].plugin) == ("", "passt")
    assert vmi.status == {"deviceStatus": {"gpuStatuses": []}}


def test_disks_that_take_places() -> None:
    disks = [{"name": "a", "bootOrder": 1, "disk": {"pciAddress": "0000:05:00.0"}}, {"name": "cd", "cdrom": {}}]

    assert of(spec(devices={"disks": disks})).disks == (
        Disk("a", "spec.domain.devices.disks[0]", PciAddress(0, 5, 0, 0), 1),
        Disk("cd", "spec.domain.devices.disks[1]"),
    )


@pytest.mark.parametrize(
    ("domain", "locks"),
    [
        ({}, False),
        ({"memory": {"reservedOverhead": {"addedOverhead": "1Gi"}}}, False),
        ({"memory": {"reservedOverhead": {"memLock": "NotRequired"}}}, False),
        ({"memory": {"reservedOverhead": {"memLock": "Required"}}}, True),
        ({"cpu": {"realtime": {}}}, True),
        ({"launchSecurity": {"sev": {}}}, True),
    ],
)
def test_what_else_raises_the_limit_of_locked_memory(domain: dict[str, Any], locks: bool) -> None:  # noqa: FBT001
    assert of(spec(**domain)).locks_memory is locks


@pytest.mark.parametrize(
    ("limits", "requests", "guaranteed"),
    [
        ({"cpu": "4", "memory": "8Gi"}, {}, True),
        ({"cpu": "4", "memory": "8Gi"}, {"cpu": "4000m", "memory": "8192Mi"}, True),
        ({"cpu": "4", "memory": "8Gi"}, {"cpu": "3500m"}, False),
        ({"memory": "8Gi"}, {"memory": "8Gi"}, False),
        ({}, {"cpu": 1, "memory": "1Gi"}, False),
    ],
)
def test_a_vm_whose_requests_are_its_limits(limits: Any, requests: Any, guaranteed: bool) -> None:  # noqa: FBT001
    assert of(spec(resources={"limits": limits, "requests": requests})).guaranteed is guaranteed


@pytest.mark.parametrize(
    ("status", "target"),
    [
        ({}, False),
        ({"phase": "Scheduled"}, False),
        ({"phase": "Running"}, False),
        ({"phase": "Running", "migrationState": None}, False),
        ({"phase": "Scheduled", "migrationState": {"sourceNode": "a"}}, False),
        ({"phase": "Running", "migrationState": {}}, True),
        ({"phase": "WaitingForSync", "migrationState": {"targetState": {}}}, True),
    ],
)
def test_a_migration_target_is_told_from_a_boot(status: dict[str, Any], target: bool) -> None:  # noqa: FBT001
    assert of({"spec": {}, "status": status}).is_migration_target is target


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("VirtualMachine", "spec.template"),
        ("VirtualMachineInstanceReplicaSet", "spec.template"),
        ("VirtualMachinePool", "spec.virtualMachineTemplate.spec.template"),
        ("", "spec.template"),
    ],
)
def test_an_object_with_a_template(kind: str, path: str) -> None:
    inner: dict[str, Any] = {
        "metadata": {"annotations": {"a": "b"}},
        "spec": {"domain": {"devices": {"gpus": [{"name": "g"}]}}},
    }
    for key in reversed(path.split(".")):
        inner = {key: inner}
    vmi = of({"kind": kind, "metadata": {"name": "vm", "namespace": "ns", "annotations": {"c": "d"}}, **inner})

    assert (str(vmi), vmi.annotations, vmi.place) == ("ns/vm", {"a": "b"}, path)
    assert vmi.gpus[0].place == f"{path}.spec.domain.devices.gpus[0]"
    assert vmi.at("spec.evictionStrategy") == f"{path}.spec.evictionStrategy"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "holds no kind and no spec, not a VM"),
        ({"kind": "Pod", "spec": {}}, "is a Pod, not a VM"),
        ([], "must be an object, is a list"),
        ({"kind": 1}, "kind: must be text, is 1"),
        ({"spec": []}, "spec: must be an object, is a list"),
        ({"spec": {}, "metadata": {"annotations": {"a": 1}}}, "metadata.annotations.a: must be text, is 1"),
        (
            {"spec": {}, "metadata": {"annotations": {"passgate.dev/devices": []}}},
            'metadata.annotations["passgate.dev/devices"]: must be text, is a list',
        ),
        (spec(devices={"gpus": {}}), "spec.domain.devices.gpus: must be a list of objects, is an object"),
        (spec(devices={"gpus": [7]}), "spec.domain.devices.gpus[0]: must be an object, is 7"),
        (
            spec(devices={"interfaces": [{"pciAddress": "4:0"}]}),
            "spec.domain.devices.interfaces[0].pciAddress: '4:0' is not a PCI address",
        ),
        (
            spec(resources={"limits": {"a/b": "x"}}),
            "spec.domain.resources.limits[\"a/b\"]: 'x' is not a quantity",
        ),
        (spec(cpu={"dedicatedCpuPlacement": "yes"}), "spec.domain.cpu.dedicatedCpuPlacement: must be true or false"),
    ],
)
def test_a_bad_vmi_is_told_with_the_place(document: Any, message: str) -> None:
    with pytest.raises(BadInput) as refused:
        of(document)

    assert message in str(refused.value)
    assert refused.value.code == "bad-vmi"


@given(JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    for document in (value, {"spec": value}, {"spec": {"domain": value}}, spec(devices=value, resources=value)):
        try:
            vmi = of(document)
        except PassgateError:
            continue
        assert isinstance(vmi, Vmi)


_KEYS = ("gpus", "hostDevices", "interfaces", "disks", "name", "deviceName", "pciAddress", "sriov", "multus", "limits")


@given(
    st.recursive(
        JSON,
        lambda inner: st.dictionaries(st.sampled_from(_KEYS), inner) | st.lists(inner, max_size=3),
        max_leaves=12,
    )
)
def test_any_devices_are_read_or_refused(value: Any) -> None:
    for document in (spec(devices=value), spec(resources=value), {"spec": {"networks": value, "domain": {}}}):
        try:
            vmi = of(document)
        except PassgateError:
            continue
        assert isinstance(vmi.asked, dict)


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        vmi = parse_vmi(data)
    except PassgateError:
        return
    assert isinstance(vmi, Vmi)
