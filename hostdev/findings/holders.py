"""Findings about who has a device: what kubelet granted, what processes have open."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

CHECKPOINT_UNREADABLE = FindingKind(
    code="checkpoint-unreadable",
    severity=Severity.ERROR,
    title="Kubelet's record of the devices it gave away cannot be read",
    cause=(
        "Kubelet's device manager keeps `device-plugins/kubelet_internal_checkpoint` in its directory. The file has "
        "gone, may not be read, or is not what kubelet writes; or the directory is not kubelet's. The node agent goes "
        "on with what it read last: pods that started since get no allocation file, and nothing is taken away from "
        "the others."
    ),
    hint="look at the file, and whether kubelet's directory is the one that is mounted",
    remedy=(
        "Compare `--kubelet-dir` with kubelet's `--root-dir`: where kubelet runs, `device-plugins/kubelet.sock` is "
        "beside the file. A file that stays unreadable is rewritten by kubelet when a device plugin tells of its "
        "devices, or a pod gets one. A record that was lost makes kubelet give devices of running pods away a second "
        "time, without a word: drain the node before anything else starts there. On a node where no device plugin has "
        "ever registered there is no such file, and nothing is told."
    ),
)

CHECKPOINT_ENTRY_UNREADABLE = FindingKind(
    code="checkpoint-entry-unreadable",
    severity=Severity.WARNING,
    title="What a device plugin answered to kubelet cannot be carried to the pod whole",
    cause=(
        "The plugin's answer in kubelet's checkpoint cannot be decoded; or two resources of one container set the "
        "same variable to different values, of which kubelet itself keeps only one; or a variable has a name or a "
        "value that no environment can hold."
    ),
    hint="request the resources in separate VMs, or name the devices with `address`",
    remedy=(
        "`passgate node who ADDRESS` shows which pod kubelet gave the device to. Two resources that share a variable "
        "need other names in the configuration of their plugin. Numbered variables (QAT0, VFIO_BDF0) are no problem: "
        "the agent gives the second one a number of its own."
    ),
)

PODRESOURCES_UNREACHABLE = FindingKind(
    code="podresources-unreachable",
    severity=Severity.INFO,
    title="Kubelet's PodResources API does not answer",
    cause=(
        "Kubelet serves the API at `pod-resources/kubelet.sock` in its directory, for root, as long as it runs. It is "
        "used to cross-check the checkpoint, and to see what DRA serves; without it allocations are carried all the "
        "same."
    ),
    hint="see whether kubelet runs, and whether its pod-resources directory is mounted",
    remedy=(
        "`systemctl status kubelet` tells whether it runs. Mount the directory, not the socket: kubelet makes a new "
        "socket whenever it starts."
    ),
)

KUBELET_DISAGREES = FindingKind(
    code="kubelet-disagrees",
    severity=Severity.WARNING,
    title="Kubelet's checkpoint and its PodResources API name different devices",
    cause=(
        "Both come from the same kubelet and should agree within a moment; what is told here was so for a second at "
        "least. A device that only the API has belongs to a pod whose entry was not written: the disk may be full. A "
        "device that only the checkpoint has is told only when kubelet has given something away since: until then it "
        "keeps the entries of pods that have ended, and nothing is wrong."
    ),
    hint="see which pods are on the node, and whether kubelet's disk is full",
    remedy=(
        "`crictl pods` or `kubectl get pods --field-selector spec.nodeName=NODE` shows the pods. Entries of pods that "
        "ended go when kubelet next gives a device away. Restarting kubelet reads the checkpoint anew; pods that run "
        "go on, but one whose container is just being restarted then may fail for good."
    ),
)

DRA_SERVES_RESOURCE = FindingKind(
    code="dra-serves-resource",
    severity=Severity.INFO,
    title="A resource in the limits of a VM is served by DRA, and not by a device plugin",
    cause=(
        "A DeviceClass has the resource's name as its `extendedResourceName`. Where no device plugin on the node "
        "offers the resource, the scheduler makes a resource claim of it (Kubernetes 1.36 does so by itself). Kubelet "
        "then writes nothing into its device checkpoint. Of Passgate's own driver the agent reads the record instead, "
        "and tells nothing; of another driver, or without the record, it has nothing to bring: the VM's sidecar finds "
        "no allocation and refuses."
    ),
    hint="name the claim in the VM's resourceClaims and hostDevices, or let a device plugin serve the resource",
    remedy=(
        "1. `kubectl get pod POD -o jsonpath='{.status.extendedResourceClaimStatus}'` shows the claim, and which "
        "resource it serves.\n"
        "2. With the claim in the VM's `resourceClaims` and in `gpus` or `hostDevices` (`claimName`, `requestName`), "
        "KubeVirt resolves the device by itself and puts it into the domain, where Passgate finds it.\n"
        "3. With the admission policy instead of the agent the container writes down its own variables, if the driver "
        "sets any in a [known dialect](../dialects.md).\n"
        "4. A device plugin that offers the resource on the node is preferred as long as the node has some of it "
        "allocatable."
    ),
)

DROP_FAILED = FindingKind(
    code="drop-failed",
    severity=Severity.ERROR,
    title="The allocation file could not be written into a pod's volume",
    cause=(
        "The operating system refused a step: the disk is full, the volume is read-only, the agent may not write "
        "there, or it has too many files open. The VM's sidecar finds no allocation file and refuses at its first "
        "call. The agent tries again; no part of a file is ever visible."
    ),
    hint="make room on kubelet's disk, or give the agent what it needs",
    remedy=(
        "`df` and `df -i` on kubelet's directory tell whether it is full. The agent runs as root with the capabilities "
        "CHOWN and DAC_OVERRIDE and needs kubelet's `pods` directory writable."
    ),
)

DROP_OBSTRUCTED = FindingKind(
    code="drop-obstructed",
    severity=Severity.ERROR,
    title="Something lies in a pod's volume where the allocation file belongs",
    cause=(
        "There is a link, a mount or another kind of file where a directory must be, a directory where the file must "
        "be, or somebody renames things there all the time; or there are so many names that a sidecar's folder may be "
        "among those that are not read. Only the pod itself can have put it there. The agent follows no link and "
        "touches nothing else; the other pods are served."
    ),
    hint="find out what writes into the volume, and start the pod anew",
    remedy=(
        "`ls -lR` of the volume below the pod's directory on the node shows what is there. A pod that plants links in "
        "its volumes is not to be trusted: look at its images."
    ),
)


GRANTED_TWICE = FindingKind(
    code="granted-twice",
    severity=Severity.ERROR,
    title="Kubelet granted one device, or two of one IOMMU group, to two pods",
    cause=(
        "Kubelet counts devices by resource and by the plugin's own names for them. Two resources that offer the same "
        "device, or devices of one IOMMU group, are counted apart, and each pod is promised what only one can have. "
        "The pod that opens the group second fails with `Device or resource busy`."
    ),
    hint="let only one resource offer the device, then start one of the two pods anew",
    remedy=(
        "`passgate node who DEVICE -o wide` tells both pods and their resources. Make the selectors of the device "
        "plugins exclude each other: one device in one resource, and all devices of one IOMMU group in one resource."
    ),
)

HOLDERS_DISAGREE = FindingKind(
    code="holders-disagree",
    severity=Severity.ERROR,
    title="The sources name different holders of the device",
    cause=(
        "Kubelet's record says which pod was granted the device, the open files of processes say which has it. Where "
        "they differ, a VM uses a device that was granted to another pod, or to nobody: it was named by an address, "
        "a privileged pod took it, or kubelet's record is not of now."
    ),
    hint="believe the process that has it open, and stop the one of the two that should not have it",
    remedy=(
        "A device that is to be used by a VM is granted by kubelet: put its resource into the VM's limits and ask for "
        "it by `resource`, not by `address`. Take it out of every resource if it is used by hand."
    ),
)

GRANT_OF_GONE_POD = FindingKind(
    code="grant-of-gone-pod",
    severity=Severity.WARNING,
    title="The device is granted to a pod that has ended, or is not on the node any more",
    cause=(
        "Kubelet keeps the grants of pods in its checkpoint, and takes out those of pods that have ended, completed or "
        "deleted, only when it grants something the next time. PodResources does not list them any more; the device "
        "is free for the next pod."
    ),
    hint="nothing to do: kubelet frees it with the next grant",
    remedy="If it stays although other pods get devices, look into kubelet's log, and restart kubelet.",
)

CLAIM_OF_GONE_POD = FindingKind(
    code="claim-of-gone-pod",
    severity=Severity.WARNING,
    title="A device is prepared for the resource claim of a pod that is gone",
    cause=(
        "Kubelet has no directory of the pod any more, and the driver was not asked to give the claim back: it was not "
        "there when the pod was deleted by force, or could not do it. Kubelet knows that it is due "
        "(`dra_manager_state`), and asks within a minute once the driver is there."
    ),
    hint="see whether passgate-claims runs on the node",
    remedy=(
        "1. `kubectl -n passgate get pods -o wide` shows the driver's pod of the node, and its log why a claim is not "
        "given back.\n"
        "2. Kubelet asks again by itself; the device is free for the next pod when the record is gone."
    ),
)

RECORD_OF_EARLIER_BOOT = FindingKind(
    code="record-of-earlier-boot",
    severity=Severity.WARNING,
    title="Kubelet's record was written before the node was booted",
    cause=(
        "The checkpoint names the boot that it was written in, and it is not this one. IOMMU groups and VFs may have "
        "other numbers now; what was granted then is no proof of who has a device today."
    ),
    hint="start kubelet, or ask again when it runs",
    remedy=(
        "`systemctl status kubelet` tells whether it runs. Kubelet 1.36 does not write down in which boot it wrote, so "
        "that this cannot be told there: kubelet itself goes by the old record until pods are given devices anew."
    ),
)

RECORD: tuple[FindingKind, ...] = (
    CHECKPOINT_UNREADABLE,
    CHECKPOINT_ENTRY_UNREADABLE,
    PODRESOURCES_UNREACHABLE,
    KUBELET_DISAGREES,
    DRA_SERVES_RESOURCE,
    DROP_FAILED,
    DROP_OBSTRUCTED,
)
"""About kubelet's record, and what the agent makes of it."""

HELD: tuple[FindingKind, ...] = (
    GRANTED_TWICE,
    HOLDERS_DISAGREE,
    GRANT_OF_GONE_POD,
    CLAIM_OF_GONE_POD,
    RECORD_OF_EARLIER_BOOT,
)
"""About who has a device."""

KINDS: tuple[FindingKind, ...] = (*RECORD, *HELD)
