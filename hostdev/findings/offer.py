"""Findings about what is offered to kubelet."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

OFFER_CONFLICT = FindingKind(
    code="offer-conflict",
    severity=Severity.ERROR,
    title="Two units that are offered cannot be given beside each other",
    cause=(
        "Kubelet counts each unit by itself, and gives them to different pods. Units that share a function or an IOMMU "
        "group can only go to one VM: the pod that opens the group second would fail. A PF cannot be given while its "
        "VFs are. Nothing of it is offered, since which of the two is meant is not known; of a PF and its VFs the VFs "
        "are offered; what a pod holds stays."
    ),
    hint="make the entries exclude each other, or offer the whole group as one: `unit: group`",
    remedy=(
        "`passgate node state plan FILE` names the entries and what they share. Add `path`, `id`, `class` or `numa` to "
        "the `match` of one of them, or remove it. Where one entry means several functions of a group, `unit: group` "
        "makes one unit of them; `passgate node units` shows the smallest wholes that the IOMMU allows."
    ),
)

UNIT_GONE = FindingKind(
    code="unit-gone",
    severity=Severity.ERROR,
    title="A device that a pod holds is no longer there",
    cause=(
        "Kubelet's record says that a pod holds it, and the machine does not have it: it was unplugged, its PF lost "
        "its VFs, it fell off the bus, or another device is in its place. It stays listed as unhealthy: what is left "
        "out of the list, kubelet calls healthy."
    ),
    hint="`passgate node list` shows what is there; end the pod, or bring the device back",
    remedy=(
        "`passgate node who` tells which pod holds it. If its VFs were destroyed, make them again: the same VF of the "
        "same PF has the same ID. If the device was replaced, end the pod: it cannot start again with the old one."
    ),
)

UNIT_WITHDRAWN = FindingKind(
    code="unit-withdrawn",
    severity=Severity.WARNING,
    title="A pod holds a device that its NodeState offers no longer",
    cause=(
        "The entry was removed or means other devices now. The pod keeps the device; it stays listed as unhealthy, so "
        "that no other pod is given it, until the pod ends."
    ),
    hint="nothing to do; or write the entry again",
    remedy="`passgate node who DEVICE` tells which pod holds it. The device leaves the list when the pod has ended.",
)

UNIT_UNKNOWN = FindingKind(
    code="unit-unknown",
    severity=Severity.ERROR,
    title="Kubelet asks for a device that is not offered",
    cause=(
        "The ID is not in the list that kubelet was told. Another device plugin had the resource before, or kubelet's "
        "record is older than the node's present shape."
    ),
    hint="make the pod again; `passgate node state plan FILE` shows what is offered",
    remedy=(
        "`kubectl describe node NODE` shows what is counted. See that no other device plugin registers the resource: "
        "in KubeVirt's `permittedHostDevices` it needs `externalResourceProvider: true`."
    ),
)

CLAIMS_NOT_SERVED = FindingKind(
    code="claims-not-served",
    severity=Severity.WARNING,
    title="A resource is offered by resource claims, which nothing serves yet",
    cause=(
        "`by: claim` is for a driver of resource claims (DRA), which this version does not have. The entry is kept, "
        "and its devices are not offered to kubelet."
    ),
    hint="write `by: plugin`, or leave `by` out",
    remedy="`by: plugin` offers the devices by a device plugin, which every version of KubeVirt takes.",
)

KINDS = (
    OFFER_CONFLICT,
    UNIT_GONE,
    UNIT_WITHDRAWN,
    UNIT_UNKNOWN,
    CLAIMS_NOT_SERVED,
)
