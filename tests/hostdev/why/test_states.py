"""A VM in time: pods and VMIs of before, migrations, tries that failed and are over, VMs that are stopped."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from hostdev.why.dump import File, read_dump
from hostdev.why.item import Result
from hostdev.why.subject import parse_name
from hostdev.why.why import Why, explain_vm
from tests.hostdev.why.cases import (
    ANSWERED,
    DEFINE,
    GROUP,
    HOST_DEVICES,
    MISSING,
    PLAIN,
    POD,
    REFUSED,
    RUNNING,
    SCHEDULED,
    SERVING,
    SYNC,
    T4,
    agent,
    event,
    hook_log,
    plain_vmi,
    recorded,
    vm,
    vmi,
    without_policy,
)


def explain(*objects: Mapping[str, Any], vm: str = "withpol", namespace: str = "", **logs: str) -> Why:
    files = [File("objects.json", json.dumps(list(objects)).encode())]
    files += [File(name.replace("__", "/"), text.encode()) for name, text in logs.items()]
    return explain_vm(read_dump("the dump", files), parse_name(vm, namespace))


def results(why: Why) -> dict[str, str]:
    return {str(item.check): str(item.result) for item in why.items}


def first(why: Why) -> tuple[str, str]:
    return (str(why.first.check), why.first.finding.code) if why.first and why.first.finding else ("", "")


def other_pod(suffix: str, time: str, **status: Any) -> dict[str, Any]:
    pod = copy.deepcopy(POD[0])
    pod["metadata"] |= {"name": f"virt-launcher-withpol-{suffix}", "creationTimestamp": time, "uid": f"uid-{suffix}"}
    pod["status"] |= status
    return pod


def test_what_is_over_does_not_count() -> None:
    """The hook refused at first, and then libvirt was given a domain."""
    old = event(SCHEDULED, "SyncFailed", SYNC + MISSING, "2026-11-27T19:14:40Z")
    new = event(SCHEDULED, "SyncFailed", SYNC + GROUP, "2026-11-27T19:15:40Z")

    assert first(explain(SCHEDULED, *POD, old, new)) == ("started", "group-not-viable")
    assert first(explain(SCHEDULED, *POD, new, old)) == ("started", "group-not-viable")


def test_what_came_again_counts() -> None:
    """The same two the other way round: the last try was refused by the hook."""
    old = event(SCHEDULED, "SyncFailed", SYNC + GROUP, "2026-11-27T19:14:40Z")
    new = event(SCHEDULED, "SyncFailed", SYNC + MISSING, "2026-11-27T19:15:40Z")

    assert first(explain(SCHEDULED, *POD, old, new)) == ("file", "allocation-missing")


def test_the_launcher_that_gave_up_does_not_hide_why() -> None:
    refused = event(SCHEDULED, "SyncFailed", SYNC + REFUSED, "2026-11-27T19:14:40Z")
    panic = "panic: timed out waiting for domain to be defined\n"

    assert first(explain(vmi(phase="Failed"), *POD, refused, compute=panic)) == ("gate", "group-not-viable")
    assert first(explain(vmi(phase="Failed"), *POD, compute=panic)) == ("defined", "domain-not-defined")


def test_an_answer_of_the_sidecar_is_newer_than_its_refusal() -> None:
    refused = event(SCHEDULED, "SyncFailed", SYNC + MISSING, "2026-11-27T19:14:20Z")

    why = explain(SCHEDULED, *POD, refused, sidecar=hook_log(SERVING, ANSWERED))

    assert first(why) == ("", "")
    assert results(why)["hook"] == "PASS"


def test_events_of_another_vmi_of_that_name_do_not_count() -> None:
    before = copy.deepcopy(SCHEDULED)
    before["metadata"]["uid"] = "another-uid"

    why = explain(SCHEDULED, *POD, event(before, "SyncFailed", SYNC + GROUP))

    assert first(why) == ("", "")


def test_the_vmi_that_is_gone_still_speaks() -> None:
    """With runStrategy Always there is a moment without a VMI: its events are there."""
    why = explain(vm(SCHEDULED, printableStatus="CrashLoopBackOff"), event(SCHEDULED, "SyncFailed", SYNC + DEFINE))

    assert first(why)[0] == "defined"


def test_a_vm_that_is_stopped_is_just_stopped() -> None:
    stopped = vm(SCHEDULED, printableStatus="Stopped")
    stopped["spec"]["runStrategy"] = "Halted"

    why = explain(stopped, event(SCHEDULED, "SyncFailed", SYNC + DEFINE))

    assert first(why) == ("", "")
    assert any("the VM is stopped" in item.message for item in why.items)
    assert any("before it was stopped: " in note for note in why.notes)
    assert int(why.exit_code) == 4


def test_the_newest_pod_is_looked_at_and_the_older_ones_told() -> None:
    old = other_pod(
        "aaaaa",
        "2026-11-27T18:00:00Z",
        phase="Failed",
        reason="UnexpectedAdmissionError",
        message="Pod was rejected: x",
    )
    new = other_pod("bbbbb", "2026-11-27T19:14:25Z")

    why = explain(SCHEDULED, old, new)

    assert why.subject.pod_name == "virt-launcher-withpol-bbbbb"
    assert results(why)["allocated"] == "PASS"
    assert any("virt-launcher-withpol-aaaaa on vm: Failed (UnexpectedAdmissionError)" in note for note in why.notes)


@pytest.mark.parametrize("node", ["other", "vm"])
def test_the_target_of_a_migration_is_not_the_pod(node: str) -> None:
    source = other_pod("aaaaa", "2026-11-27T18:00:00Z")
    target = other_pod("bbbbb", "2026-11-27T19:14:25Z")
    target["spec"]["nodeName"] = node
    state = {"sourceNode": "vm", "targetNode": node, "targetPod": "virt-launcher-withpol-bbbbb"}

    why = explain(vmi(phase="Running", status={"migrationState": state}), source, target)

    assert why.subject.pod_name == "virt-launcher-withpol-aaaaa"
    assert int(why.exit_code) == 0
    assert f"it is being migrated from vm to {node}" in why.notes


def test_pods_that_attach_volumes_are_not_the_vms() -> None:
    helper = other_pod("ccccc", "2026-11-27T20:00:00Z")
    helper["metadata"] |= {"name": "hp-volume-xyz", "labels": {"kubevirt.io": "hotplug-disk"}}

    assert explain(SCHEDULED, *POD, helper).subject.pod_name == "virt-launcher-withpol"


def test_vms_with_names_that_begin_alike_are_kept_apart() -> None:
    other = vmi("withpol-2")
    other["metadata"]["uid"] = "other"
    reason = "vfio 0000:3d:00.0: group 35 is not viable"
    line = {"component": "virt-launcher", "level": "error", "msg": "Failed to sync vmi", "name": "withpol-2"}
    log = json.dumps({**line, "reason": reason}) + "\n"

    why = explain(SCHEDULED, *POD, other, event(other, "SyncFailed", SYNC + DEFINE), some_log=log)

    assert first(why) == ("", "")
    assert first(explain(SCHEDULED, *POD, other, vm="withpol-2", some_log=log)) == ("started", "group-not-viable")


def test_a_log_that_may_be_anybodys_is_not_used() -> None:
    other = vmi("another")
    log = "vfio 0000:3d:00.0: group 35 is not viable\n"

    why = explain(SCHEDULED, *POD, other, log=log)

    assert first(why) == ("", "")
    assert any("not looked at, for it may be another VM's: log" in note for note in why.notes)
    assert first(explain(SCHEDULED, *POD, log=f"qemu: {log}"))[0] == "started"


@pytest.mark.parametrize(
    "name",
    [
        "virt-launcher-withpol.log",
        "virt-launcher-withpol-compute.log",
        "virt-launcher-withpol_compute.txt",
        "pods__virt-launcher-withpol__compute__logs__current.log",
        "compute",
    ],
)
@pytest.mark.parametrize("stamp", ["", "2026-11-27T19:14:31.123456789Z ", "2026-11-27T19:14:31.1+01:00 stderr F "])
def test_logs_have_any_name(name: str, stamp: str) -> None:
    line = {"component": "virt-launcher", "level": "error", "msg": GROUP}
    log = f"{stamp}{json.dumps(line)}\n"

    assert first(explain(SCHEDULED, *POD, **{name: log})) == ("started", "group-not-viable")


def test_lines_with_the_names_of_their_pods() -> None:
    log = f"[pod/virt-launcher-withpol/compute] {GROUP}\n[pod/virt-launcher-other/compute] LibvirtError(Code=27)\n"

    assert first(explain(SCHEDULED, *POD, everything=log)) == ("started", "group-not-viable")


@pytest.mark.parametrize(
    "line",
    [
        '{"component":"virt-launcher","level":"error","msg":"Child process (dmidecode -q) unexpected exit status 1"}',
        '{"component":"virt-launcher","level":"error","msg":"Unable to open monitor of qemu agent"}',
        '{"component":"virt-launcher","level":"warning","msg":"PCI_RESOURCE_X not set for resource x"}',
        "error: something",
    ],
)
def test_lines_that_look_bad_fail_nothing(line: str) -> None:
    assert first(explain(SCHEDULED, *POD, compute=f"{line}\n")) == ("", "")


def test_what_ran_into_a_quota_is_no_matter_of_devices() -> None:
    message = 'Error creating pod: pods "virt-launcher-withpol" is forbidden: exceeded quota: gpus'

    assert first(explain(vmi(phase="Pending", status={"nodeName": ""}), event(SCHEDULED, "FailedCreate", message))) == (
        "scheduled",
        "pod-not-created",
    )


def test_a_vm_tells_what_its_vmi_told() -> None:
    """KubeVirt copies the conditions of a VMI to its VM."""
    message = "0/3 nodes are available: 3 Insufficient nvidia.com/TU104GL_Tesla_T4."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}

    why = explain(vm(SCHEDULED, printableStatus="ErrorUnschedulable", conditions=[condition]))

    assert first(why) == ("scheduled", "resource-insufficient")


def test_an_agent_that_only_observes_writes_nothing() -> None:
    watching = agent("vm")
    watching["spec"]["containers"][0]["args"] = ["--kubelet-dir=/var/lib/kubelet", "--observe"]
    refused = event(SCHEDULED, "SyncFailed", SYNC + MISSING)

    why = explain(SCHEDULED, *without_policy(POD), watching, refused)

    assert first(why) == ("file", "agent-not-on-node")
    assert why.first is not None
    assert "--observe" in why.first.message


def test_a_network_without_a_resource_is_a_cause_of_the_spec() -> None:
    made = plain_vmi(
        domain={"devices": {"interfaces": [{"name": "fast", "sriov": {}}]}},
        spec={"networks": [{"name": "fast", "multus": {"networkName": "sriov"}}]},
    )
    network: dict[str, Any] = {
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "sriov", "namespace": "default"},
        "spec": {},
    }
    failed = event(
        made, "SyncFailed", SYNC + '"failed to create SR-IOV hostdevices: failed to create PCI address pool"'
    )

    assert first(explain(made, *PLAIN, network, failed, vm="plain")) == ("spec", "network-without-device")
    network["metadata"]["annotations"] = {"k8s.v1.cni.cncf.io/resourceName": "intel.com/x"}
    assert first(explain(made, *PLAIN, network, failed, vm="plain"))[0] == "defined"


def test_a_cause_of_the_spec_gives_way_to_what_is_told() -> None:
    made = vmi(domain={"resources": {"limits": {T4: "1"}, "requests": {"memory": "512Mi"}}})

    assert first(explain(made, *POD, event(made, "SyncFailed", SYNC + REFUSED))) == ("gate", "group-not-viable")
    running = made | {"status": {"phase": "Running", "nodeName": "vm"}}
    assert results(explain(running, *POD))["spec"] == "PASS"


@pytest.mark.parametrize(
    "name", ["topology-single-numa-node", "unregistered-none-held", "E10-prerr", "E18-cdino", "outof"]
)
def test_pods_that_kubelet_refuses(name: str) -> None:
    """Of other pods than a VM's, as they were recorded; here they are a VM's."""
    objects = recorded(name)
    pod = objects[0]
    pod["metadata"]["labels"] = {"kubevirt.io": "virt-launcher", "vm.kubevirt.io/name": "withpol"}

    assert first(explain(*objects))[0] == "allocated"


def test_a_device_that_is_not_there_although_the_pod_runs() -> None:
    pod = recorded("phantom-capacity")[0]
    pod["metadata"]["labels"] = {"kubevirt.io": "virt-launcher", "vm.kubevirt.io/name": "withpol"}
    node = {"kind": "Node", "metadata": {"name": "vm"}, "status": {"nodeInfo": {"kubeletVersion": "v1.36.2"}}}

    assert first(explain(pod, node)) == ("allocated", "device-not-given")
    assert results(explain(pod))["allocated"] == "UNKNOWN"


@pytest.mark.parametrize(
    ("state", "check"),
    [
        ({"waiting": {"reason": "PostStartHookError", "message": "exec failed"}}, "file"),
        ({"waiting": {"reason": "ErrImagePull", "message": "manifest unknown"}}, "allocated"),
        ({"terminated": {"reason": "StartError", "exitCode": 128, "message": "device access at 1 field"}}, "allocated"),
        ({"terminated": {"reason": "Error", "exitCode": 2, "message": "panic: nil pointer"}}, "started"),
    ],
)
def test_what_the_container_says_is_enough(state: dict[str, Any], check: str) -> None:
    pod = copy.deepcopy(POD[0])
    pod["status"]["containerStatuses"][0]["state"] = state

    assert first(explain(SCHEDULED, pod))[0] == check


@pytest.mark.parametrize(
    ("line", "check"),
    [
        (
            {
                "msg": "refused",
                "level": "warning",
                "code": "allocation-missing",
                "reason": f"allocation-missing: {T4}: 1",
            },
            "file",
        ),
        ({"msg": "refused", "level": "warning", "code": "group-not-viable", "reason": "group-not-viable: x"}, "gate"),
        ({"msg": "refused", "level": "warning", "code": "bad-annotation", "reason": "bad-annotation: x"}, "hook"),
        ({"msg": "late", "level": "error", "doing": "waiting for the allocation file"}, "file"),
        ({"msg": "late", "level": "error", "doing": "reading the host's devices"}, "hook"),
        ({"msg": "defect", "level": "error", "exception": "KeyError"}, "hook"),
    ],
)
def test_the_log_of_the_sidecar_is_enough(line: dict[str, str], check: str) -> None:
    assert first(explain(SCHEDULED, *POD, log=hook_log(SERVING, line)))[0] == check


def test_a_running_vm_passes_with_what_it_has() -> None:
    why = explain(RUNNING, *POD)

    assert [item.check for item in why.items if item.result is Result.FAIL] == []
    assert results(why)["arrived"] == "UNKNOWN"


DESCRIBED = """\
Name:         withpol
Namespace:    default
API Version:  kubevirt.io/v1
Kind:         VirtualMachineInstance
Status:
  Node Name:  vm
  Phase:      Scheduled
Events:
  Type     Reason      Age                From          Message
  ----     ------      ----               ----          -------
  Warning  SyncFailed  %s (x3 over 9m)    virt-handler  {hook}
  Warning  SyncFailed  %s                 virt-handler  {qemu}
"""


@pytest.mark.parametrize(("ages", "check"), [(("3m10s", "22s"), "started"), (("5s", "4m"), "file")])
def test_the_ages_of_a_description_say_which_try_was_the_last(ages: tuple[str, str], check: str) -> None:
    qemu = GROUP.replace("\\n", " ")
    text = DESCRIBED.format(hook=SYNC + MISSING, qemu=SYNC + qemu) % ages

    assert first(explain(*POD, vmi_txt=text))[0] == check


def test_commands_are_safe_to_paste() -> None:
    evil = vmi("$(reboot);x")

    why = explain(evil, vm="$(reboot);x")

    assert all("$(" not in re.sub(r"'[^']*'", "", item.command) for item in why.items)


def test_what_may_have_several_causes_is_not_given_one() -> None:
    """libvirt says this for four reasons; the text tells which ones they are, and the step is what failed."""
    why = explain(plain_vmi(), *PLAIN, event(plain_vmi(), "SyncFailed", SYNC + HOST_DEVICES), vm="plain")

    assert first(why) == ("started", "start-failed")
    assert why.first is not None
    assert why.first.finding is not None
    assert {"no-iommu", "vfio-module-missing"} <= set(why.first.one_of)
    assert "one of" in why.first.finding.hint
