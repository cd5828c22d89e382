"""Findings about resource claims: what was prepared of them, and why something was not."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

CLAIM_RECORD_UNREADABLE = FindingKind(
    code="claim-record-unreadable",
    severity=Severity.ERROR,
    title="What was prepared of a resource claim cannot be read",
    cause=(
        "For each claim that it prepared `passgate-claims` keeps a file in `plugins/DRIVER/claims`, below kubelet's "
        "directory. This one is damaged, is no such file, or was written by a newer version. Which devices its pod "
        "holds is not known from it."
    ),
    hint="`kubectl get resourceclaims -A -o wide` names the claim of this UID; end its pod",
    remedy=(
        "Where a newer version wrote it, start that version again: it knows what it wrote. A damaged file is replaced "
        "when the claim is prepared again, and removed when its pod has ended. What lies there and is no record is "
        "yours to remove."
    ),
)

CLAIM_UNREADABLE = FindingKind(
    code="claim-unreadable",
    severity=Severity.ERROR,
    title="A resource claim is not as the API server should have it",
    cause=(
        "The API server's answer has something else where Kubernetes has a name, a UID or a list. Nothing is prepared."
    ),
    hint="`kubectl get resourceclaim CLAIM -o yaml` shows it; is it resource.k8s.io/v1?",
    remedy=(
        "`kubectl api-resources --api-group resource.k8s.io` shows what the cluster serves: v1 is needed, which "
        "Kubernetes has since 1.34. Where the claim looks well, report it with the sentence."
    ),
)

CLAIM_NOT_ALLOCATED = FindingKind(
    code="claim-not-allocated",
    severity=Severity.ERROR,
    title="A resource claim is not allocated to devices of this node",
    cause=(
        "Kubelet asks for the devices of a claim, and the claim that the API server has now is another one of the same "
        "name, or its allocation was taken back, or names devices of another node or driver. Giving devices for it "
        "could give them twice."
    ),
    hint="kubelet asks again; `kubectl describe resourceclaim CLAIM` shows what is allocated",
    remedy=(
        "A pod that waits with this was scheduled with an allocation that is gone. Delete it: the next one is "
        "scheduled anew. Claims that are deleted and made again by hand under one name need new pods."
    ),
)

CLAIM_UNSUPPORTED = FindingKind(
    code="claim-unsupported",
    severity=Severity.ERROR,
    title="A resource claim asks for something that the driver does not do",
    cause=(
        "The allocation has admin access, a share of a device, a part of its capacity, or parameters for this driver. "
        "A unit goes to one pod as a whole, and the driver knows no parameters: what it does not heed it refuses."
    ),
    hint="take it out of the claim, its template or its DeviceClass, and make the pod again",
    remedy=(
        "`kubectl get resourceclaim CLAIM -o yaml` shows it below `status.allocation.devices`. What unit a VM gets is "
        "chosen by `selectors` on the attributes of the devices."
    ),
)

CLAIM_UNIT_UNAVAILABLE = FindingKind(
    code="claim-unit-unavailable",
    severity=Severity.ERROR,
    title="A device of a resource claim cannot be given now",
    cause=(
        "It was allocated for the claim, and the node does not offer it, something speaks against giving it, or "
        "another claim holds it. The message says which. Nothing is bound here: the NodeState does that beforehand. "
        "Its pod waits in ContainerCreating, and kubelet asks again after 60 to 90 seconds."
    ),
    hint="`passgate node doctor DEVICE` on the node shows what speaks against it",
    remedy=(
        "Mend what is named: the pod then starts by itself. Where the device is gone, delete the pod, so that another "
        "device is allocated. `passgate node who DEVICE` shows who holds it."
    ),
)

CLAIM_STATE_UNWRITABLE = FindingKind(
    code="claim-state-unwritable",
    severity=Severity.ERROR,
    title="What a resource claim needs cannot be written or removed on the node",
    cause=(
        "For each claim there are a record and metadata files below kubelet's directory, and a file in the directory "
        "of the Container Device Interface. The operating system refused one of them. A pod waits until it can be "
        "written, and one that ends stays in Terminating until it can be removed."
    ),
    hint="see `df` and `mount` for that path, and `dmesg` for errors of its disk",
    remedy=(
        "No space left: make room on that file system. Read-only, or not permitted: the DaemonSet must mount the "
        "directory writable, and a disk that fails is remounted read-only by the kernel. Kubelet asks again by itself."
    ),
)

CLAIM_LEFT_BEHIND = FindingKind(
    code="claim-left-behind",
    severity=Severity.WARNING,
    title="Files of a resource claim may be left over, and are kept",
    cause=(
        "At its start the driver removes what no pod can be using. It could not find out about this one: kubelet's own "
        "record of claims, or the API server, could not be read. A unit that it names counts as held."
    ),
    hint="it is looked at again; where the claim is gone, see why kubelet's record cannot be read",
    remedy=(
        "`kubectl get resourceclaim -A` shows whether the claim is there. Kubelet keeps `dra_manager_state` in its "
        "directory; while that lists a claim its files stay, and kubelet has them removed when the pod has ended."
    ),
)

SLICES_BEHIND = FindingKind(
    code="slices-behind",
    severity=Severity.ERROR,
    title="The ResourceSlices of a node are not what the node has",
    cause=(
        "`passgate-claims` keeps the ResourceSlices of its node at what can be given to VMs there. For half a minute "
        "it could not: the API server is away or refuses it, the node object is not there, something else changes the "
        "slices, or an older process of the driver still runs on the node. The scheduler goes by what the slices said "
        "before: new claims may wait, or choose a device that is not ready. What is prepared stays prepared."
    ),
    hint="the sentence says what the API server saw; it is tried again all the time",
    remedy=(
        "`kubectl get resourceslices --field-selector spec.nodeName=NODE` shows what the cluster knows. Where a right "
        "is missing, or an admission policy refuses, apply the overlay `claims` again; its policy lets a token change "
        "the slices of the node alone on which its pod runs. Where something else changes the slices, end it."
    ),
)

KINDS: tuple[FindingKind, ...] = (
    CLAIM_RECORD_UNREADABLE,
    CLAIM_UNREADABLE,
    CLAIM_NOT_ALLOCATED,
    CLAIM_UNSUPPORTED,
    CLAIM_UNIT_UNAVAILABLE,
    CLAIM_STATE_UNWRITABLE,
    CLAIM_LEFT_BEHIND,
    SLICES_BEHIND,
)
