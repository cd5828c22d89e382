"""What keeps a VM from starting and is seen in its objects alone; and the step that failed where no text is known."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity
from hostdev.findings.trouble import Trouble

HOTPLUG_DISK_BESIDE_DEVICE = FindingKind(
    code="hotplug-disk-beside-device",
    severity=Severity.WARNING,
    title="A hot-pluggable disk keeps a host device from the VM",
    cause=(
        "For a volume that is marked `hotpluggable` in the VM's spec, or is plugged in as a block device, KubeVirt "
        "sets the device rules of the container anew (cgroup v2), and loses those for VFIO. Libvirt finds no VFIO "
        "then, and says that the host does not support passthrough, which it does."
    ),
    hint="take hotpluggable out of the volume, or upgrade KubeVirt",
    remedy="Plug the disk in by `virtctl addvolume` once the VM runs, or make it an ordinary disk of the spec.",
    issues=("kubevirt/kubevirt#17124", "harvester/harvester#10029"),
    mended=("KubeVirt 1.6.6", "KubeVirt 1.7.4", "KubeVirt 1.8.3"),
)

KINDS: tuple[FindingKind, ...] = (HOTPLUG_DISK_BESIDE_DEVICE,)

_DESCRIBE_VMI, _DESCRIBE_POD = "kubectl describe vmi VM", "kubectl describe pod POD"

VMI_REFUSED = Trouble(
    code="vmi-refused",
    title="KubeVirt, or a webhook, refuses the VMI",
    cause="The VM was accepted, and the VMI that is made of it was not; KubeVirt tries again and again.",
    hint="change in the VM what the message names",
    remedy="`passgate lint VM.yaml --kubevirt RELEASE` tells everything that is refused, with its place.",
    look="kubectl describe vm VM",
)
POD_NOT_SCHEDULED = Trouble(
    code="pod-not-scheduled",
    title="The scheduler finds no node for the VM's pod",
    cause="No node fits what the pod asks for: resources, taints, selectors, volumes. The message counts the nodes.",
    hint="compare what the message names with `kubectl describe node`",
    remedy="Each part of the message is a number of nodes and what they lack.",
    look=_DESCRIBE_POD,
)
POD_NOT_CREATED = Trouble(
    code="pod-not-created",
    title="KubeVirt cannot make the VM's pod",
    cause="The API server, a quota, the level of the namespace or a policy refuses the pod; KubeVirt tries again.",
    hint="change what the message names: the quota, the namespace, the policy, or the VM",
    remedy="The message names who refuses, and which field.",
    look=_DESCRIBE_VMI,
)
POD_REJECTED = Trouble(
    code="pod-rejected",
    title="Kubelet refuses the VM's pod, or cannot make its sandbox",
    cause="The pod came to a node, and kubelet or its network plugin could not give it what it asks for.",
    hint="read the message: kubelet hands on what the device plugin or the network plugin said",
    remedy="A pod that was rejected stays Failed; with `runStrategy: Always` the VM gets a new one.",
    look=_DESCRIBE_POD,
)
NODE_NOT_READY = Trouble(
    code="node-not-ready",
    title="The node of the VM's pod is not ready",
    cause=(
        "Kubelet of that node reports trouble, or nothing at all: it was stopped, the node is down or cut off. A pod "
        "that was placed there starts no container until kubelet is back."
    ),
    hint="look at the node: is it up, and does its kubelet run",
    remedy=(
        "1. `kubectl describe node NODE` has the condition Ready with its reason.\n"
        "2. On the node `systemctl status kubelet` and `journalctl -u kubelet -b`.\n"
        "3. A node that does not come back: delete its object, so that the VM is started on another one. Its devices "
        "stay with the old pod until the node is known to be off."
    ),
    look="kubectl describe node NODE",
)
CONTAINER_NOT_CREATED = Trouble(
    code="container-not-created",
    title="Kubelet cannot make the container compute",
    cause=(
        "The device plugin gave something that the node does not have, or refused it right before the start; or an "
        "image or a volume cannot be had."
    ),
    hint="read the message; what names a device comes from its plugin on that node",
    remedy="Kubelet tries again by itself; the device stays given to the pod meanwhile.",
    look=_DESCRIBE_POD,
)
DEVICE_UNHEALTHY = Trouble(
    code="device-unhealthy",
    title="The device of a running pod is unhealthy",
    cause=(
        "The device plugin lists a device that a pod has as unhealthy: its driver has changed, it has left the bus, or "
        "the plugin's own check fails. Nothing ends the pod for it."
    ),
    hint="look at the device on its node, and at the log of its plugin",
    remedy="`passgate node doctor DEVICE` on the node tells what has changed; the VM keeps a device that may not work.",
    look="passgate node doctor DEVICE",
)
DEVICE_NOT_GIVEN = Trouble(
    code="device-not-given",
    title="The pod runs without the device that it asks for",
    cause=(
        "Where a resource stands in the Node's capacity and no plugin serves it any more, for example after kubelet's "
        "checkpoint was lost, or where a pod was put on a node past the scheduler, kubelet starts it without a device."
    ),
    hint="see that the resource's device plugin runs on that node, and delete the VM's pod",
    remedy="`kubectl describe node NODE` shows the resource; `kubectl get pods -A -o wide` where its plugin is.",
    look="kubectl describe node NODE",
)
SIDECAR_NOT_IN_POD = Trouble(
    code="sidecar-not-in-pod",
    title="The VM asks for Passgate's sidecar, and its pod has none",
    cause=(
        "The annotation is not on the VMI (of a VM it belongs into spec.template.metadata), the feature gate `Sidecar` "
        "was closed when the pod was made, or the policy that adds the sidecar for a Plugin is not installed."
    ),
    hint="put hooks.kubevirt.io/hookSidecars into spec.template.metadata.annotations, and start the VM anew",
    remedy=(
        "`passgate lint VM.yaml` finds annotations in the wrong place. `kubectl get kubevirt -A -o yaml` shows the "
        "gates; `kubectl get mutatingadmissionpolicies` the policy. A pod that is there is not changed any more."
    ),
    look="passgate lint VM.yaml",
)
SIDECAR_NOT_RUNNING = Trouble(
    code="sidecar-not-running",
    title="The container of the sidecar does not run",
    cause="Its image cannot be pulled, it may not start as it is configured, or it has ended with an error.",
    hint="read what its container and its log say",
    remedy="`kubectl logs POD -c hook-sidecar-0` has a sentence for each way it can end; its image must fit the node.",
    look="kubectl logs POD -c hook-sidecar-0",
)
AGENT_NOT_ON_NODE = Trouble(
    code="agent-not-on-node",
    title="No node agent runs where the VM's pod is, and no policy wrote the allocation file",
    cause=(
        "A sidecar does not see what kubelet gave to `compute`: the agent of its node, or the policy's postStart in "
        "its pod, must write it down for it. Here is neither, so the sidecar waits and refuses."
    ),
    hint="let the DaemonSet passgate-agent run on that node, or install the policy and start the VM anew",
    remedy=(
        "`kubectl get ds -A -l app.kubernetes.io/name=passgate` shows how many nodes it wants and has; its "
        "nodeSelector, or what keeps its pod from being ready, stands in `kubectl describe`."
    ),
    look="kubectl get pods -A -o wide -l app.kubernetes.io/name=passgate",
)
HOOK_NOT_ANSWERED = Trouble(
    code="hook-not-answered",
    title="A hook did not answer KubeVirt, or not as it must",
    cause="KubeVirt calls each hook while it makes the domain; one that hangs, ends or fails stops the start.",
    hint="read the log of the hook's container",
    remedy="`passgate-hook rehearse --vmi FILE` plays the calls without a cluster.",
    look="kubectl logs POD -c hook-sidecar-0",
)
DEVICE_REFUSED = Trouble(
    code="device-held-back",
    title="The gate refuses a device",
    cause="The sidecar, or the agent's node hook, saw on the host that the device must not go to this VM.",
    hint="read the sentence; `passgate node doctor DEVICE` on the node tells all of it",
    remedy="`passgate node doctor DEVICE` names what is in the way, and the command that takes it away.",
    look="passgate node doctor DEVICE",
)
DOMAIN_NOT_MADE = Trouble(
    code="domain-not-made",
    title="KubeVirt or libvirt does not make the domain",
    cause="What KubeVirt makes of the VMI, or what a hook made of that, is refused before QEMU is started.",
    hint="read the message; `passgate node explain` knows many of them",
    remedy="`kubectl logs POD -c compute` has the message with what stood before it.",
    look="kubectl logs POD -c compute",
)
START_FAILED = Trouble(
    code="start-failed",
    title="The VM was not started, for a reason that is not known here",
    cause="The message is none of those that Passgate knows.",
    hint="read the message, and the last lines of the log of compute",
    remedy="`passgate why --collect DIRECTORY VM` gathers what a bug report needs, without secrets.",
    look="kubectl logs POD -c compute",
)
LAUNCHER_ENDED = Trouble(
    code="launcher-ended",
    title="virt-launcher has ended by itself",
    cause="It panicked or ended with an error; the lines before its end tell why, where anything does.",
    hint="read the last lines of the log of compute",
    remedy="`kubectl logs POD -c compute --tail=100`; of a pod that is gone the events of the VMI are what is left.",
    look="kubectl logs POD -c compute",
)
LAUNCHER_KILLED = Trouble(
    code="launcher-killed",
    title="The VM's container was killed for its memory",
    cause=(
        "With a passed-through device all memory of the guest is in use from the start. Where the pod's limit does not "
        "have room for it and for QEMU itself, the kernel ends the container."
    ),
    hint="leave memory requests and limits out, so that they follow the guest's memory",
    remedy="`passgate lint VM.yaml` tells whether the VM overcommits its memory.",
    look="passgate lint VM.yaml",
)

STEPS = (
    *(
        VMI_REFUSED,
        POD_NOT_CREATED,
        POD_NOT_SCHEDULED,
        POD_REJECTED,
        NODE_NOT_READY,
        CONTAINER_NOT_CREATED,
        DEVICE_UNHEALTHY,
        DEVICE_NOT_GIVEN,
    ),
    *(SIDECAR_NOT_IN_POD, SIDECAR_NOT_RUNNING, AGENT_NOT_ON_NODE, HOOK_NOT_ANSWERED, DEVICE_REFUSED),
    *(DOMAIN_NOT_MADE, START_FAILED, LAUNCHER_ENDED, LAUNCHER_KILLED),
)
"""What is seen in objects, or names no more than the step: no text leads to these."""
GENERIC = frozenset(
    one.code for one in (POD_REJECTED, CONTAINER_NOT_CREATED, DOMAIN_NOT_MADE, START_FAILED, LAUNCHER_ENDED)
)
"""Those that only name the step."""
