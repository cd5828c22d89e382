"""Findings about resource claims beside the VMs: classes, claims, templates, and the NodeStates that offer by claim."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

REQUEST_NOT_ONE_DEVICE = FindingKind(
    code="request-not-one-device",
    severity=Severity.ERROR,
    title="A request of a claim is not one device, and a VM reads exactly one",
    cause=(
        "KubeVirt looks up a GPU or host device by `claimName` and `requestName`, and takes exactly one device for it: "
        "of a request with a `count` above 1, or with `allocationMode: All`, it finds several, and the VM does not "
        "start. Nor does it with a list of alternatives (`firstAvailable`): the file of the driver names the "
        "alternative too, `REQUEST/ALTERNATIVE`, and KubeVirt looks for the request alone."
    ),
    hint="write a request for each device, with count: 1",
    remedy=(
        "Copy the request, one for each device of the VM, with a name of its own, and give each `gpus` or "
        "`hostDevices` entry its `requestName`. `passgate manifest DEVICE… --by claim` writes it so."
    ),
)

REQUEST_UNKNOWN = FindingKind(
    code="request-unknown",
    severity=Severity.ERROR,
    title="A VM names a request that its claim does not have",
    cause=(
        "`requestName` of a GPU or host device must be the name of a request of the claim that `claimName` means, by "
        "`spec.resourceClaims` of the VM. The pod is started with the devices of the claim, and KubeVirt finds no "
        "file of the request: the VM does not start."
    ),
    hint="write the name of one of the claim's requests",
    remedy="Compare `requestName` with `devices.requests[].name` of the ResourceClaim or ResourceClaimTemplate.",
)

CLASS_UNKNOWN = FindingKind(
    code="class-unknown",
    severity=Severity.WARNING,
    title="A claim names a DeviceClass that is not among the files",
    cause=(
        "The class of a request is nearly called as one among the files is, and none has its name. Where the cluster "
        "has no such class either, the claim is never allocated, and its pod stays `Pending`."
    ),
    hint="compare deviceClassName with the names of the classes",
    remedy="`kubectl get deviceclasses` lists those of the cluster.",
)

CLASS_NOT_OFFERED = FindingKind(
    code="class-not-offered",
    severity=Severity.WARNING,
    title="A DeviceClass selects a resource that no NodeState offers by claim",
    cause=(
        "The class selects devices of Passgate's driver by their attribute `resource`, and none of the NodeState files "
        "offers that resource with `by: claim`. A claim of the class is never allocated, and its pod stays `Pending`: "
        "`cannot allocate all claims`."
    ),
    hint="compare the name with spec.offer[].resource, and see that the entry has by: claim",
    remedy="`passgate manifest DEVICE --by claim` writes both with one name.",
)

OFFER_WITHOUT_CLASS = FindingKind(
    code="offer-without-class",
    severity=Severity.WARNING,
    title="A resource is offered by claim, and no DeviceClass means it",
    cause=(
        "Claims ask by the name of a DeviceClass. The files hold classes, and none of them selects the devices of this "
        "resource, so that no claim asks for them."
    ),
    hint="write a DeviceClass for it",
    remedy="`passgate manifest DEVICE --by claim --only cluster` writes the class.",
)

EXTENDED_NAME_DOUBLED = FindingKind(
    code="extended-name-doubled",
    severity=Severity.WARNING,
    title="Two DeviceClasses carry one extendedResourceName",
    cause=(
        "The API server takes both, and the scheduler uses one of them for pods that ask by that name: which one goes "
        "by when they were made. What the other selects is not given to such a pod."
    ),
    hint="leave the name at one of the classes",
    remedy="Write one class whose selector means all of the devices, or give the second a name of its own.",
)

EXTENDED_NAME_OF_PLUGIN = FindingKind(
    code="extended-name-of-plugin",
    severity=Severity.WARNING,
    title="A resource is both of a device plugin and of a DeviceClass",
    cause=(
        "A NodeState offers the resource by a device plugin, and a DeviceClass has it as `extendedResourceName`. On a "
        "node whose status counts more than 0 of it the scheduler takes the plugin's, whether any is free or not; the "
        "class is used where the number is 0 or the name is not there. The two are never added up."
    ),
    hint="nothing to do while a node is moved from the one to the other; for good, give the class another name",
    remedy=(
        "Kubelet keeps the name of a plugin that has gone with the number 0, which is enough for the class to be used. "
        "docs/claims.md has the order in which a node is moved."
    ),
)

EXTENDED_NAME_MISSING = FindingKind(
    code="extended-name-missing",
    severity=Severity.WARNING,
    title="A VM asks by name for a resource that claims alone hand out",
    cause=(
        "The VM has the resource as `deviceName` or among its limits. A NodeState offers it with `by: claim`, and no "
        "DeviceClass among the files has it as `extendedResourceName`, so that nothing of the node counts under that "
        "name: the pod stays `Pending` with `Insufficient`."
    ),
    hint="write extendedResourceName into the DeviceClass, or let the VM ask by claimName and requestName",
    remedy="`passgate manifest DEVICE --by claim --extended` writes the class and such a VM.",
)

PERMITTED_NOT_NEEDED = FindingKind(
    code="permitted-not-needed",
    severity=Severity.INFO,
    title="KubeVirt's list permits a resource that claims alone hand out",
    cause=(
        "`permittedHostDevices` is for VMs that ask for a resource by name. This one is offered with `by: claim`, and "
        "no DeviceClass among the files has it as `extendedResourceName`: VMs ask for it by `claimName`, which "
        "KubeVirt looks up in no list."
    ),
    hint="remove the entry, or write extendedResourceName into the DeviceClass",
    remedy="Keep the entry as long as nodes of the cluster offer the resource by a device plugin.",
)

CLAIMS_BY_RELEASE = FindingKind(
    code="claims-by-release",
    severity=Severity.INFO,
    title="A release of KubeVirt does not find devices that Passgate gives by claim",
    cause=(
        "From 1.8.1 on KubeVirt reads the address of a claimed device from a file that the driver puts into the pod "
        "(KEP-5304). 1.8.0 looks for that file in another directory; 1.6 and 1.7 look into ResourceSlices, where they "
        "take another attribute for the address. The pod starts with its devices, and the VM does not."
    ),
    hint="upgrade KubeVirt; or let the VM ask by the name of the resource, which every release knows",
    remedy="`passgate manifest DEVICE --by claim --extended` writes a VM that asks by the name of the resource.",
)

KINDS = (
    REQUEST_NOT_ONE_DEVICE,
    REQUEST_UNKNOWN,
    CLASS_UNKNOWN,
    CLASS_NOT_OFFERED,
    OFFER_WITHOUT_CLASS,
    EXTENDED_NAME_DOUBLED,
    EXTENDED_NAME_OF_PLUGIN,
    EXTENDED_NAME_MISSING,
    PERMITTED_NOT_NEEDED,
    CLAIMS_BY_RELEASE,
)
