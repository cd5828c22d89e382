"""Both sides of each rule's edge, release by release: one change to a VM that KubeVirt takes.

R: refused; v: the VM is taken, and its VMI is not; a dot: taken.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from domxml.finding import Severity
from hostdev.findings.admission import FIELD_BY_RELEASE, UNKNOWN_FIELD
from hostdev.lint.admission.releases import NAMES, Cluster, parse_gates
from hostdev.lint.admission.verdict import RULES, Refusal, refusals
from tests.hostdev.lint.run import results
from tests.house import ROOT

FIXTURES = ROOT / "tests/fixtures/admission"
ROWS: list[dict[str, Any]] = json.loads((FIXTURES / "rows.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = json.loads((FIXTURES / "cases.json").read_text(encoding="utf-8"))
TAKEN: dict[str, Any] = {
    "apiVersion": "kubevirt.io/v1",
    "kind": "VirtualMachine",
    "metadata": {"name": "a"},
    "spec": {
        "runStrategy": "Always",
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {
                "domain": {
                    "memory": {"guest": "2Gi"},
                    "devices": {
                        "disks": [{"name": "d", "disk": {"bus": "virtio"}}],
                        "interfaces": [{"name": "default", "masquerade": {}}],
                    },
                },
                "networks": [{"name": "default", "pod": {}}],
                "volumes": [{"name": "d", "containerDisk": {"image": "i"}}],
            },
        },
    },
}
SPEC = "spec.template.spec"
BRIDGED = {f"{SPEC}.domain.devices.interfaces": [{"name": "default", "bridge": {}}]}
RESERVED = {
    f"{SPEC}.domain.devices.disks": [{"name": "d", "lun": {"reservation": True}}],
    f"{SPEC}.volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "d"}}],
}
BELOW = {f"{SPEC}.domain.resources": {"limits": {"memory": "1Gi"}}}
OLD = {f"{SPEC}.domain.machine": {"type": "pc"}}
GATE: dict[str, Any] = {"developerConfiguration": {"featureGates": ["PersistentReservation"]}}
OF_THE_CLUSTER: list[tuple[dict[str, Any], str, dict[str, Any], str]] = [
    (BRIDGED, "1.9", {}, ""),
    (BRIDGED, "1.9", {"network": {"permitBridgeInterfaceOnPodNetwork": False}}, "Bridge on pod network"),
    (BRIDGED, "1.9", {"network": {"permitBridgeInterfaceOnPodNetwork": True}}, ""),
    (RESERVED, "1.9", {}, "persistent reservation is not enabled"),
    (RESERVED, "1.9", {"persistentReservationConfiguration": {"enabled": True}}, ""),
    (RESERVED, "1.9", GATE, ""),
    (RESERVED, "1.8", {}, "PersistentReservation feature gate"),
    (RESERVED, "1.8", GATE, ""),
    (BELOW, "1.9", {"vmRolloutStrategy": "Stage"}, "guest memory '2Gi' must not be above"),
    (BELOW, "1.9", {"vmRolloutStrategy": "LiveUpdate"}, ""),
    (BELOW, "1.9", {}, ""),
    (OLD, "1.9", {"machineType": "pc"}, "machine type is not supported: pc"),
    (OLD, "1.9", {"emulatedMachines": ["pc*"]}, ""),
    (OLD, "1.9", {"architectureConfiguration": {"amd64": {"emulatedMachines": ["pc*"]}}}, ""),
    (OLD, "1.9", {"architectureConfiguration": {"arm64": {"emulatedMachines": ["pc*"]}}}, "machine type is not"),
]
OF_THE_KUBEVIRT_OBJECT = ("Bridge on pod network", "guest memory '{guest}' must not be above")


def changed(row: dict[str, Any]) -> dict[str, Any]:
    vm = copy.deepcopy(TAKEN)
    for path, value in row["set"].items():
        *keys, last = path.split(".")
        there: Any = vm
        for key in keys:
            there = there[int(key)] if key.isdigit() else there.setdefault(key, {})
        if value == "DEL":
            del there[last]
        else:
            there[int(last) if last.isdigit() else last] = copy.deepcopy(value)
    return vm


def refused(vm: dict[str, Any], release: int, gates: str | None) -> Iterator[Refusal]:
    cluster = Cluster((release,), parse_gates(gates, (release,)) if gates else frozenset())
    return (one for one in refusals(vm, cluster) if one.kind not in (UNKNOWN_FIELD, FIELD_BY_RELEASE))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: json.dumps(row["set"])[:70])
def test_what_is_refused_where(row: dict[str, Any]) -> None:
    vm = changed(row)
    verdicts = ""
    for release in range(len(NAMES)):
        found = [one.vmi_only for one in refused(vm, release, row.get("gates"))]
        verdicts += "." if not found else "v" if all(found) else "R"

    assert verdicts == row["verdicts"]


def test_no_rule_is_without_a_row_or_a_case() -> None:
    said: set[tuple[str, str]] = set()
    for vm in (*(changed(row) for row in ROWS), *(case["manifest"] for case in CASES)):
        for gates in ("all", None):
            for release in (0, len(NAMES) - 1, 3):
                said.update((one.kind.code, one.message) for one in refused(vm, release, gates))

    for rule in RULES:
        words = re.compile(".*".join(re.escape(part) for part in re.split(r"\{\w+\}", rule.says)))
        met = any(code == rule.kind.code and words.fullmatch(message) for code, message in said)
        assert met or rule.says.startswith(OF_THE_KUBEVIRT_OBJECT), rule.says


@pytest.mark.parametrize(("change", "release", "configuration", "message"), OF_THE_CLUSTER)
def test_what_the_kubevirt_object_says(
    change: dict[str, Any], release: str, configuration: dict[str, Any], message: str
) -> None:
    cluster = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "KubeVirt",
        "metadata": {"name": "kubevirt", "namespace": "kubevirt"},
        "spec": {"configuration": {"developerConfiguration": {"featureGates": []}, **configuration}},
    }

    errors = [
        result.finding.message
        for result in results(json.dumps(cluster), json.dumps(changed({"set": change})), kubevirt=release)
        if result.finding.severity is Severity.ERROR
    ]

    assert len(errors) == bool(message)
    assert all(message in error for error in errors)
