"""Findings about how kubelet is read, and about handing what it told to the pods."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

CHECKPOINT_UNREADABLE = FindingKind(
    code="checkpoint-unreadable",
    severity=Severity.ERROR,
    title="Kubelet's record of the devices it gave away cannot be read",
    cause=(
        "Kubelet's device manager keeps `device-plugins/kubelet_internal_checkpoint` in its directory. The file is "
        "not there, may not be read, or is not what kubelet writes. The node agent goes on with what it read last: "
        "pods that started since get no allocation file, and nothing is taken away from the others."
    ),
    hint="look at the file, and whether kubelet's directory is the one that is mounted",
    remedy=(
        "On a node where no device plugin has ever registered there is no such file; it comes with the first one. "
        "Else compare `--kubelet-dir` with kubelet's `--root-dir`. A file that stays unreadable is rewritten by "
        "kubelet with the next pod that gets a device."
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
        "Kubelet serves the API at `pod-resources/kubelet.sock` in its directory, for root. It is used to cross-check "
        "the checkpoint; without it allocations are carried all the same."
    ),
    hint="mount kubelet's pod-resources directory into the agent",
    remedy="Mount the directory, not the socket: kubelet makes a new socket whenever it starts.",
)

KUBELET_DISAGREES = FindingKind(
    code="kubelet-disagrees",
    severity=Severity.WARNING,
    title="Kubelet's checkpoint and its PodResources API name different devices",
    cause=(
        "Both come from the same kubelet and should agree within a moment. A device that only the checkpoint has "
        "belongs to a pod that has ended and was not cleaned up. A device that only the API has belongs to a pod "
        "whose entry was not written: the disk may be full."
    ),
    hint="see which pods are on the node, and whether kubelet's disk is full",
    remedy=(
        "`crictl pods` or `kubectl get pods --field-selector spec.nodeName=NODE` shows the pods. Entries of pods that "
        "ended go when kubelet next gives a device away. Restarting kubelet reads the checkpoint anew; it stops no pod."
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
        "be, or somebody renames things there all the time. Only the pod itself can have put it there. The agent "
        "follows no link and touches nothing else; the other pods are served."
    ),
    hint="find out what writes into the volume, and start the pod anew",
    remedy=(
        "`ls -lR` of the volume below the pod's directory on the node shows what is there. A pod that plants links in "
        "its volumes is not to be trusted: look at its images."
    ),
)

KINDS: tuple[FindingKind, ...] = (
    CHECKPOINT_UNREADABLE,
    CHECKPOINT_ENTRY_UNREADABLE,
    PODRESOURCES_UNREACHABLE,
    KUBELET_DISAGREES,
    DROP_FAILED,
    DROP_OBSTRUCTED,
)
