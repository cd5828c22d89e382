"""SR-IOV policies, networks, claims and the KubeVirt object: what of them does not meet."""

from __future__ import annotations

import pytest

from hostdev.lint.results import Result
from tests.hostdev.lint.run import codes, results, vm

POLICY = """
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: policy, namespace: sriov}
spec:
  resourceName: fast
  deviceType: vfio-pci
  numVfs: 4
  nicSelector: {pfNames: [ens1f0]}
"""
NETWORK = """
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetwork
metadata: {name: fast, namespace: sriov}
spec: {networkNamespace: lab, resourceName: fast, vlan: 100}
"""
VM = vm("networks: [{name: fast, multus: {networkName: fast}}]", devices="{interfaces: [{name: fast, sriov: {}}]}")
CLAIM = """
apiVersion: devices.harvesterhci.io/v1beta1
kind: PCIDeviceClaim
metadata: {name: NAME}
spec: {address: "0000:3d:00.0", nodeName: node-1}
"""


def told(*texts: str) -> list[str]:
    return [f"{one.name} {one.finding.code} {one.finding.subject}" for one in told_of(*texts)]


def told_of(*texts: str) -> list[Result]:
    """But for what every VM on a Multus network is told."""
    return [one for one in results(*texts) if one.finding.code != "network-injector"]


def test_what_meets_is_not_told() -> None:
    assert told(POLICY, NETWORK, VM) == []


@pytest.mark.parametrize("device_type", ["deviceType: netdevice", "mtu: 9000"])
def test_vfs_that_stay_with_the_hosts_driver(device_type: str) -> None:
    policy = POLICY.replace("deviceType: vfio-pci", device_type)

    (line,) = told(policy, NETWORK, VM)
    assert line.startswith("policy policy-netdevice spec")
    assert told(policy, NETWORK) == []


def test_addresses_that_the_guest_never_gets() -> None:
    ipam = NETWORK.replace("vlan: 100", 'vlan: 100, ipam: \'{"type": "host-local"}\'')
    nad = """
    apiVersion: k8s.cni.cncf.io/v1
    kind: NetworkAttachmentDefinition
    metadata: {name: fast, namespace: lab}
    spec: {config: '{"type": "sriov", "ipam": {"type": "whereabouts"}}'}
    """

    assert told(POLICY, ipam, VM) == ["fast ipam-unused spec.ipam"]
    assert told(nad, VM) == ["fast ipam-unused spec.config"]
    assert told(POLICY, ipam) == []
    assert told(POLICY, NETWORK.replace("vlan: 100", "ipam: '{}'"), VM) == []


def test_a_resource_that_no_policy_makes() -> None:
    network = NETWORK.replace("resourceName: fast", "resourceName: fats")
    (result,) = told_of(POLICY, network, VM)

    assert (result.finding.code, result.finding.hint) == ("resource-unmet", "did you mean fast?")
    assert told(network, VM) == []


@pytest.mark.parametrize("spec", ["networkNamespace: other, ", ""])
def test_a_network_in_another_namespace(spec: str) -> None:
    (line,) = told(POLICY, NETWORK.replace("networkNamespace: lab, ", spec), VM)

    assert line.startswith("fast namespace-unmet ")


def test_a_network_named_with_its_namespace() -> None:
    network = NETWORK.replace("networkNamespace: lab, ", "networkNamespace: other, ")

    assert told(POLICY, network, VM.replace("networkName: fast", "networkName: other/fast")) == []


@pytest.mark.parametrize(
    ("selector", "place"),
    [
        ("nicSelector:\n  vendor: '8086'\n  pfNames: [ens1f0]", "spec.vendor"),
        ("nicSelector: {}", "spec.nicSelector"),
        ("nicSelector: {pfName: [ens1f0]}", "spec.nicSelector.pfName"),
    ],
)
def test_keys_that_are_lost_beside_the_selector(selector: str, place: str) -> None:
    policy = POLICY.replace("nicSelector: {pfNames: [ens1f0]}", selector)

    assert told(policy) == [f"policy selector-lost {place}"]


def test_a_policy_that_selects_more_than_a_port() -> None:
    policy = POLICY.replace("{pfNames: [ens1f0]}", '{vendor: "8086", deviceID: "1572"}')
    (result,) = results(policy)

    assert (result.finding.code, result.finding.severity) == ("policy-selects-all", "info")
    assert "8086:1572" in result.finding.message


def test_one_vlan_in_two_networks() -> None:
    other = NETWORK.replace("name: fast", "name: copy", 1)

    assert told(POLICY, NETWORK, other) == ["copy vlan-twice spec.vlan"]
    assert told(POLICY, NETWORK, other.replace("100", "101")) == []
    assert told(POLICY, NETWORK.replace("100", "0"), other.replace("100", "0")) == []


def test_one_device_claimed_twice() -> None:
    one, other = (CLAIM.replace("NAME", name) for name in ("a", "b"))

    assert told(one, other) == ["b address-claimed-twice spec.address"]
    assert told(one, other.replace("node-1", "node-2")) == []


def test_one_root_device_in_two_policies() -> None:
    one = POLICY.replace("{pfNames: [ens1f0]}", '{rootDevices: ["0000:5e:00.0"]}')
    other = one.replace("name: policy", "name: other").replace("resourceName: fast", "resourceName: slow")

    assert told(one, other) == ["other address-claimed-twice spec.nicSelector.rootDevices[0]"]
    parts = [
        text.replace("rootDevices", f"pfNames: ['ens1f0#{part}'], rootDevices")
        for text, part in ((one, "0-3"), (other, "4-7"))
    ]
    assert told(*parts) == []


KUBEVIRT = """
kind: KubeVirt
metadata: {name: k}
spec: {configuration: {developerConfiguration: {featureGates: [GATE, LiveMigration]}}}
"""


@pytest.mark.parametrize("gate", ["hostDevices", "HostDevice", "hostdevices"])
def test_a_gate_that_looks_misspelt(gate: str) -> None:
    (result,) = results(KUBEVIRT.replace("GATE", gate))

    assert (result.finding.code, result.finding.hint) == ("gate-misspelt", "did you mean HostDevices?")


def test_the_gates_of_the_kubevirt_object_count() -> None:
    text = vm(devices="{hostDevices: [{name: h, deviceName: a.b/c}]}")

    assert codes(text) == ["info gate-closed"]
    assert "error gate-closed" in codes(text, KUBEVIRT.replace("GATE", "Sidecar"))
    assert "error gate-closed" not in codes(text, KUBEVIRT.replace("GATE", "HostDevices"))
    assert codes(text, gates="HostDevices") == []
    assert codes(text, gates="none") == ["error gate-closed"]


def test_a_misspelt_gate_of_the_command_line_is_refused() -> None:
    from domxml.errors import BadInput  # noqa: PLC0415

    with pytest.raises(BadInput, match="did you mean HostDevices"):
        codes(vm(), gates="hostDevices")
