"""Findings about who holds a device: what kubelet granted, and who has it open."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

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
    title="The device is granted to a pod that is not on the node any more",
    cause=(
        "Kubelet keeps the grants of pods in its checkpoint, and takes out those of gone pods only when it grants "
        "something the next time, or restarts."
    ),
    hint="nothing to do: kubelet frees it with the next grant",
    remedy="If it stays although other pods get devices, look into kubelet's log, and restart kubelet.",
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
    remedy="`systemctl status kubelet` tells whether it runs; it writes the record anew when it starts.",
)

KINDS: tuple[FindingKind, ...] = (GRANTED_TWICE, HOLDERS_DISAGREE, GRANT_OF_GONE_POD, RECORD_OF_EARLIER_BOOT)
