"""What real users' files have in them: each defect that lint once passed over, and what is frequent."""

from __future__ import annotations

import json

import pytest

from domxml.finding import Severity
from hostdev.lint.admission.releases import NAMES, Cluster, parse_gates
from hostdev.lint.objects import Object
from hostdev.lint.repository import lint_objects
from tests.hostdev.lint.run import codes, results, run, said, vm
from tests.house import ROOT

TAKEN = json.loads((ROOT / "tests/fixtures/admission/taken.json").read_text(encoding="utf-8"))
SRIOV = "{interfaces: [{name: a, sriov: {}}]}"
OLD = """apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: a}
spec: {running: true, domain: {devices: {gpus: []}}}
"""
MEMORY = "memory: {guest: 1Gi}, "


def vmi(spec: str, annotations: str = "{}") -> str:
    head = "apiVersion: kubevirt.io/v1\nkind: VirtualMachineInstance\n"
    return f"{head}metadata: {{name: a, annotations: {annotations}}}\nspec: {spec}\n"


def domain(inner: str) -> str:
    return vmi(f"{{domain: {{{MEMORY}{inner}}}}}")


def hooked(sidecar: str) -> str:
    return f"{{hooks.kubevirt.io/hookSidecars: '[{sidecar}]'}}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        # L1: what KubeVirt refuses, and nothing was said
        (domain("devices: {interfaces: [{name: net, sriov: {}}]}"), ["error interface-refused"]),
        (
            vmi(f"{{domain: {{{MEMORY}devices: {SRIOV}}}, networks: [{{name: a, pod: {{}}}}]}}"),
            ["warning sriov-without-multus"],
        ),
        (domain("devices: {gpus: [{name: g}]}"), ["error device-refused"]),
        (domain("devices: {gpus: [{name: g, deviceName: '0000:3d:02.2'}]}"), ["warning device-name-unusable"]),
        (
            domain("cpu: {dedicatedCPUPlacement: true, numa: {guestMappingPassthrough: {}}}, devices: {}"),
            ["error compute-refused", "error compute-refused", "warning unknown-field"],
        ),
        (domain("devices: {memBalloon: {}}"), ["warning unknown-field"]),
        (domain("devices: {autoattachGraphicsDevices: false}"), ["warning unknown-field"]),
        (domain("cpu: {ioThreadsPolicy: auto}, devices: {}"), ["warning unknown-field"]),
        (domain("devices: {hostdevices: [{name: a, deviceName: b.c/d}]}"), ["warning unknown-field"]),
        (domain("cpu: {realtime: {}}, devices: {}"), ["error compute-refused"] * 2),
        # L2: a hook script that a configMap brings
        (
            vmi(f"{{domain: {{{MEMORY}devices: {{}}}}}}", hooked('{"configMap": {"name": "m"}}')),
            ["info sidecar-gate"],
        ),
        # L6: a foreign sidecar and an extended resource
        (
            vmi(
                f"{{domain: {{{MEMORY}resources: {{limits: {{vhostuser/sockets: 1}}}}, devices: {{}}}}}}",
                hooked('{"image": "foreign/smbios"}'),
            ),
            ["info sidecar-gate"],
        ),
        # the frequent ones: a container plugin's resource, QAT among the host devices, iommufd
        (domain("devices: {gpus: [{name: g, deviceName: nvidia.com/gpu}]}"), ["warning resource-without-address"]),
        (
            domain("devices: {hostDevices: [{name: q, deviceName: qat.intel.com/generic}]}"),
            ["warning resource-without-address", "info gate-closed"],
        ),
        (
            domain("devices: {gpus: [{name: g, deviceName: a.b/c, iommufd: true}]}"),
            ["warning unknown-field"],
        ),
    ],
)  # fmt: skip
def test_what_was_passed_over(text: str, told: list[str]) -> None:
    assert codes(text) == told


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2", "v1beta1"])
def test_a_version_that_no_release_serves(version: str) -> None:
    text = OLD.replace("v1\n", f"{version}\n")
    told = [one.finding for one in results(text)]

    assert [finding.code for finding in told] == ["api-not-served", "unknown-field"]
    assert told[1].hint == "it belongs to spec.template.spec.domain"


def test_a_domain_without_a_template() -> None:
    told = [one.split(" ", 1)[1].split(":")[0] for one in said(OLD)]

    assert told == ["field-missing spec.template", "unknown-field spec.domain"]


def test_a_bare_date_is_text() -> None:
    text = vm().replace("namespace: lab", "namespace: lab, creationTimestamp: 2019-12-18T10:44:37Z")

    assert run(text).results == ()


@pytest.mark.parametrize("kind", ["VirtualMachineTemplate", "ConfigMap", "Pipeline"])
def test_what_holds_no_vm_is_passed_over_and_counted(kind: str) -> None:
    told = run(f"kind: {kind}\nmetadata: {{name: a}}\ndata: {{vm: 'kind: VirtualMachine'}}")

    assert (told.results, told.counts.others) == ((), 1)


def test_an_old_vm_is_known_by_its_kind() -> None:
    told = codes("apiVersion: kubevirt.io/v1alpha1\nkind: OfflineVirtualMachine\nmetadata: {name: a}\nspec: {}")

    assert told == ["error api-not-served"]


@pytest.mark.parametrize("taken", TAKEN, ids=lambda taken: taken["shape"])
def test_vms_that_kubevirt_has_booted_have_no_errors(taken: dict[str, object]) -> None:
    clusters = [Cluster(), *(Cluster((release,), parse_gates("all", (release,))) for release in range(len(NAMES)))]
    for cluster in clusters:
        told = lint_objects([Object(json.loads(json.dumps(taken["vmi"])))], cluster)
        assert [one.finding for one in told if one.finding.severity is Severity.ERROR] == []


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("cpu: {dedicatedCPUPlacement: true}, devices: {}", "did you mean dedicatedCpuPlacement?"),
        ("cpu: {core: 1}, devices: {}", "did you mean cores?"),
        ("disks: [], devices: {}", "it belongs to spec.domain.devices.disks"),
        ("devices: {disks: [{name: d, disk: {dedicatedIOThread: true}}]}",
         "it belongs to spec.domain.devices.disks.dedicatedIOThread"),
        ("devices: {GPUs: []}", "did you mean gpus?"),
        ("devices: {hostdevices: []}", "did you mean hostDevices?"),
        ("devices: {}, machine: {machineType: q35}", "no release of KubeVirt knows it; known are type"),
        ("devices: {}, junk: 1", "no release of KubeVirt knows it; remove it"),
        ("devices: {gpus: [{name: g, deviceName: a.b/c, iommufd: 1}]}",
         "leave it out: no release of KubeVirt has it, it is of a proposal"),
    ],
)  # fmt: skip
def test_where_a_key_belongs(key: str, hint: str) -> None:
    assert hint in [one.finding.hint for one in results(domain(key)) if one.finding.code == "unknown-field"]


def test_a_key_of_a_younger_release() -> None:
    text = domain("rebootPolicy: Terminate, devices: {}")
    (young,) = [one.finding for one in results(text, gates="all") if one.finding.code == "field-by-release"]
    (old,) = [one.finding for one in results(text, kubevirt="1.7") if one.finding.code == "field-by-release"]

    assert (young.severity, young.message) == ("info", "KubeVirt has this key from 1.8 on; KubeVirt 1.7 drops it")
    assert old.severity == "warning"
    assert codes(text, kubevirt="1.9") == []
