"""The devices of the spec, and what KubeVirt makes of a VM with more of them."""

from __future__ import annotations

from typing import Any

import pytest

from domxml.finding import Severity
from tests.hostdev.lint.build import QAT, found, told

GPU = {"gpus": [{"name": "gpu0", "deviceName": "nvidia.com/x"}]}
NETS = {"interfaces": [{"name": "default", "masquerade": {}}, {"name": "fast", "sriov": {}}]}
PLAIN = {"memory": {"guest": "4Gi"}}


def codes(*words: Any, **changes: Any) -> list[str]:
    return [finding.code for finding in found(*words, **changes)]


def test_a_vm_whose_memory_nobody_lets_be_locked() -> None:
    assert told(domain=PLAIN) == [
        "warning memlock-not-raised ns/vm: VFIO locks 5120 MiB, and nothing in the spec makes KubeVirt raise the limit"
    ]
    assert codes(None, domain=PLAIN) == ["memlock-not-raised"]


@pytest.mark.parametrize(
    ("devices", "changes"),
    [
        ([{"resource": QAT}], {"domain": {**PLAIN, "devices": GPU}}),
        ([{"resource": QAT}], {"domain": {**PLAIN, "devices": NETS}}),
        ([], {"domain": PLAIN, "limits": {}}),
        ([{"device": "gpu0"}], {"domain": {**PLAIN, "devices": GPU}, "limits": {}}),
        (None, {"domain": PLAIN, "limits": {}}),
        (None, {"domain": PLAIN, "hooks": None}),
    ],
)
def test_a_vm_whose_memory_is_none_of_our_business(devices: Any, changes: Any) -> None:
    assert "memlock-not-raised" not in codes(devices, **changes)


@pytest.mark.parametrize("strategy", ["LiveMigrate", "LiveMigrateIfPossible", "External", None])
def test_a_vm_that_kubevirt_would_migrate(strategy: str | None) -> None:
    (line,) = told(spec={"evictionStrategy": strategy})

    seen = f"is {strategy}" if strategy else "is not set"
    assert line.startswith(f"warning looks-migratable spec.template.spec.evictionStrategy: evictionStrategy {seen}")
    assert codes(spec={"evictionStrategy": strategy}, domain={"devices": GPU}) == []


def test_an_instancetype_may_bring_what_the_spec_does_not_show() -> None:
    findings = found(domain=PLAIN, spec={"evictionStrategy": None}, vm={"instancetype": {"name": "gpu1"}})

    assert {finding.code for finding in findings} == {"memlock-not-raised", "looks-migratable"}
    assert {finding.severity for finding in findings} == {Severity.INFO}
    assert all("unless the instancetype gpu1 brings" in finding.message for finding in findings)


@pytest.mark.parametrize("name", ["gpu0", "fast"])
def test_a_device_of_the_spec(name: str) -> None:
    assert told([{"device": name}, {"resource": QAT}], domain={"devices": {**GPU, **NETS}}) == []


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("gpu1", "the spec has no GPU, host device or SR-IOV interface named gpu1", "did you mean gpu0?"),
        ("zzz", "the spec has no GPU, host device or SR-IOV interface named zzz", "known: gpu0, fast"),
        ("default", "the interface default has no host device: its binding is not sriov", "known: gpu0, fast"),
    ],
)
def test_a_device_that_the_spec_does_not_have(name: str, message: str, hint: str) -> None:
    (finding,) = found([{"device": name}, {"resource": QAT}], domain={"devices": {**GPU, **NETS}})

    assert (finding.code, finding.severity) == ("device-not-found", Severity.ERROR)
    assert (finding.subject, finding.message, finding.hint) == ("passgate.dev/devices[0].device", message, hint)


def test_a_device_that_may_come_with_the_instancetype() -> None:
    (finding,) = found([{"device": "gpu0"}], limits={}, vm={"instancetype": {"name": "gpu1"}})

    assert (finding.code, finding.severity) == ("device-not-found", Severity.WARNING)
    assert finding.hint == "the spec has none; ask for a `resource`"


@pytest.mark.parametrize("kind", ["gpus", "hostDevices"])
@pytest.mark.parametrize(("name", "would_do"), [("rtx.4090", "rtx-4090"), ("a b", "a-b")])
def test_a_name_that_crashes_virt_launcher(kind: str, name: str, would_do: str) -> None:
    (finding,) = found(domain={"devices": {kind: [{"name": name, "deviceName": "a.b/c"}]}})

    assert (finding.code, finding.severity) == ("alias-dropped", Severity.ERROR)
    assert finding.subject == f"spec.template.spec.domain.devices.{kind}[0].name"
    assert finding.hint == f"{would_do} would do"


def test_devices_from_claims() -> None:
    devices = {
        "gpus": [{"name": "gpu0", "claimName": "one", "requestName": "r"}],
        "interfaces": [{"name": "net", "sriov": {}}],
    }
    networks = [{"name": "net", "resourceClaim": {"claimName": "two", "requestName": "r"}}]
    findings = found(domain={"devices": devices}, spec={"networks": networks, "resourceClaims": [{"name": "one"}]})

    error, info = findings
    assert (error.code, error.message) == ("dra-claim-missing", "spec.resourceClaims has no claim named two")
    assert error.subject == "spec.template.spec.domain.devices.interfaces[0]"
    assert (info.code, info.hint) == ("dra-device", 'refer to it with {"device": "gpu0"}')


def test_a_guest_node_in_a_guest_without_nodes() -> None:
    assert told([{"resource": QAT, "numa": "host"}]) == [
        (
            "warning numa-not-possible passgate.dev/devices[0].numa: the guest has no NUMA nodes of its own: "
            "cpu.numa.guestMappingPassthrough is not set"
        )
    ]
    cpu: dict[str, Any] = {"cpu": {"numa": {"guestMappingPassthrough": {}}}}
    assert told([{"resource": QAT, "numa": 0}], domain=cpu) == []


MULTUS = [{"name": name, "multus": {"networkName": f"ns/{name}"}} for name in ("fast", "front", "plain")]


@pytest.mark.parametrize(
    ("interfaces", "networks"),
    [
        (["fast"], "ns/fast"),
        (["front"], "ns/front"),
        (["fast", "front"], "ns/fast, ns/front"),
        (["plain"], ""),
        (["default"], ""),
    ],
)
def test_networks_whose_device_another_component_asks_for_from_1_9_on(interfaces: list[str], networks: str) -> None:
    kinds: dict[str, dict[str, object]] = {
        "fast": {"sriov": {}},
        "front": {"binding": {"name": "passgate"}},
        "plain": {"bridge": {}},
    }
    devices = {"interfaces": [{"name": name, **kinds.get(name, {"masquerade": {}})} for name in interfaces]}
    spec = {"networks": [*MULTUS, {"name": "default", "pod": {}}]}

    said = [one for one in found([], domain={**PLAIN, "devices": devices}, spec=spec) if one.code == "network-injector"]

    wanted = f"from KubeVirt 1.9 on network-resources-injector requests the device of {networks}"
    assert [(one.severity, one.message) for one in said] == ([(Severity.INFO, wanted)] if networks else [])
