"""Findings about resources as the KubeVirt object permits them, NodeState files offer them, and VMs ask for them."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

OFFER_TAKEN = FindingKind(
    code="offer-taken-by-kubevirt",
    severity=Severity.ERROR,
    title="KubeVirt's own device plugin takes the name of a resource that is offered",
    cause=(
        "`permittedHostDevices` has the resource without `externalResourceProvider: true`. virt-handler then starts a "
        "plugin of that name on each node where a device fits the selector and is bound to vfio-pci, and kubelet knows "
        "one plugin a name: the last to register. It does so again a second after kubelet was restarted, and so wins. "
        "A unit of the agent's list that is asked of KubeVirt's plugin comes without variable and without device "
        "nodes, and the VM fails: `the number of device plugin HostDevice/s do not match the number of devices`."
    ),
    hint="write externalResourceProvider: true into the entry",
    remedy=(
        "Add `externalResourceProvider: true` to every entry of the resource. While KubeVirt's plugin ends it cuts the "
        "agent's registration, which the agent makes anew within a second: do it while no VM starts."
    ),
)

OFFER_SHARED = FindingKind(
    code="offer-shared-with-kubevirt",
    severity=Severity.ERROR,
    title="KubeVirt's own device plugin hands out devices that are offered",
    cause=(
        "An entry of `permittedHostDevices` without `externalResourceProvider: true` selects the vendor and device "
        "that a NodeState offers under another name. KubeVirt's plugin hands out whatever it selects and finds on "
        "vfio-pci, so that the same device is counted in two resources and given to two pods: the second VM fails "
        "with `Device or resource busy`."
    ),
    hint="let one of the two resources hand the device out",
    remedy=(
        "Take the entry out, or give it the resource's name of the NodeState and `externalResourceProvider: true`; or "
        "take the offer out of the NodeState. VMs then ask for the resource that stays."
    ),
)

OFFER_NOT_PERMITTED = FindingKind(
    code="offer-not-permitted",
    severity=Severity.WARNING,
    title="A resource is offered, and no VM may ask for it",
    cause=(
        "A NodeState offers the resource, and `permittedHostDevices` of the KubeVirt object among the files does not "
        "list it. KubeVirt makes no pod for a VM whose `gpus` or `hostDevices` name it. Where KubeVirt has no such "
        "list at all nothing is checked; the VMs of a cluster are then kept from nothing."
    ),
    hint="add it to permittedHostDevices, with externalResourceProvider: true",
    remedy="`passgate manifest DEVICE --by passgate --only cluster` writes the lines.",
)

PERMITTED_NOT_OFFERED = FindingKind(
    code="permitted-not-offered",
    severity=Severity.INFO,
    title="A resource of another provider is offered by no NodeState among the files",
    cause=(
        "The entry of `permittedHostDevices` says that something else than KubeVirt hands the resource out, and none "
        "of the NodeState files that were given offers it. A vendor's plugin may; a name with a slip of the pen looks "
        "the same, and leaves a VM `Pending` with `Insufficient`."
    ),
    hint="compare the name with spec.offer; nothing is to be done where a vendor's plugin has it",
    remedy="`kubectl describe node NODE` lists under Allocatable what the plugins of a node really offer.",
)

RESOURCE_IN_BOTH_LISTS = FindingKind(
    code="resource-in-both-lists",
    severity=Severity.ERROR,
    title="A VM asks for one resource as a GPU and as a host device",
    cause=(
        "virt-launcher makes a list of addresses for `gpus` and another for `hostDevices`, both of the same variable, "
        "and takes the first address of each. The two devices of the VM get one address, and libvirt refuses the "
        "domain; the other device that kubelet allocated is used by nothing."
    ),
    hint="ask for all of them in one list",
    remedy="Write all devices of a resource into `gpus`, or all into `hostDevices`: the guest sees no difference.",
)

KINDS = (OFFER_TAKEN, OFFER_SHARED, OFFER_NOT_PERMITTED, PERMITTED_NOT_OFFERED, RESOURCE_IN_BOTH_LISTS)
