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
        "are offered; what a pod holds stays. Units that are both offered by claim are both listed, and counters in "
        "the ResourceSlices let only one of them be allocated; this finding then says where the API server has no "
        "counters, or too few, so that one is left out."
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
    title="A resource is offered by resource claims, and their driver is not on the node",
    cause=(
        "`by: claim` is served by `passgate-claims`, a process of its own. It has no socket in "
        "`plugins/units.passgate.dev` below kubelet's directory: it does not run on this node, has another kubelet "
        "directory than the node's, or another name by `--driver`. What it has published stays in the cluster, and "
        "pods that are given a device of it wait: `DRA driver units.passgate.dev is not registered`."
    ),
    hint="deploy the overlay claims, or write `by: plugin`",
    remedy=(
        "1. `kubectl -n passgate get pods -o wide` shows the driver's pod of each node, and its log what it lacks.\n"
        "2. docs/claims.md has what claims need of a cluster. `by: plugin` offers the devices by a device plugin, "
        "which every version of KubeVirt takes."
    ),
)

OFFER_UNREGISTERED = FindingKind(
    code="offer-unregistered",
    severity=Severity.ERROR,
    title="Kubelet does not have a resource that the node offers",
    cause=(
        "The agent serves the resource, and kubelet did not take its registration, or took it and ended it. As long as "
        "that is so kubelet counts none of its devices, and pods that ask for one are not started here. VMs that run "
        "keep theirs."
    ),
    hint="the agent tries again by itself; see whether kubelet runs, and what its log says of the resource",
    remedy=(
        "`journalctl -u kubelet | grep RESOURCE` shows what kubelet makes of it. The agent needs kubelet's directories "
        "`device-plugins` and `plugins/passgate.dev`, the latter to write to. A name that kubelet refuses is told with "
        "kubelet's own words: change it in the NodeState."
    ),
)

CLAIMS_UNREGISTERED = FindingKind(
    code="claims-unregistered",
    severity=Severity.ERROR,
    title="Kubelet does not have the driver of resource claims",
    cause=(
        "The driver is served, and kubelet has not found it, did not take it, or has ended its connection. As long as "
        "that is so pods with a claim of it wait in `ContainerCreating`, and those that end in `Terminating`; "
        "kubelet removes the driver's ResourceSlices after 30 s. VMs that run keep their devices."
    ),
    hint="the driver stays where kubelet finds it; see whether kubelet runs, and what its log says of the driver",
    remedy=(
        "`journalctl -u kubelet | grep DRIVER` shows what kubelet makes of it. The driver needs kubelet's directories "
        "`plugins_registry` and `plugins` to write to, mounted at the same paths as on the host: kubelet is told the "
        "path of its socket. A kubelet older than 1.34 does not know the version of the API that it speaks."
    ),
)

OFFER_NAME_TAKEN = FindingKind(
    code="offer-name-taken",
    severity=Severity.ERROR,
    title="Another device plugin has the name of a resource that the node offers",
    cause=(
        "Kubelet knows plugins by the name of their resource alone, and the one that registers last has it. Kubelet "
        "lists devices under the name that the agent does not offer. The agent leaves the name to the other plugin: "
        "two that register in turn would be given each other's devices, and the VMs would fail."
    ),
    hint="give the name to one of them: in KubeVirt with `externalResourceProvider: true`",
    remedy=(
        "Write `externalResourceProvider: true` at the resource in KubeVirt's `permittedHostDevices`, or take it out "
        "of the other plugin's configuration, or offer the devices by another name. The agent looks every minute, and "
        "registers when the other one has gone."
    ),
)

OFFER_RECORD_DIFFERS = FindingKind(
    code="offer-record-differs",
    severity=Severity.WARNING,
    title="Kubelet's record says otherwise than what the agent gave",
    cause=(
        "The agent answered kubelet with one set of variables and device nodes, and kubelet's record holds others for "
        "the same devices: the VM's file says what was given. Or the ids of units in the record are of other functions "
        "than its variable names: the record was written before the addresses changed, or not by this agent alone."
    ),
    hint="see what else answers for the resource, and whether kubelet's record was written by hand",
    remedy=(
        "`passgate node who` shows what the record says. Where two agents run on one node, end one. A record that was "
        "damaged is made right by draining the node and starting its VMs anew."
    ),
)

OFFER_NOT_FRESH = FindingKind(
    code="offer-not-fresh",
    severity=Severity.WARNING,
    title="What is offered to kubelet is what was seen before",
    cause=(
        "A look at the host has not come back: a file of sysfs waits for a lock that a driver holds, as long as a "
        "device is being reset, removed or woken. Kubelet is answered from memory meanwhile; a device "
        "that has changed since is found out when a VM starts with it."
    ),
    hint="`dmesg` and `cat /proc/PID/stack` of the agent show which device it waits for",
    remedy=(
        "Find the driver that does not let go: `dmesg | tail`, `echo w > /proc/sysrq-trigger`. The agent goes on by "
        "itself when the kernel answers."
    ),
)

SET_INCOMPLETE = FindingKind(
    code="set-incomplete",
    severity=Severity.ERROR,
    title="A set of units names a function that is not there, or not offered",
    cause=(
        "A `UnitSets` document names functions that go to one pod together. One of them is not where it says, or is "
        "in no unit that is offered, so that the set cannot be given as a whole. The set is not used: its units are "
        "given as if it were not written."
    ),
    hint="compare with `passgate node units`, and correct the document",
    remedy=(
        "`passgate node units --sets FILE` shows which units are in which set. Write what is there now, by `path` "
        "rather than by `address`, or offer the function that is missing."
    ),
)

SET_BROKEN = FindingKind(
    code="set-broken",
    severity=Severity.ERROR,
    title="A pod was given a part of a set that goes to one pod as a whole",
    cause=(
        "A set is marked `whole: true`: its devices work together only, as GPUs of an NVLink partition do. Kubelet "
        "chose others than it was advised to, because too few whole sets were free, or because the pod asks for a "
        "number that no set has."
    ),
    hint="ask for as many devices as a set has, and end the pod: it keeps what it was given",
    remedy=(
        "The message names whole sets that are free. `passgate node who` tells who holds the rest; when a pod of the "
        "broken set has ended, make this pod again."
    ),
)

KINDS = (
    OFFER_CONFLICT,
    UNIT_GONE,
    UNIT_WITHDRAWN,
    UNIT_UNKNOWN,
    CLAIMS_NOT_SERVED,
    CLAIMS_UNREGISTERED,
    OFFER_UNREGISTERED,
    OFFER_NAME_TAKEN,
    OFFER_RECORD_DIFFERS,
    OFFER_NOT_FRESH,
    SET_INCOMPLETE,
    SET_BROKEN,
)
