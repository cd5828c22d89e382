"""What the documents say, for each way to hand devices out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domxml.errors import BadInput, PassgateError, Refused
from hostdev.findings.manifest import KINDS
from hostdev.vmi.annotations import DEVICES
from tests.hostdev.gate.build import function, machine, pf, vf
from tests.hostdev.manifest.making import made, of_kind, said, vm

CARD = ("01:00.0", "01:00.1", "01:00.2", "01:00.3")


def permitted(documents: Any) -> Any:
    (spec,) = of_kind(documents, "KubeVirt")
    return spec["configuration"]["permittedHostDevices"]


def entries(documents: Any) -> Any:
    return json.loads(vm(documents).vmi.annotations[DEVICES])


def test_kubevirt_hands_out_by_vendor_and_device() -> None:
    documents = made("hgx-h100", "3d")

    resource = "nvidia.com/GH100_H100_SXM5_80GB"
    assert permitted(documents) == {"pciHostDevices": [{"pciVendorSelector": "10DE:2330", "resourceName": resource}]}
    (device,) = vm(documents).vmi.devices
    assert (device.resource, device.place) == (resource, "spec.template.spec.domain.devices.gpus[0]")
    assert entries(documents) == [{"device": device.name}]
    assert documents.gates == ("HostDevices", "Sidecar")


def test_devices_that_are_named_are_all_wanted_and_of_a_kind_one() -> None:
    assert len(vm(made("hgx-h100", "19:00.0", "1a:00.0")).vmi.devices) == 2
    assert len(vm(made("hgx-h100", "10de:2330")).vmi.devices) == 1


def test_a_plugin_whose_variables_kubevirt_does_not_read() -> None:
    documents = made("qat", "8086:37c9", "8086:4941", by="plugin")

    assert permitted(documents)["pciHostDevices"] == [
        {"pciVendorSelector": selector, "resourceName": "qat.intel.com/generic", "externalResourceProvider": True}
        for selector in ("8086:37C9", "8086:4941")
    ]
    assert (vm(documents).vmi.devices, vm(documents).vmi.limits) == ((), {"qat.intel.com/generic": 1})
    assert entries(documents) == [{"resource": "qat.intel.com/generic", "name": "qat", "count": 1}]
    assert documents.gates == ("HostDevices", "ReservedOverheadMemlock", "Sidecar")


def test_a_plugin_whose_variables_kubevirt_reads() -> None:
    documents = made("tesla-t4", "3b:00.0", by="plugin")

    assert permitted(documents)["pciHostDevices"][0]["externalResourceProvider"]
    assert [device.resource for device in vm(documents).vmi.devices] == ["nvidia.com/TU104GL_TESLA_T4"]
    assert vm(documents).vmi.limits == {}


@pytest.mark.parametrize("selection", ["nvidia-222", "GRID T4-1B", "grid_t4-1b"])
def test_a_type_of_mediated_devices(selection: str) -> None:
    documents = made("tesla-t4", selection)

    (spec,) = of_kind(documents, "KubeVirt")
    assert spec["configuration"] == {
        "mediatedDevicesConfiguration": {"mediatedDeviceTypes": ["nvidia-222"]},
        "permittedHostDevices": {
            "mediatedDevices": [{"mdevNameSelector": "GRID T4-1B", "resourceName": "nvidia.com/GRID_T4-1B"}]
        },
    }
    assert said(documents) == []


def test_a_type_of_which_no_more_can_be_made() -> None:
    assert said(made("tesla-t4", "GRID T4-16Q")) == ["mdev-type-full"]


def test_mediated_devices_of_a_plugin_are_not_made_by_kubevirt() -> None:
    (spec,) = of_kind(made("tesla-t4", "nvidia-222", by="plugin"), "KubeVirt")

    assert list(spec["configuration"]) == ["permittedHostDevices"]


def test_the_functions_of_a_card_are_one_device_in_the_guest() -> None:
    documents = made("consumer-gpu", *CARD)

    assert entries(documents) == [{"device": "tu102-geforce-rtx-2080-ti", "functions": "all"}]
    assert len(vm(documents).vmi.devices) == 4
    assert {"selector-shares-group", "group-not-viable"} <= set(said(documents))


def test_a_port_by_the_operator() -> None:
    documents = made("two-socket-x710", "3b:00.0", vlan=100, node="node1")

    (policy,) = of_kind(documents, "SriovNetworkNodePolicy")
    (network,) = of_kind(documents, "SriovNetwork")
    assert policy == {
        "resourceName": "ens1f0_vfio",
        "nodeSelector": {"kubernetes.io/hostname": "node1"},
        "nicSelector": {"vendor": "8086", "deviceID": "1572", "pfNames": ["ens1f0"]},
        "numVfs": 8,
        "deviceType": "vfio-pci",
    }
    assert (network["resourceName"], network["vlan"], network["networkNamespace"]) == ("ens1f0_vfio", 100, "default")
    (interface,) = [one for one in vm(documents).vmi.interfaces if one.is_sriov]
    assert interface.definition == "default/ens1f0-vfio"
    assert said(documents) == []
    assert documents.gates == ("Sidecar",)


def test_a_port_without_a_name_is_told_by_its_address() -> None:
    port = pf("0000:3b:00.0", class_code=0x020000, driver="i40e")
    (policy,) = of_kind(made(machine(port), "3b:00.0"), "SriovNetworkNodePolicy")

    assert policy["nicSelector"]["rootDevices"] == ["0000:3b:00.0"]
    assert "pfNames" not in policy["nicSelector"]
    assert (policy["numVfs"], policy["resourceName"]) == (8, "port0_vfio")


def test_a_vf_whose_port_is_not_seen() -> None:
    alone = vf("0000:3b:02.0", "0000:3b:00.0", class_code=0x020000)

    with pytest.raises(Refused, match="is not to be seen"):
        made(machine(alone), "3b:02.0")


def test_vfs_that_are_named_are_a_pool_of_their_own() -> None:
    documents = made("two-socket-x710", "3b:02.3", "3b:02.0", "3b:02.1")

    (policy,) = of_kind(documents, "SriovNetworkNodePolicy")
    assert policy["nicSelector"]["pfNames"] == ["ens1f0#0-1", "ens1f0#3-3"]
    assert len([one for one in vm(documents).vmi.interfaces if one.is_sriov]) == 3


def test_a_port_without_the_operator() -> None:
    documents = made("kunpeng", "84:00.0", by="cni", vlan=7)

    (configuration, definition) = documents.parts["cluster"]
    (pool,) = json.loads(configuration["data"]["config.json"])["resourceList"]
    assert (pool["resourcePrefix"], pool["resourceName"]) == ("huawei.com", "enp132s0_vfio")
    assert pool["selectors"] == {
        "vendors": ["19e5"],
        "devices": ["375e"],
        "drivers": ["vfio-pci"],
        "pfNames": ["enp132s0"],
    }
    assert json.loads(definition["spec"]["config"])["vlan"] == 7
    assert definition["metadata"]["annotations"] == {"k8s.v1.cni.cncf.io/resourceName": "huawei.com/enp132s0_vfio"}


def test_ports_that_the_host_needs_are_left_alone() -> None:
    """Their VFs would be new; they can still be named."""
    documents = made("two-socket-x710", "8086:1572")

    assert [policy["resourceName"] for policy in of_kind(documents, "SriovNetworkNodePolicy")] == [
        "ens1f0_vfio",
        "ens2f0_vfio",
    ]
    (policy,) = of_kind(made("two-socket-x710", "3b:00.1"), "SriovNetworkNodePolicy")
    assert policy["numVfs"] == 64


def test_a_vf_can_go_without_a_network() -> None:
    documents = made("two-socket-x710", "3b:02.0", by="kubevirt")

    assert permitted(documents)["pciHostDevices"][0]["pciVendorSelector"] == "8086:154C"
    assert said(documents) == ["selector-takes-more"]


def test_one_resource_for_several_kinds() -> None:
    documents = made("qat", "8086:37c9", "8086:4941", resource="intel.com/qat_vf")

    assert {one["resourceName"] for one in permitted(documents)["pciHostDevices"]} == {"intel.com/qat_vf"}
    assert len(permitted(documents)["pciHostDevices"]) == 2


def test_what_kubevirt_passes_over_is_told() -> None:
    assert said(made("qat", "6b:00.1", by="kubevirt")) == ["not-offered-by-kubevirt", "selector-takes-more"]


def test_a_device_that_cannot_go_is_told_and_written() -> None:
    documents = made("kunpeng", "01:00.0")

    assert {"host-root-disk", "not-bound-to-vfio"} <= set(said(documents))
    assert documents.parts["vm"]


def test_devices_of_one_name_are_told_apart() -> None:
    """Two vendors may have the same number for a device that nobody can name."""
    functions = [function("0000:3d:00.0", vendor=0x10DE, device=0x1234), function("0000:3e:00.0", device=0x1234)]
    documents = made(machine(*functions), "3d:00.0", "3e:00.0")

    assert [device.resource for device in vm(documents).vmi.devices] == ["nvidia.com/1234", "intel.com/1234"]
    assert [device.name for device in vm(documents).vmi.devices] == ["1234", "1234-v2"]


def test_two_kinds_of_one_name_are_two_resources() -> None:
    twins = [function("0000:3d:00.0", device=0x0DD1), function("0000:3e:00.0", device=0x0DD2, group=44)]
    documents = made(machine(*twins), "8086:0dd1", "8086:0dd2")

    assert [device.resource for device in vm(documents).vmi.devices] == ["intel.com/TWIN", "intel.com/TWIN_0DD2"]
    assert said(documents) == []


def test_one_group_with_several_devices_of_one_selector() -> None:
    """KubeVirt would hand out one of them only."""
    alike = [function(address, device=0x1234) for address in ("0000:3d:00.0", "0000:3d:00.1")]
    documents = made(machine(*alike), "8086:1234")

    assert said(documents) == ["selector-shares-group"]
    (finding,) = documents.findings
    assert (finding.subject, "0000:3d:00.0, 0000:3d:00.1" in finding.message) == ("group 43", True)


def test_every_finding_about_selectors_is_made() -> None:
    ways = (made("consumer-gpu", *CARD), made("qat", "6b:00.1", by="kubevirt"), made("tesla-t4", "GRID T4-16Q"))

    assert {kind.code for kind in KINDS} <= {code for documents in ways for code in said(documents)}


@pytest.mark.parametrize(
    ("host", "selections", "wanted", "code", "text"),
    [
        ("qat", ["3d:00.0"], {}, "pf-with-vfs", "select its VFs: 8086:37c9"),
        ("qat", ["8086:37c8"], {}, "pf-with-vfs", "3d:01.0"),
        ("two-socket-x710", ["3b:00.0"], {"by": "kubevirt"}, "pf-with-vfs", "8086:154c"),
        ("qat", ["00:1c.0"], {}, "not-an-endpoint", "a bridge"),
        ("qat", ["pci-bridge"], {}, "not-an-endpoint", "are bridges"),
        ("qat", ["3d:1f.7"], {}, "device-missing", "no such device"),
        ("qat", ["3d:1f.9"], {}, "bad-address", "function"),
        ("qat", ["dead:beef"], {}, "nothing-selected", "8086:37c9"),
        ("qat", ["crypt"], {}, "nothing-selected", "'crypt' is no address"),
        ("empty", ["vga"], {}, "nothing-selected", "passgate node list"),
        ("tesla-t4", ["a1b2c3d4-0001-4000-8000-0000000000a1"], {}, "nothing-selected", "select nvidia-222"),
        ("tesla-t4", ["nvidia-222"], {"by": "operator"}, "bad-usage", "--by operator is for those only"),
        ("qat", ["3d:02.2"], {"by": "cni"}, "bad-usage", "no port or VF"),
        ("kunpeng", ["76:00.1"], {"by": "plugin"}, "resource-unknown", "--resource"),
        ("two-socket-x710", ["3b:00.0"], {"vfs": 65}, "bad-usage", "1 to 64"),
        ("two-socket-x710", ["3b:00.0"], {"vfs": 0}, "bad-usage", "cannot have 0 VFs"),
        ("two-socket-x710", ["3b:02.3"], {"vfs": 2}, "bad-usage", "is VF 3"),
        ("two-socket-x710", ["3b:00.0", "af:00.0"], {"resource": "x"}, "bad-usage", "these are 2"),
        ("two-socket-x710", ["3b:00.0"], {"resource": "intel.com/x"}, "bad-resource", "its own domain"),
        ("qat", ["8086:37c9"], {"resource": "qat"}, "bad-resource", "DOMAIN/NAME"),
        ("qat", ["8086:37c9"], {"resource": "x.kubernetes.io/qat"}, "bad-resource", "to itself"),
        ("qat", ["8086:37c9"], {"resource": f"intel.com/{'x' * 60}"}, "bad-resource", "too long"),
    ],
)
def test_what_cannot_be_made(host: str, selections: list[str], wanted: dict[str, Any], code: str, text: str) -> None:
    with pytest.raises(PassgateError) as refused:
        made(host, *selections, **wanted)

    assert refused.value.code == code
    assert text in f"{refused.value.message} {refused.value.hint}"
    assert isinstance(refused.value, BadInput | Refused)
