"""Dumps of VMs that do not start, made from pods and events of a real API server and from texts of real failures."""

from __future__ import annotations

import copy
import json
from typing import Any, NamedTuple

from tests.house import ROOT

RECORDED = json.loads((ROOT / "tests/fixtures/why/recorded.json").read_text(encoding="utf-8"))
T4 = "nvidia.com/TU104GL_Tesla_T4"
HOOKS = '[{"image": "registry.example/passgate-hook:0.1.0"}]'
DEVICES = json.dumps([{"resource": T4, "name": "t4"}])
SYNC = "server error. command SyncVMI failed: "
GROUP = (
    "LibvirtError(Code=1, Domain=10, Message='internal error: QEMU unexpectedly closed the monitor "
    "(vm='default_withpol'): "
    '2026-11-27T19:14:40.1Z qemu-kvm: -device {"driver":"vfio-pci","host":"0000:3d:00.0","id":"ua-gpu-t4"}: '
    "vfio 0000:3d:00.0: group 35 is not viable\\nPlease ensure all devices within the iommu_group are bound to "
    "their vfio bus driver.')"
)
MEMLOCK = (
    "LibvirtError(Code=1, Domain=10, Message='internal error: qemu unexpectedly closed the monitor: qemu-kvm: -device "
    "vfio-pci,host=0000:3d:00.0: vfio 0000:3d:00.0: failed to setup container for group 35: memory listener "
    "initialization failed: Region pc.ram: vfio_container_dma_map(0x5, 0x0, 0x80000000, 0x7f) = -12 (Cannot allocate "
    "memory)')"
)
DEFINE = "LibvirtError(Code=27, Domain=10, Message='XML error: Attempted double use of PCI Address 0000:10:00.0')"
REFUSED = (
    '"rpc error: code = FailedPrecondition desc = group-not-viable: 0000:3d:00.0: group 35 is not viable: '
    '0000:3d:00.1 is on snd_hda_intel: passgate node bind 0000:3d:00.1"'
)
MISSING = (
    f'"rpc error: code = FailedPrecondition desc = allocation-missing: {T4}: 1 wanted, allocated and seen: nothing: '
    'put the resource into spec.domain.resources.limits, and let the agent or the policy pass it on"'
)
PANIC = (
    '{"component":"virt-launcher","level":"info","msg":"Collected all requested hook sidecar sockets",'
    '"timestamp":"2026-11-27T19:14:30.0Z"}\n'
    "panic: runtime error: invalid memory address or nil pointer dereference\n"
    "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1a2b3c4]\n\n"
    "goroutine 52 [running]:\nkubevirt.io/kubevirt/pkg/virt-launcher/virtwrap.(*LibvirtDomainManager)."
    "buildDevicesMetadata\n"
)
SOCKETS = "panic: Failed to collect all expected sidecar hook sockets within given timeout\n"


class Case(NamedTuple):
    """A dump, and what is the matter in it."""

    objects: tuple[dict[str, Any], ...]
    check: str
    """The first that fails; empty where none does."""
    code: str = ""
    vm: str = "withpol"
    logs: dict[str, str] = {}  # noqa: RUF012  never changed
    about: str = ""
    code_of_exit: int = 1


def recorded(name: str) -> tuple[dict[str, Any], ...]:
    """A pod and its events, as they were."""
    return (copy.deepcopy(RECORDED[name]["pod"]), *copy.deepcopy(RECORDED[name]["events"]))


def vmi(name: str = "withpol", phase: str = "Scheduled", **changes: Any) -> dict[str, Any]:
    """A VMI with one device that Passgate puts in."""
    spec: dict[str, Any] = {
        "domain": {
            "devices": {"disks": [{"name": "root", "disk": {"bus": "virtio"}}]},
            "memory": {"guest": "2Gi"},
            "resources": {"limits": {T4: "1"}},
        },
        "volumes": [{"name": "root", "containerDisk": {"image": "registry.example/fedora:40"}}],
    }
    domain = changes.pop("domain", {})
    spec["domain"] = {**spec["domain"], **domain}
    spec.update(changes.pop("spec", {}))
    annotations = {"hooks.kubevirt.io/hookSidecars": HOOKS, "passgate.dev/devices": DEVICES}
    status = {"phase": phase, "nodeName": "vm", "launcherContainerImageVersion": "v1.9.0", **changes.pop("status", {})}
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": RECORDED["vm-with-policy"]["pod"]["metadata"]["labels"]["kubevirt.io/created-by"],
            "creationTimestamp": "2026-11-27T19:14:20Z",
            "annotations": changes.pop("annotations", annotations),
        },
        "spec": spec,
        "status": {key: value for key, value in status.items() if value},
    }


def plain_vmi(phase: str = "Scheduled", **changes: Any) -> dict[str, Any]:
    """A VMI with a GPU of its spec, and nothing of Passgate."""
    devices = {"gpus": [{"name": "t4", "deviceName": T4}], "disks": [{"name": "root", "disk": {"bus": "virtio"}}]}
    domain = {"devices": devices, "resources": {}, **changes.pop("domain", {})}
    made = vmi("plain", phase, domain=domain, annotations={}, **changes)
    made["metadata"]["uid"] = RECORDED["vm-without-policy"]["pod"]["metadata"]["labels"]["kubevirt.io/created-by"]
    return made


def vm(of: dict[str, Any], **status: Any) -> dict[str, Any]:
    """The VM of which a VMI is made."""
    metadata = of["metadata"]
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": metadata["name"], "namespace": "default", "uid": "1c2d3e4f-0000-4000-8000-000000000001"},
        "spec": {
            "runStrategy": "Always",
            "template": {"metadata": {"annotations": metadata["annotations"]}, "spec": of["spec"]},
        },
        "status": status,
    }


def event(
    of: dict[str, Any], reason: str, message: str, time: str = "2026-11-27T19:15:00Z", **more: Any
) -> dict[str, Any]:
    """A warning about an object, as v1 has it."""
    about = {key: of["metadata"].get(key) for key in ("name", "namespace", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{about['name']}.{reason.lower()}.{len(message)}", "namespace": "default"},
        "involvedObject": {"kind": of["kind"], **about},
        "reason": reason,
        "message": message,
        "type": "Warning",
        "count": 3,
        "lastTimestamp": time,
        **more,
    }


def newer(old: dict[str, Any]) -> dict[str, Any]:
    """The same event as events.k8s.io/v1 has it, aggregated by a series."""
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": old["metadata"],
        "regarding": old["involvedObject"],
        "reason": old["reason"],
        "note": old["message"],
        "type": old["type"],
        "eventTime": "2026-11-27T19:14:50.000000Z",
        "series": {"count": 7, "lastObservedTime": old["lastTimestamp"].replace("Z", ".000000Z")},
    }


def agent(node: str, phase: str = "Running") -> dict[str, Any]:
    """The pod of a node agent."""
    labels = {"app.kubernetes.io/name": "passgate", "app.kubernetes.io/component": "agent"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"passgate-agent-{node}", "namespace": "passgate", "labels": labels},
        "spec": {"nodeName": node, "containers": [{"name": "agent", "image": "registry.example/passgate-node:0.1.0"}]},
        "status": {"phase": phase, "containerStatuses": [{"name": "agent", "ready": phase == "Running"}]},
    }


def kubevirt(*gates: str, version: str = "v1.9.0") -> dict[str, Any]:
    """The KubeVirt object."""
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "KubeVirt",
        "metadata": {"name": "kubevirt", "namespace": "kubevirt"},
        "spec": {"configuration": {"developerConfiguration": {"featureGates": list(gates)}}},
        "status": {"observedKubeVirtVersion": version},
    }


def without_policy(pods: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    """The pod as it is where the agent brings the file."""
    pod = copy.deepcopy(pods[0])
    pod["spec"]["containers"][0].pop("lifecycle", None)
    return (pod, *pods[1:])


def without_sidecar(pods: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    """The pod with compute alone."""
    pod = copy.deepcopy(pods[0])
    pod["spec"]["containers"] = pod["spec"]["containers"][:1]
    pod["status"]["containerStatuses"] = pod["status"]["containerStatuses"][:1]
    return (pod, *pods[1:])


def ended(pods: tuple[dict[str, Any], ...], **state: Any) -> tuple[dict[str, Any], ...]:
    """The pod after compute has ended."""
    pod = copy.deepcopy(pods[0])
    pod["status"]["phase"] = "Failed"
    pod["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 2, "reason": "Error", **state}}
    return (pod, *pods[1:])


def waiting(pods: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    """The pod before its containers are made."""
    pod = copy.deepcopy(pods[0])
    pod["status"]["phase"] = "Pending"
    for status in pod["status"]["containerStatuses"]:
        status["state"] = {"waiting": {"reason": "ContainerCreating"}}
        status.pop("allocatedResourcesStatus", None)
    return (pod, *pods[1:])


def hook_log(*lines: dict[str, Any]) -> str:
    """Lines of the sidecar's log."""
    usual = {"component": "passgate-hook", "level": "info", "pos": "main.py:80"}
    told = [
        {**usual, "timestamp": f"2026-11-27T19:14:{27 + index}.000001Z", **line} for index, line in enumerate(lines)
    ]
    return "".join(f"{json.dumps(line)}\n" for line in told)


SERVING = {"msg": "serving", "socket": "/var/run/kubevirt-hooks/hook-sidecar-0.sock", "mode": "hook"}
ANSWERED = {
    "msg": "answered",
    "vm": "default/withpol",
    "hook": "OnDefineDomain",
    "devices": ["ua-passgate-t4"],
    "pass": 1,
}
POD = recorded("vm-with-policy")
PLAIN = recorded("vm-without-policy")
RUNNING = vmi(phase="Running")
SCHEDULED = vmi()
POST_START = event(POD[0], "FailedPostStartHook", 'PostStartHook failed: command "/bin/sh -c …" exited with 1')
GATELESS = vm(vmi(phase=""), printableStatus="Stopped", conditions=[])
DENIED = (
    'Error creating virtual machine instance: admission webhook "virtualmachineinstances-create-validator.kubevirt.io" '
    "denied the request: sidecar feature gate is not enabled in kubevirt-config, invalid entry "
    "metadata.annotations.hooks.kubevirt.io/hookSidecars"
)
HOST_DEVICES = (
    "LibvirtError(Code=67, Domain=10, Message='unsupported configuration: host doesn't support passthrough of host PCI "
    "devices')"
)
NO_ADDRESS = SYNC + '"failed to create GPU host-devices: the number of GPU/s do not match the number of devices"'

NO_VF = (
    'Failed to create pod sandbox: rpc error: code = Unknown desc = plugin type="multus" failed (add): error adding '
    'container to network "sriov-net": SRIOV-CNI failed to load netconf: LoadConf(): VF pci addr is required'
)
LATE = '"rpc error: code = DeadlineExceeded desc = context deadline exceeded"'
CLOSED = "\"LibvirtError(Code=1, Domain=10, Message='internal error: QEMU unexpectedly closed the monitor')\""
ASLEEP = "[   10.000001] vfio-pci {}: Unable to change power state from D3cold to D0, device inaccessible\n"
NODE_LOST = {
    "kind": "Node",
    "metadata": {"name": "vm"},
    "status": {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]},
}

CASES: dict[str, Case] = {
    "insufficient resource": Case(recorded("vm-insufficient"), "scheduled", "resource-insufficient", "third", about=T4),
    "unexpected admission error": Case(
        recorded("vm-refused-by-plugin"), "allocated", "group-not-viable", "refused", about="0000:3d:00.1"
    ),
    "failed post start hook": Case((SCHEDULED, *POD, POST_START), "file", "post-start-failed"),
    "sidecar missing": Case((SCHEDULED, *without_sidecar(POD)), "sidecar", "sidecar-not-in-pod"),
    "file missing": Case(
        (SCHEDULED, *POD, event(SCHEDULED, "SyncFailed", SYNC + MISSING)), "file", "allocation-missing", about=T4
    ),
    "gate refused": Case(
        (SCHEDULED, *POD, event(SCHEDULED, "SyncFailed", SYNC + REFUSED)),
        "gate",
        "group-not-viable",
        about="0000:3d:00.0",
    ),
    "libvirt refused": Case((SCHEDULED, *POD, event(SCHEDULED, "SyncFailed", SYNC + DEFINE)), "defined"),
    "group not viable": Case(
        (SCHEDULED, *POD, event(SCHEDULED, "SyncFailed", SYNC + GROUP)),
        "started",
        "group-not-viable",
        about="0000:3d:00.0",
    ),
    "memlock": Case((SCHEDULED, *POD, event(SCHEDULED, "SyncFailed", SYNC + MEMLOCK)), "started", "memlock-not-raised"),
    "launcher panic": Case((vmi(phase="Failed"), *ended(POD)), "started", logs={"logs/compute.log": PANIC}),
    "wrong feature gate": Case(
        (vm(SCHEDULED), kubevirt("HostDevices"), event(vm(SCHEDULED), "FailedCreate", DENIED)), "gates", "sidecar-gate"
    ),
    "node without agent": Case(
        (SCHEDULED, *without_policy(POD), agent("other"), event(SCHEDULED, "SyncFailed", SYNC + MISSING)),
        *("file", "agent-not-on-node"),
        about="vm",
    ),
    "agent not ready": Case(
        (SCHEDULED, *without_policy(POD), agent("vm", "Pending"), event(SCHEDULED, "SyncFailed", SYNC + MISSING)),
        *("file", "agent-not-on-node"),
    ),
    "device node missing": Case(recorded("vm-device-node-missing"), "allocated", "", "nonode", about="/dev/vfio/35"),
    "device unhealthy": Case((RUNNING, *recorded("vm-device-unhealthy")), "allocated", "device-unhealthy"),
    "sockets missing": Case(
        (vmi(phase="Failed"), *ended(POD)), "sidecar", "hook-sockets-missing", logs={"launcher.txt": SOCKETS}
    ),
    "killed for memory": Case((vmi(phase="Failed"), *ended(POD, reason="OOMKilled")), "started", "launcher-killed"),
    "overcommit": Case(
        (
            vmi(domain={"resources": {"limits": {T4: "1"}, "requests": {"memory": "512Mi"}}}),
            *POD,
            event(SCHEDULED, "SyncFailed", SYNC + MEMLOCK),
        ),
        *("spec", "vfio-overcommit"),
    ),
    "plugin without variable": Case(
        (
            plain_vmi(domain={"devices": {"gpus": [{"name": "gpu", "deviceName": "nvidia.com/gpu"}]}}),
            *PLAIN,
            event(plain_vmi(), "SyncFailed", NO_ADDRESS),
        ),
        *("spec", "resource-without-address", "plain"),
    ),
    "hot-pluggable disk": Case(
        (
            plain_vmi(
                spec={"volumes": [{"name": "root", "dataVolume": {"name": "root", "hotpluggable": True}}]},
                status={"launcherContainerImageVersion": "v1.7.2"},
            ),
            *PLAIN,
            event(plain_vmi(), "SyncFailed", SYNC + HOST_DEVICES),
        ),
        *("spec", "hotplug-disk-beside-device", "plain"),
    ),
    "DRA driver not registered": Case(
        (
            SCHEDULED,
            *waiting(POD),
            event(
                POD[0],
                "FailedPrepareDynamicResources",
                "Failed to prepare dynamic resources: prepare dynamic resources: DRA driver gpu.nvidia.com is not "
                "registered",
            ),
        ),
        *("allocated", "dra-driver-missing"),
    ),
    "network without a device": Case(
        (SCHEDULED, *waiting(POD), event(POD[0], "FailedCreatePodSandBox", NO_VF)),
        *("allocated", "network-without-device"),
    ),
    "node not ready": Case((SCHEDULED, *waiting(POD), NODE_LOST), "allocated", "node-not-ready", about="node vm"),
    "call not answered in time": Case(
        (SCHEDULED, *POD, event(SCHEDULED, "SyncFailed", SYNC + LATE)),
        *("hook", "hook-late"),
        logs={"hook-sidecar-0.log": hook_log(SERVING, {"msg": "late", "level": "error", "doing": "reads the host"})},
    ),
    "not defined in time, after libvirt refused": Case(
        (vmi(phase="Failed"), *ended(POD, message="panic: timed out waiting for domain to be defined")),
        "started",
        logs={"compute.log": json.dumps({"component": "virt-launcher", "level": "error", "reason": HOST_DEVICES})},
    ),
    "kernel about the device of the allocation file": Case(
        (SCHEDULED, *POD, event(SCHEDULED, "SyncFailed", SYNC + CLOSED)),
        *("started", "device-asleep"),
        logs={"logs/allocation.env": "PCI_RESOURCE_X=0000:3d:00.0\n", "dmesg.txt": ASLEEP.format("0000:3d:00.0")},
    ),
    "kernel about another device": Case(
        (SCHEDULED, *POD, event(SCHEDULED, "SyncFailed", SYNC + CLOSED)),
        *("started", "qemu-ended"),
        logs={"logs/allocation.env": "PCI_RESOURCE_X=0000:3d:00.0\n", "dmesg.txt": ASLEEP.format("0000:99:00.0")},
    ),
    "healthy": Case((RUNNING, *POD), "", code_of_exit=0, logs={"hook-sidecar-0.log": hook_log(SERVING, ANSWERED)}),
    "healthy without a sidecar": Case((plain_vmi("Running"), *PLAIN), "", vm="plain", code_of_exit=0),
    "healthy after a refusal": Case((RUNNING, *POD, event(RUNNING, "SyncFailed", SYNC + MISSING)), "", code_of_exit=0),
    "not known": Case((SCHEDULED, *POD), "", code_of_exit=4),
    "stopped": Case(
        (vm(vmi(phase=""), printableStatus="Stopped") | {"spec": {**vm(SCHEDULED)["spec"], "runStrategy": "Halted"}},),
        "",
        code_of_exit=4,
    ),
}
