"""What NodeStates offer, what the KubeVirt CR permits, what VMs ask for: each mismatch, and none where they meet."""

from __future__ import annotations

import json
import textwrap

import pytest

from tests.hostdev.lint.offering import GPU, kubevirt, row, state
from tests.hostdev.lint.run import codes, results, run, vm

ASKING = vm(devices=f"{{gpus: [{{name: gpu, deviceName: {GPU}}}]}}")


def test_nothing_is_said_where_all_three_meet() -> None:
    assert codes(state(GPU), kubevirt(row()), ASKING) == []


@pytest.mark.parametrize("key", ["pciHostDevices", "mediatedDevices"])
def test_kubevirt_s_own_plugin_would_take_the_name(key: str) -> None:
    (result,) = results(
        state(GPU), kubevirt(row("other.example/x", "10DE:1EB8", external=False), row(external=False), key=key)
    )

    assert (result.finding.code, result.finding.severity) == ("offer-taken-by-kubevirt", "error")
    assert result.finding.subject == f"spec.configuration.permittedHostDevices.{key}[1]"
    assert (result.file, result.line) == ("1.yaml", 10)
    assert "the NodeState gpus" in result.finding.message


def test_of_other_devices_kubevirt_may_have_its_own_plugin() -> None:
    assert codes(state(GPU), kubevirt(row(), row("other.example/x", "10DE:1EB8", external=False))) == []


def test_one_device_is_not_in_two_resources() -> None:
    (result,) = results(state(GPU), kubevirt(row(), row("other.example/x", external=False)))

    assert (result.finding.code, result.finding.severity) == ("offer-shared-with-kubevirt", "error")
    assert result.finding.subject == "spec.configuration.permittedHostDevices.pciHostDevices[1]"
    assert codes(kubevirt(row(), row("other.example/x", external=False))) == []


def test_what_no_vm_may_ask_for_has_its_line_in_the_node_state() -> None:
    (result,) = results(state("example.com/NIC", GPU), kubevirt(row("example.com/NIC")))

    assert (result.finding.code, result.place, result.object) == ("offer-not-permitted", "0.yaml:7:6", "NodeState gpus")


def test_without_any_list_it_is_only_worth_knowing() -> None:
    plain = kubevirt().partition("    permittedHostDevices")[0]

    assert codes(state(GPU), plain) == ["info offer-not-permitted"]
    assert codes(state(GPU), ASKING) == []


@pytest.mark.parametrize(("near", "hint"), [("example.com/GPUS", "did you mean"), ("other.example/x", "compare")])
def test_what_another_provides_is_told_once_a_node_state_offers_something(near: str, hint: str) -> None:
    told = results(state(GPU), kubevirt(row(), row(near)))

    assert [(one.finding.severity, one.finding.code) for one in told] == [("info", "permitted-not-offered")]
    assert hint in str(told[0].finding.hint)
    assert codes(kubevirt(row(), row(near))) == []


def test_a_claim_s_name_is_no_extended_resource() -> None:
    assert codes(state(GPU, more=", by: claim"), kubevirt(row("other.example/x", "10DE:1EB8", external=False))) == []


@pytest.mark.parametrize("form", ["a config map", "a list"])
def test_offers_stand_in_config_maps_and_lists_too(form: str) -> None:
    if form == "a list":
        text = "kind: List\nitems:\n- " + state(GPU).rstrip().replace("\n", "\n  ") + "\n"
    else:
        text = f"kind: ConfigMap\ndata:\n  node-state.yaml: |\n{textwrap.indent(state(GPU), '    ')}"
    line = next(number for number, said in enumerate(text.splitlines(), 1) if GPU in said)

    (result,) = results(text, kubevirt(row("other.example/x", "10DE:1EB8", external=False)))

    assert (result.finding.code, result.line) == ("offer-not-permitted", line)


def test_one_that_is_quoted_has_the_place_of_the_text() -> None:
    text = f"kind: ConfigMap\ndata:\n  node-state.yaml: {json.dumps(state(GPU))}\n"

    (result,) = results(text, kubevirt(row("other.example/x", "10DE:1EB8", external=False)))

    assert (result.finding.code, result.line) == ("offer-not-permitted", 3)


def test_one_resource_in_both_lists_of_a_vm() -> None:
    both = f"{{gpus: [{{name: a, deviceName: {GPU}}}], hostDevices: [{{name: b, deviceName: {GPU}}}]}}"

    (told,) = [one.finding for one in results(vm(devices=both), kubevirt(row())) if one.finding.severity == "error"]

    assert told.code == "resource-in-both-lists"
    assert told.subject == "spec.template.spec.domain.devices.hostDevices[0].deviceName"
    assert codes(vm(devices=both.replace("hostDevices", "other"))) == ["warning unknown-field"]


@pytest.mark.parametrize(
    ("one", "other", "is_told"),
    [
        ("a.b/c", "a.b/C", True),
        ("x.y/a.b", "x.y/a_b", True),
        ("x.y/a-b", "x.y/a_b", False),
        ("x.y/a", "x.z/a", False),
    ],
)
def test_two_resources_of_one_variable(one: str, other: str, *, is_told: bool) -> None:
    """KubeVirt keeps the dash."""
    devices = f"{{gpus: [{{name: a, deviceName: {one}}}, {{name: b, deviceName: {other}}}]}}"
    wanted = ["warning resource-name-ambiguous"] if is_told else []

    assert codes(vm(devices=devices), kubevirt(row(one), row(other))) == wanted
    # Of one file the reader refuses it.
    assert codes(state(one), state(other), kubevirt(row(one), row(other))) == wanted


def test_nodes_of_several_kinds_may_offer_one_resource() -> None:
    report = run(state(GPU), state(GPU), kubevirt(row()))

    assert (report.results, report.counts.objects) == ((), 3)
