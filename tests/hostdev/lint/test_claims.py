"""Classes, claims, NodeStates that offer by claim, KubeVirt's list and VMs: each mismatch, and none where they meet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostdev.findings.claimobjects import KINDS
from tests.hostdev.lint.offering import GPU, kubevirt, row, state
from tests.hostdev.lint.run import codes, results, run, vm
from tests.hostdev.manifest.making import made

OURS = 'device.driver == "units.passgate.dev"'
BY_CLAIM = ", by: claim"
BY_NAME = vm(devices=f"{{hostDevices: [{{name: gpu, deviceName: {GPU}}}]}}")
BY_REQUEST = vm(
    "resourceClaims: [{name: devices, resourceClaimTemplateName: gpus}]",
    devices="{hostDevices: [{name: gpu, claimName: devices, requestName: gpu}]}",
)


def device_class(resource: str = GPU, name: str = "gpu", *, extended: str = "", expression: str = "") -> str:
    cel = expression or f'{OURS} && device.attributes["units.passgate.dev"].resource == "{resource}"'
    more = f"\n  extendedResourceName: {extended}" if extended else ""
    return (
        f"apiVersion: resource.k8s.io/v1\nkind: DeviceClass\nmetadata: {{name: {name}}}\n"
        f"spec:\n  selectors:\n  - cel:\n      expression: {json.dumps(cel)}{more}\n"
    )


def template(request: str = "{name: gpu, exactly: {deviceClassName: gpu}}", kind: str = "ResourceClaimTemplate") -> str:
    devices = f"devices: {{requests: [{request}]}}"
    spec = f"spec: {{{devices}}}" if kind == "ResourceClaimTemplate" else devices
    return f"apiVersion: resource.k8s.io/v1\nkind: {kind}\nmetadata: {{name: gpus, namespace: lab}}\nspec: {{{spec}}}\n"


CLASS, BY_EITHER = device_class(), device_class(extended=GPU)


def about_claims(*texts: str, **how: str) -> list[str]:
    """What is said of classes and claims; not what every VM with a claim is told."""
    known = {kind.code for kind in KINDS} | {"offer-not-permitted", "offer-taken-by-kubevirt"}
    return [line for line in codes(*texts, **how) if line.partition(" ")[2] in known]


def test_nothing_is_said_where_all_of_them_meet() -> None:
    assert about_claims(state(GPU, more=BY_CLAIM), CLASS, template(), BY_REQUEST, kubevirt="1.9") == []
    assert about_claims(state(GPU, more=BY_CLAIM), BY_EITHER, kubevirt_lists(), BY_NAME) == []
    assert about_claims(state(GPU, more=BY_CLAIM)) == []


def kubevirt_lists(*rows: str) -> str:
    return kubevirt(*(rows or (row(),)))


@pytest.mark.parametrize("by", ["claim", "passgate"])
def test_what_manifest_writes_meets(by: str) -> None:
    told = {finding.code for finding in made("consumer-gpu", "10de:1e04", by=by).findings}

    assert told.isdisjoint(kind.code for kind in KINDS)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("{name: gpu, exactly: {deviceClassName: gpu, count: 2}}", "brings 2 devices"),
        ("{name: gpu, exactly: {deviceClassName: gpu, allocationMode: All}}", "brings all devices there are"),
        ("{name: gpu, deviceClassName: gpu, count: 3}", "brings 3 devices"),
        ("{name: gpu, firstAvailable: [{name: a, deviceClassName: gpu}, {name: b, deviceClassName: gpu, count: 2}]}",
         "a list of alternatives"),
    ],
)  # fmt: skip
def test_kubevirt_reads_one_device_a_request(asked: str, words: str) -> None:
    (result,) = (one for one in results(CLASS, template(asked), BY_REQUEST) if one.finding.severity == "error")

    assert result.finding.code == "request-not-one-device"
    assert words in result.finding.message
    assert result.finding.subject == "spec.template.spec.domain.devices.hostDevices[0].requestName"


def test_a_claim_of_no_template_is_looked_at_too() -> None:
    named = BY_REQUEST.replace("resourceClaimTemplateName", "resourceClaimName")

    assert about_claims(CLASS, template(kind="ResourceClaim"), named, kubevirt="1.9") == []
    assert about_claims(CLASS, template("{name: gpus}", "ResourceClaim"), named, kubevirt="1.9") == [
        "error request-unknown"
    ]


def test_a_request_that_the_claim_does_not_have() -> None:
    (result,) = (one for one in results(template("{name: gpus}"), BY_REQUEST) if one.finding.severity == "error")

    assert (result.finding.code, "did you mean gpus?" in str(result.finding.hint)) == ("request-unknown", True)


def test_the_claim_of_another_namespace_is_another() -> None:
    assert about_claims(CLASS, template("{name: other}").replace("namespace: lab", "namespace: far"), BY_REQUEST) == []


def test_a_class_that_is_misspelt_in_a_claim() -> None:
    wrong = template("{name: gpu, exactly: {deviceClassName: gpuu}}")

    assert about_claims(CLASS, wrong) == ["warning class-unknown"]
    assert about_claims(CLASS, template("{name: gpu, exactly: {deviceClassName: nic.example.com}}")) == []


def test_a_class_of_a_resource_that_nothing_offers() -> None:
    (result,) = results(state(GPU, more=BY_CLAIM), CLASS, device_class(f"{GPU}S", "other"))

    assert (result.finding.code, result.finding.subject) == ("class-not-offered", "spec.selectors")
    assert f"did you mean {GPU}?" in str(result.finding.hint)
    assert about_claims(device_class(f"{GPU}S")) == []


def test_an_offer_that_no_class_means_has_its_line_in_the_node_state() -> None:
    (result,) = results(state(GPU, "example.com/NIC", more=BY_CLAIM), CLASS)

    assert (result.finding.code, result.place) == ("offer-without-class", "0.yaml:7:6")


@pytest.mark.parametrize(
    "expression",
    [
        f'device.attributes["units.passgate.dev"].resource=="{GPU}"',
        f"'{GPU}' == device.attributes['units.passgate.dev'].resource",
        f'{OURS} && device.attributes["units.passgate.dev"].resource in ["{GPU}"]',
        OURS,
    ],
)
def test_other_ways_to_write_a_selector_raise_no_false_alarm(expression: str) -> None:
    assert about_claims(state(GPU, more=BY_CLAIM), device_class(expression=expression)) == []


def test_classes_of_other_drivers_say_nothing_of_ours() -> None:
    foreign = device_class(name="gpu.example.com", expression='device.driver == "gpu.example.com"')

    assert about_claims(state(GPU, more=BY_CLAIM), CLASS, foreign) == []
    assert about_claims(foreign, template("{name: gpu, exactly: {deviceClassName: gpu.example.com}}"), BY_REQUEST) == []


def test_a_class_of_another_project_is_passed_over() -> None:
    foreign = CLASS.replace("resource.k8s.io/v1", "example.com/v1")

    assert about_claims(state("example.com/NIC", more=BY_CLAIM), foreign) == []


def test_one_name_of_two_classes() -> None:
    (result,) = results(BY_EITHER, device_class(name="other", extended=GPU))

    assert (result.finding.code, result.object) == ("extended-name-doubled", "DeviceClass other")
    assert about_claims(BY_EITHER, device_class(name="other", extended="example.com/NIC")) == []


def test_one_name_of_a_plugin_and_a_class() -> None:
    assert about_claims(state(GPU), BY_EITHER) == ["warning extended-name-of-plugin"]
    assert about_claims(state(GPU), CLASS) == []


def test_a_vm_that_asks_by_a_name_that_no_class_has() -> None:
    limits = vm(devices="{}").replace("domain:", f"domain:\n        resources: {{limits: {{{GPU}: 1}}}}")

    for asking in (BY_NAME, limits):
        assert "warning extended-name-missing" in about_claims(state(GPU, more=BY_CLAIM), CLASS, asking)
        assert about_claims(state(GPU, more=BY_CLAIM), BY_EITHER, asking) == []


def test_what_is_asked_for_by_name_must_be_permitted_and_what_is_claimed_need_not() -> None:
    other = kubevirt_lists(row("example.com/NIC", "8086:1572"))

    assert about_claims(state(GPU, more=BY_CLAIM), BY_EITHER, other, BY_NAME) == ["warning offer-not-permitted"]
    assert about_claims(state(GPU, more=BY_CLAIM), BY_EITHER, other, template(), BY_REQUEST, kubevirt="1.9") == []
    assert about_claims(state(GPU, more=BY_CLAIM), CLASS, kubevirt_lists()) == ["info permitted-not-needed"]


def test_kubevirt_s_own_plugin_would_take_the_name_of_a_claim_s_resource_too() -> None:
    own = kubevirt_lists(row(external=False))

    assert about_claims(state(GPU, more=BY_CLAIM), BY_EITHER, own) == ["error offer-taken-by-kubevirt"]


@pytest.mark.parametrize(
    ("release", "told"),
    [("1.7", "error"), ("1.8", "info"), ("1.9", ""), ("head", ""), ("", "info")],
)
def test_releases_that_do_not_find_the_device(release: str, told: str) -> None:
    expected = [f"{told} claims-by-release"] if told else []

    assert about_claims(CLASS, template(), BY_REQUEST, kubevirt=release) == expected
    assert about_claims(template(), BY_REQUEST, kubevirt=release) == []


def test_a_driver_of_another_name_raises_no_false_alarm() -> None:
    other = device_class(expression=f'device.attributes["units.example.com"].resource == "{GPU}"')

    assert about_claims(state(GPU, more=BY_CLAIM), other) == []


@pytest.mark.parametrize("value", ["5", "[]", "{}", "[5]", "text", "[[]]", "[{cel: 5}]", "[{cel: {expression: []}}]"])
@pytest.mark.parametrize("key", ["selectors", "extendedResourceName", "devices", "requests"])
def test_whatever_stands_there_stops_nothing(key: str, value: str) -> None:
    spec = f"devices: {{requests: {value}}}" if key == "requests" else f"{key}: {value}"
    head = "apiVersion: resource.k8s.io/v1\nkind: {}\nmetadata: {{name: gpus}}\nspec: {{{}}}\n"
    kinds = [head.format(kind, spec) for kind in ("DeviceClass", "ResourceClaim")]
    broken = f"{{hostDevices: [{{name: gpu, claimName: devices, requestName: {value}, deviceName: {value}}}]}}"
    asking = vm(f"resourceClaims: {value}", devices=broken)

    run(state(GPU, more=BY_CLAIM), *kinds, head.format("ResourceClaimTemplate", f"spec: {{{spec}}}"), asking)
    run(state(GPU, more=BY_CLAIM), *kinds, head.format("ResourceClaimTemplate", f"spec: {{{spec}}}"), BY_REQUEST)


def test_every_finding_about_claims_is_made_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")

    assert [kind.code for kind in KINDS if kind.code not in text] == []
