"""Whether a node can run a VM: the verdicts, what says so, and how many fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml

from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from hostdev.fleet.demand import Demand
from hostdev.fleet.nodeobject import read_node_objects
from hostdev.fleet.placement import Verdict, place
from hostdev.inventory.recorded.recording import Origin
from hostdev.lint.objects import Object
from tests.hostdev.fleet.demands import H100, asked, codes, counted, node, vm


def test_a_node_with_enough_of_them_says_yes() -> None:
    assert counted(place(node("hgx-h100"), asked(vm(h100=2)))) == ("yes", 4, 4)
    assert counted(place(node("hgx-h100"), asked(vm(h100=3)))) == ("yes", 2, 2)
    assert counted(place(node("hgx-h100"), asked(vm(h100=8)))) == ("yes", 1, 1)


def test_too_few_cards_are_never_enough() -> None:
    answer = place(node("hgx-h100"), asked(vm(h100=9)))

    assert counted(answer) == ("never", 0, 0)
    assert "the VM asks for 9 of nvidia.com/H100, and the node has 8 of them" in answer.findings[0].message
    assert counted(place(node("vmd"), asked(vm(h100=1)))) == ("never", 0, 0)


def test_what_is_held_is_not_now() -> None:
    answer = place(node("hgx-h100", "0000:1a:00.0"), asked(vm(h100=8)))

    assert counted(answer) == ("notNow", 0, 0)
    assert {"too-few-free", "device-in-use"} <= codes(answer)
    assert {one.subject for one in answer.findings if one.code == "device-in-use"} == {"0000:1a:00.0"}
    assert counted(place(node("hgx-h100", "0000:1a:00.0"), asked(vm(h100=2)))) == ("yes", 3, 3)


def test_what_shares_a_group_with_the_root_disk_is_never_given() -> None:
    answer = place(node("nvme-in-gpu-group"), asked(vm(a2000=1)))

    assert answer.verdict is Verdict.NEVER
    assert "host-root-disk" in codes(answer)


def test_vfs_that_can_be_made_are_no_never() -> None:
    """Whether they would be of that model is not known."""
    answer = place(node("two-socket-x710"), asked(vm(vf=100)))

    assert answer.verdict is Verdict.UNKNOWN
    assert "VFs that 0000:3b:00.0" in next(one.message for one in answer.findings if one.code == "no-fitting-device")


def test_a_policy_means_the_vfs_of_its_ports() -> None:
    policy = """
kind: SriovNetworkNodePolicy
metadata: {name: p}
spec: {resourceName: fast, nicSelector: {vendor: "8086", rootDevices: ["0000:3b:00.0"]}}
---
kind: SriovNetwork
metadata: {name: net, namespace: default}
spec: {resourceName: fast}
"""
    wired = vm("networks: [{name: n, multus: {networkName: net}}], "
               "domain: {devices: {interfaces: [{name: n, sriov: {}}]}}")  # fmt: skip

    one, several = asked(wired, policy), asked(vm("", {"openshift.io/fast": 100}), policy)

    assert [(want.name, want.quantity) for want in one.demand.wants] == [("openshift.io/fast", 1)]
    assert counted(place(node("two-socket-x710"), one)) == ("yes", 4, 4)
    assert place(node("two-socket-x710"), several).verdict is Verdict.NOT_NOW


def test_what_is_not_said_is_unknown_and_never_guessed() -> None:
    answer = place(node("hgx-h100"), asked(vm("", {"nvidia.com/GH100_H100_SXM5": 1})))

    assert counted(answer) == ("unknown", 0, None)
    assert "resource-unmapped" in codes(answer)
    assert place(node("tesla-t4"), asked(vm(mdev=1))).verdict is Verdict.UNKNOWN
    claimed = vm("resourceClaims: [{name: c}]", h100=1)
    assert place(node("hgx-h100"), asked(claimed)).verdict is Verdict.UNKNOWN


def test_what_is_known_forbids_whatever_else_is_not_known() -> None:
    assert place(node("vmd"), asked(vm("", {"x.com/y": 1}, h100=1))).verdict is Verdict.NEVER


def test_a_resource_is_what_the_command_line_says() -> None:
    said = asked(vm("", {"x.com/y": 1}), said=("x.com/y=class=gpu numa=0",))

    assert counted(place(node("hgx-h100"), said)) == ("yes", 4, 4)
    with pytest.raises(BadInput, match="names no devices"):
        asked(vm(h100=1), said=("x.com/y",))
    with pytest.raises(BadInput, match="no selector"):
        asked(vm(h100=1), said=("x.com/y=colour=red",))


def test_a_node_state_says_what_it_offers_and_how_much() -> None:
    state = """
apiVersion: passgate.dev/v1
kind: NodeState
metadata: {name: gpus}
spec:
  offer: [{resource: units.example.com/gpu, match: {id: "10de:2330"}, limit: 3}]
"""

    answer = place(node("hgx-h100"), asked(vm("", {"units.example.com/gpu": 1}), state))
    short = place(node("hgx-h100"), asked(vm("", {"units.example.com/gpu": 4}), state))

    assert counted(answer) == ("yes", 3, 3)
    assert counted(short) == ("never", 0, 0)
    assert short.findings[0].message == "the NodeState gpus offers 3 of units.example.com/gpu, and the VM asks for 4"


def test_a_limit_is_that_of_the_node() -> None:
    state = """
apiVersion: passgate.dev/v1
kind: NodeState
metadata: {{name: {name}, nodes: {{names: [{name}]}}}}
spec:
  offer: [{{resource: units.example.com/gpu, match: {{id: "10de:2330"}}, limit: {limit}}}]
"""
    both = "\n---\n".join(state.format(name=name, limit=limit) for name, limit in (("n1", 2), ("other", 5)))

    answers = [
        counted(place(replace(node("hgx-h100"), name=name), asked(vm("", {"units.example.com/gpu": 1}), both)))
        for name in ("n1", "other", "third")
    ]

    assert answers == [("yes", 2, 2), ("yes", 5, 5), ("never", 0, 0)]


def test_a_card_with_all_its_functions_is_judged_as_one() -> None:
    devices = '[{"resource": "x.com/gpu", "functions": "all"}]'
    one = vm("", {"x.com/gpu": 1})
    whole = Object({**one.value, "metadata": {"name": "v", "annotations": {"passgate.dev/devices": devices}}})

    answer = place(node("consumer-gpu"), asked(whole, said=("x.com/gpu=id=10de:1e04",)))

    assert answer.verdict is Verdict.NOT_NOW
    assert {"group-not-viable", "not-bound-to-vfio"} <= codes(answer)
    assert {one.subject for one in answer.findings if one.code == "not-bound-to-vfio"} == {
        f"0000:01:00.{number}" for number in (1, 2, 3)
    }


def test_one_numa_node_holds_fewer() -> None:
    both, one = asked(vm(h100=3)), asked(vm(h100=3), same_numa=True)

    assert counted(place(node("hgx-h100"), both)) == ("yes", 2, 2)
    assert counted(place(node("hgx-h100"), one)) == ("yes", 2, 2)
    assert counted(place(node("hgx-h100"), asked(vm(h100=8)))) == ("yes", 1, 1)
    none = place(node("hgx-h100"), asked(vm(h100=8), same_numa=True))
    assert counted(none) == ("never", 0, 0)
    assert (
        "cannot be put together so that one VM has all that it asks for, on one NUMA node" in none.findings[0].message
    )


def test_a_stale_snapshot_knows_no_yes() -> None:
    old = node("hgx-h100", origin=Origin("2026-01-01T00:00:00Z"))

    assert counted(place(old, asked(vm(h100=1)))) == ("unknown", 0, 8)
    held = replace(old, held={PciAddress.parse("0000:1a:00.0"): "it is 1"})
    assert counted(place(held, asked(vm(h100=8)))) == ("unknown", 0, 1), "it may be free by now"
    assert place(old, asked(vm(h100=9))).verdict is Verdict.NEVER, "cards do not come by themselves"
    assert place(old, asked(vm(h100=1))._replace(max_age=None)).verdict is Verdict.YES


def test_a_recording_that_missed_devices_says_no_never() -> None:
    partly = node("vmd")
    unread = replace(partly.machine, unread=(("/sys/bus/pci/devices/0000:01:00.0", "Permission denied"),))

    assert place(replace(partly, machine=unread), asked(vm(h100=1))).verdict is Verdict.UNKNOWN


def test_a_device_by_its_address() -> None:
    annotations = '{passgate.dev/devices: \'[{"address": "0000:1a:00.0"}]\'}'
    one = Object({**vm().value, "metadata": {"name": "v", "annotations": yaml.safe_load(annotations)}})

    assert counted(place(node("hgx-h100"), asked(one))) == ("yes", 1, 1)
    assert place(node("hgx-h100", "0000:1a:00.0"), asked(one)).verdict is Verdict.NOT_NOW
    assert place(node("vmd"), asked(one)).verdict is Verdict.NEVER


NODE = {
    "kind": "Node",
    "metadata": {"name": "n", "labels": {"pool": "ml", "cores": "64"}},
    "spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]},
    "status": {"allocatable": {"memory": "64Gi", "cpu": "8", H100: "4"}},
}
TOLERATED = "tolerations: [{key: gpu, operator: Exists}]"
AFFINITY = (
    "affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: "
    "{{nodeSelectorTerms: [{{matchExpressions: [{}]}}]}}}}}}"
)


@pytest.mark.parametrize(
    ("spec", "verdict", "what"),
    [
        ("", "notNow", "does not tolerate its taint gpu=yes:NoSchedule"),
        (TOLERATED, "yes", ""),
        ("tolerations: [{operator: Exists}]", "yes", ""),
        ("tolerations: [{key: gpu, value: 'no'}]", "notNow", "taint"),
        (f"nodeSelector: {{pool: edge}}, {TOLERATED}", "never", "wants the label pool=edge, and the node has 'ml'"),
        (f"nodeSelector: {{pool: ml, kubernetes.io/hostname: n}}, {TOLERATED}", "yes", ""),
        (f"{AFFINITY.format('{key: pool, operator: In, values: [ml, x]}')}, {TOLERATED}", "yes", ""),
        (f"{AFFINITY.format('{key: pool, operator: NotIn, values: [ml]}')}, {TOLERATED}", "never", "affinity"),
        (
            f"{AFFINITY.format('{key: cores, operator: Gt, values: [`32`]}').replace('`', chr(39))}, {TOLERATED}",
            "yes",
            "",
        ),
        (f"{AFFINITY.format('{key: none, operator: Exists}')}, {TOLERATED}", "never", "affinity"),
        (f"{AFFINITY.format('{key: none, operator: DoesNotExist}')}, {TOLERATED}", "yes", ""),
        (f"domain: {{memory: {{guest: 128Gi}}}}, {TOLERATED}", "never", "has 64Gi of memory in all"),
    ],
)
def test_what_the_scheduler_asks_is_read_in_the_node_object(spec: str, verdict: str, what: str) -> None:
    given = asked(vm(spec, h100=1))._replace(nodes={"n": NODE})

    answer = place(node("hgx-h100"), given)

    assert str(answer.verdict) == verdict
    assert any(what in one.message for one in answer.findings if one.code == "node-unfit") is bool(what)
    assert "node-not-given" not in codes(answer)


def test_a_cordoned_node_and_a_plugin_with_too_few_are_not_now() -> None:
    cordoned: Mapping[str, Any] = {**NODE, "spec": {"unschedulable": True}}

    assert place(node("hgx-h100"), asked(vm(h100=1))._replace(nodes={"n": cordoned})).verdict is Verdict.NOT_NOW
    few = asked(vm(TOLERATED, h100=5))._replace(nodes={"n": NODE})
    answer = place(node("hgx-h100"), few)
    assert answer.verdict is Verdict.NOT_NOW
    assert "kubelet offers 4 of nvidia.com/H100, and the VM asks for 5" in {one.message for one in answer.findings}


def test_without_a_node_object_it_is_said() -> None:
    assert "node-not-given" in codes(place(node("hgx-h100"), asked(vm("nodeSelector: {pool: x}", h100=1))))


def test_node_objects_are_read_as_kubectl_prints_them() -> None:
    listed = json.dumps({"kind": "List", "items": [NODE, {"kind": "Pod", "metadata": {"name": "p"}}]})
    as_yaml = yaml.safe_dump({**NODE, "metadata": {"name": "n1"}})

    assert read_node_objects(listed.encode(), "nodes.json") == {"n": NODE}
    assert list(read_node_objects(as_yaml.encode(), "nodes.yaml")) == ["n1"]
    for text in (b"{}", b"kind: Pod", b"[1]"):
        with pytest.raises(BadInput, match="bad-nodes"):
            read_node_objects(text, "nodes.json")


def test_more_resources_than_can_be_counted_have_no_least() -> None:
    many = {f"x.com/r{number}": 1 for number in range(14)}
    said = tuple(f"{name}=gpu" for name in many)

    answer = place(node("hgx-h100"), asked(vm("", many), said=said))

    assert counted(answer) == ("never", 0, 0), "eight are too few for fourteen"
    assert (
        counted(place(node("two-socket-x710"), asked(vm("", many), said=tuple(f"{name}=nic" for name in many))))[1] == 0
    )


def test_a_demand_without_devices_has_no_wants() -> None:
    assert asked(vm()).demand == Demand("v", (), {"domain": {"resources": {"limits": {}}}})
