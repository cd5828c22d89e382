"""Findings about requests and the devices that were allocated for them."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

ADDRESS_NOT_ALLOCATED = FindingKind(
    code="address-not-allocated",
    severity=Severity.WARNING,
    title="A device that is named outright is not among those allocated to the pod",
    cause=(
        "Kubernetes gives a pod access to the devices that it allocated to it and to no others. A device that is only "
        "named in `passgate.dev/devices` gets into the domain, but its /dev/vfio node is not in the pod."
    ),
    hint="request the device's resource in spec.domain.resources.limits",
    remedy="Put the device's resource into the VM's limits and ask for it by `resource` instead of `address`.",
    says=(
        "Could not open '/dev/vfio/{group}': No such file or directory",
        "failed to open /dev/vfio/{group}: No such file or directory",
    ),
)

ALLOCATION_SURPLUS = FindingKind(
    code="allocation-surplus",
    severity=Severity.WARNING,
    title="More devices were allocated for a resource than are wanted",
    cause=(
        "Some device plugins list every device of an IOMMU group, not only the one that was asked for. The first in "
        "the plugin's order is the one that was requested."
    ),
    hint="leave `count` out to have them all, or ask for `functions: all`",
    remedy="If the others belong to the same card, ask for `functions: all`; else let the plugin offer one a group.",
)

ALLOCATION_MISSING = FindingKind(
    code="allocation-missing",
    severity=Severity.ERROR,
    title="A resource that is wanted was not allocated, or nobody passed the allocation on",
    cause=(
        "A hook sidecar does not see the environment that device plugins set: kubelet gives it to the `compute` "
        "container only. The allocation reaches the sidecar through the allocation file, which the node agent or the "
        "admission policy writes."
    ),
    hint=(
        "put the resource into spec.domain.resources.limits, and let the agent or the policy pass it on; "
        "name the claim if DRA serves it"
    ),
    remedy=(
        "1. `passgate lint --vmi` tells whether the VM asks kubelet for the resource at all.\n"
        "2. In the pod, `env` of the compute container shows what the plugin gave.\n"
        "3. Who passes it on? With the policy the container `compute` has a `postStart`, which `kubectl get pod POD -o "
        "yaml` shows: without one the policy or its binding is not installed, or the VM has no annotation of ours. "
        "With the agent its log has a line `allocation written` with the pod's UID; it must run on this node.\n"
        "4. Does DRA serve the resource? `kubectl get pod POD -o jsonpath='{.status.extendedResourceClaimStatus}'` "
        "shows a claim then. Of Passgate's own driver the agent of the overlay `claims` reads the record, and the "
        "message names the claim; `passgate node who DEVICE` on the node shows it, too. Of another driver the agent's "
        "log has `dra-serves-resource`: name the claim in the VM's `resourceClaims` and `hostDevices`.\n"
        "5. Where the plugin's variables follow no known dialect, name the device with `address`."
    ),
)

DEVICE_NOT_FOUND = FindingKind(
    code="device-not-found",
    severity=Severity.ERROR,
    title="No device of the VM has the name that a request refers to",
    cause=(
        "`device` in `passgate.dev/devices` is the name of a GPU, host device or SR-IOV interface in the VM's spec, "
        "which KubeVirt has put into the domain under an alias made of that name."
    ),
    hint="write the name as in spec.domain.devices",
    remedy=(
        "Compare `device` with the names in spec.domain.devices.gpus, hostDevices and interfaces. Of a device by claim "
        "`kubectl get resourceclaims` shows whether the claim is allocated, `passgate lint` whether the claim has the "
        "request, and docs/claims.md which releases of KubeVirt find it."
    ),
)

RESOURCES_SHARE_NAMES = FindingKind(
    code="resources-share-names",
    severity=Severity.ERROR,
    title="Resources of one family are named by one row of numbered variables",
    cause=(
        "Plugins of Intel's QAT and DSA name their devices QAT0, QAT1, … whatever the resource. With two of them "
        "in one container the names alone do not tell whose device is whose, and the VM might get the wrong one."
    ),
    hint="let the agent write the allocation file: it notes the resource of each variable",
    remedy=(
        "The node agent knows from kubelet's record which resource each device was given for, and writes it beside the "
        "variable (`#passgate-resource:QAT0=qat.intel.com/sym`). The policy cannot know. Without the agent ask for one "
        "resource of the family a VM, or name the devices with `address` in `passgate.dev/devices`."
    ),
)

FILE_NAMES_NOTHING = FindingKind(
    code="file-names-nothing",
    severity=Severity.ERROR,
    title="A file that was given names no device",
    cause=(
        "It is empty, holds comments only, or no variable in it is one that a known device plugin sets. A VM made with "
        "it would lack what its author expects."
    ),
    hint="look into the file; `env` of the container compute is what belongs there",
    remedy=(
        "`kubectl exec POD -c compute -- env` shows what the plugins set. Variables are known by their names; "
        "docs/dialects.md lists them. Leave the option out where nothing was allocated."
    ),
)

KINDS: tuple[FindingKind, ...] = (
    ADDRESS_NOT_ALLOCATED,
    ALLOCATION_SURPLUS,
    ALLOCATION_MISSING,
    DEVICE_NOT_FOUND,
    RESOURCES_SHARE_NAMES,
    FILE_NAMES_NOTHING,
)
