"""Findings about the VM's spec and annotations, before it is started."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

BAD_ANNOTATION = FindingKind(
    code="bad-annotation",
    severity=Severity.ERROR,
    title="An annotation of ours cannot be read",
    cause=(
        "`passgate.dev/devices`, `passgate.dev/policy`, `passgate.dev/bonds` and `passgate.dev/interfaces` hold JSON, "
        "and are read strictly: a key that is not known, a key that is there twice or a value of the wrong type is "
        "refused. A misspelt wish that nobody notices would start the VM without it."
    ),
    hint="repair what the message names",
    remedy=(
        "The message begins with the place: `passgate.dev/devices[1].count` is the key `count` of the second entry. "
        "`docs/annotations.md` lists the keys. `passgate lint --vmi FILE` shows all mistakes at once, before the VM is "
        "applied. In YAML write the JSON as a block (`passgate.dev/devices: |`), so that nothing needs quotes of its "
        "own."
    ),
)

UNKNOWN_ANNOTATION = FindingKind(
    code="unknown-annotation",
    severity=Severity.ERROR,
    title="An annotation has our prefix, and a name that means nothing",
    cause=(
        "Kubernetes takes annotations of any name. Nothing reads this one, and a VM that starts as if it were not "
        "there may lack a device. So the sidecar refuses it."
    ),
    hint="known are passgate.dev/devices, policy, bonds and interfaces",
    remedy="Correct the name, or remove the annotation.",
)

ANNOTATION_MISPLACED = FindingKind(
    code="annotation-misplaced",
    severity=Severity.ERROR,
    title="The annotation stands at the VM, where nothing reads it",
    cause=(
        "KubeVirt makes the VMI of the VM's template. Annotations of the VM itself stay at the VM: no hook sidecar is "
        "added to the pod, and the VM starts without its devices."
    ),
    hint="move it to spec.template.metadata.annotations",
    remedy=(
        "```yaml\n"
        "kind: VirtualMachine\n"
        "spec:\n"
        "  template:\n"
        "    metadata:\n"
        "      annotations:\n"
        "        hooks.kubevirt.io/hookSidecars: '…'\n"
        "        passgate.dev/devices: '…'\n"
        "```"
    ),
)

NO_HOOK_SIDECAR = FindingKind(
    code="no-hook-sidecar",
    severity=Severity.WARNING,
    title="There are annotations of ours, and no hook sidecar to read them",
    cause=(
        "`passgate.dev/…` annotations are read by Passgate in the VM's pod. KubeVirt puts it there for the annotation "
        "`hooks.kubevirt.io/hookSidecars`; a KubeVirt Plugin or a network binding plugin can bring it as well, which "
        "the VM's spec does not show."
    ),
    hint="add hooks.kubevirt.io/hookSidecars with the image of Passgate, unless a plugin brings it",
    remedy=(
        "Beside the other annotations of the VMI write `hooks.kubevirt.io/hookSidecars: "
        '\'[{"image": "REGISTRY/passgate-hook:TAG"}]\'`. Where a Plugin or binding plugin does it, nothing needs to '
        "be done."
    ),
)

BAD_HOOK_SIDECARS = FindingKind(
    code="bad-hook-sidecars",
    severity=Severity.ERROR,
    title="The hookSidecars annotation cannot be read",
    cause=(
        "KubeVirt reads `hooks.kubevirt.io/hookSidecars` as a JSON list of objects. When it cannot, it makes no pod "
        "for the VM."
    ),
    hint="write a JSON list of objects, each with an image",
    remedy=(
        '`hooks.kubevirt.io/hookSidecars: \'[{"image": "REGISTRY/passgate-hook:TAG"}]\'` is the least that is needed.'
    ),
)

HOOK_KEY_IGNORED = FindingKind(
    code="hook-key-ignored",
    severity=Severity.WARNING,
    title="KubeVirt ignores a key of the hookSidecars annotation",
    cause=(
        "A hook sidecar knows `image`, `imagePullPolicy`, `command`, `args`, `configMap` and `pvc`. Environment, "
        "resources and volumes cannot be given; what is written there has no effect, and nobody says so."
    ),
    hint="known are image, imagePullPolicy, command, args, configMap and pvc",
    remedy=(
        "Remove the key. Settings of Passgate go into `args`, the sidecar's resources into the KubeVirt CR "
        "(`supportContainerResources` of type `sidecar`)."
    ),
)

HOOK_WITHOUT_IMAGE = FindingKind(
    code="hook-without-image",
    severity=Severity.WARNING,
    title="A hook sidecar has no image",
    cause=(
        "Without `image` KubeVirt runs its own sidecar-shim, which has no Passgate in it. It makes sense only together "
        "with a `configMap` or `pvc` that brings the executable `onDefineDomain`."
    ),
    hint="add the image of Passgate",
    remedy='`[{"image": "REGISTRY/passgate-hook:TAG"}]`.',
)

SIDECAR_GATE = FindingKind(
    code="sidecar-gate",
    severity=Severity.INFO,
    title="Hook sidecars need a feature gate",
    cause=(
        "KubeVirt adds hook sidecars only with the feature gate `Sidecar`, and otherwise refuses the VMI when it is "
        "created; a VM is accepted, but does not start. From KubeVirt 1.9 hook sidecars are deprecated in favour of "
        "plugins."
    ),
    hint="enable the feature gate Sidecar in the KubeVirt CR",
    remedy=(
        "`kubectl get kubevirt -A -o jsonpath='{..featureGates}'` shows the gates. Add `Sidecar` to "
        "`spec.configuration.developerConfiguration.featureGates`."
    ),
    says=("sidecar feature gate is not enabled in kubevirt-config, invalid entry {any}",),
)

NETWORK_INJECTOR = FindingKind(
    code="network-injector",
    severity=Severity.INFO,
    title="From KubeVirt 1.9 on another component asks kubelet for the device of a network",
    cause=(
        "A network's device is allocated because `compute` requests the `resourceName` of the "
        "NetworkAttachmentDefinition. Up to 1.8 KubeVirt wrote that request into the pod. From 1.9 on it leaves it to "
        "network-resources-injector (feature gate `ExternalNetResourceInjection`, on by default): in a cluster without "
        "it nothing is allocated, and the VM does not start."
    ),
    hint="with KubeVirt 1.9 or later install network-resources-injector, which the SR-IOV network operator can bring",
    remedy=(
        "1. `kubectl get mutatingwebhookconfigurations` shows whether the injector is there; with the SR-IOV network "
        "operator `enableInjector: true` in its SriovOperatorConfig brings it.\n"
        "2. `kubectl get pod POD -o yaml` must show the resource in the limits of `compute`.\n"
        "3. Without the injector the resource can be written into the VM's `spec.domain.resources.limits` and "
        "`requests` itself."
    ),
)

SIDECAR_LIMITS = FindingKind(
    code="sidecar-limits",
    severity=Severity.INFO,
    title="The hook sidecar gets 200m CPU and 64M of memory",
    cause=(
        "A VM with dedicated CPUs, or whose requests are its limits, has a pod in which every container must have "
        "limits. KubeVirt gives a hook sidecar cpu 200m and memory 64M. Passgate is made to live within."
    ),
    hint="nothing to do for Passgate; other sidecars of this VM must fit too",
    remedy=(
        "If another sidecar needs more, set `supportContainerResources` of type `sidecar` in the KubeVirt CR; it holds "
        "for all VMs of the cluster."
    ),
)

RESOURCE_NOT_REQUESTED = FindingKind(
    code="resource-not-requested",
    severity=Severity.ERROR,
    title="A resource is wanted in the guest, and nothing asks kubelet for it",
    cause=(
        "`resource` in `passgate.dev/devices` only says which of the allocated devices go to the guest. kubelet "
        "allocates what the compute container asks for: the VM's limits, and the resources of its GPUs, host devices "
        "and networks. Nothing is allocated for this one, so that the VM would be refused at its start."
    ),
    hint="add the resource to spec.domain.resources.limits",
    remedy=(
        "```yaml\n"
        "spec:\n"
        "  domain:\n"
        "    resources:\n"
        "      limits:\n"
        '        qat.intel.com/generic: "1"\n'
        "```\n\n"
        "A resource may also come from the NetworkAttachmentDefinition of a Multus network, or from the VM's "
        "instancetype; the spec alone does not tell, and the finding is then a warning."
    ),
)

RESOURCE_NOT_PASSED = FindingKind(
    code="resource-not-passed",
    severity=Severity.INFO,
    title="A resource is allocated to the pod, and not given to the guest",
    cause=(
        "The VM's limits ask for the resource, and `passgate.dev/devices` does not name it. The device is taken from "
        "the node's stock and stays unused, unless another sidecar or the launcher wants it."
    ),
    hint="add an entry to passgate.dev/devices, or take it out of the limits",
    remedy=(
        "With `passgate.dev/devices` only what it names goes to the guest; without that annotation everything that "
        "was allocated does."
    ),
)

REQUEST_COUNT_MISMATCH = FindingKind(
    code="request-count-mismatch",
    severity=Severity.ERROR,
    title="More or fewer devices are wanted than are asked for",
    cause=(
        "`count` (or the number of guest addresses) in `passgate.dev/devices` says how many devices must be there. "
        "kubelet allocates as many as the limits and the spec's devices ask for. With too few the VM is refused at "
        "its start; with too many the rest stays unused in the pod, and the finding is a warning."
    ),
    hint="make the counts equal",
    remedy=(
        "Change the number in spec.domain.resources.limits or `count`. Leave `count` out to have all devices of the "
        "resource; no other entry can then have any of them."
    ),
)

RESOURCE_LIMITS_DIFFER = FindingKind(
    code="resource-limits-differ",
    severity=Severity.ERROR,
    title="A resource's request is not its limit",
    cause=(
        "Devices cannot be overcommitted: Kubernetes refuses a pod whose request of an extended resource is not "
        "equal to its limit, or has no limit. KubeVirt takes over what the VM says, and cannot make the pod."
    ),
    hint="write the resource into limits only",
    remedy="Remove the resource from spec.domain.resources.requests; Kubernetes takes the limit for the request.",
    says=(
        "Limit must be set for non overcommitable resources",
        "must be equal to {any} limit of {any}",
    ),
)

NAME_COLLISION = FindingKind(
    code="name-collision",
    severity=Severity.WARNING,
    title="Devices of two entries may get the same name",
    cause=(
        "A device's alias is made of its entry's `name`, or of its resource with every character replaced that "
        "libvirt does not keep; several devices of one name are numbered, and so are the functions of one device. "
        "Where two entries meet in one name, which device has which number depends on the host's addresses."
    ),
    hint="give each entry a name of its own",
    remedy="Write `name` in each of the entries; names that end in a number are best left to the numbering.",
    says=("non unique alias detected: {any}",),
)

ALIAS_DROPPED = FindingKind(
    code="alias-dropped",
    severity=Severity.ERROR,
    title="The device's name makes virt-launcher crash",
    cause=(
        "KubeVirt makes an alias of the name of a GPU or host device. Libvirt keeps aliases of letters, digits, `-` "
        "and `_`, and drops any other without a word; virt-launcher then stumbles over the device without an alias."
    ),
    hint="use letters, digits, - and _ only",
    remedy="Rename the device in spec.domain.devices. A dot, as in a model's name, is what it mostly is.",
    issues=("kubevirt/kubevirt#16043", "kubevirt/kubevirt#14860"),
)

ATTRIBUTE_TAKEN = FindingKind(
    code="attribute-taken",
    severity=Severity.ERROR,
    title="Two devices have the same boot order or ACPI index",
    cause=(
        "Each number may be given once in a VM, to disks, interfaces and host devices together. Libvirt refuses the "
        "second boot order; the second ACPI index gets past it, and QEMU does not start."
    ),
    hint="choose another number",
    remedy="Count through `bootOrder` and `acpiIndex` of the disks and interfaces, and of `passgate.dev/devices`.",
    says=("boot order '{any}' used for more than one device",),
)

LOOKS_MIGRATABLE = FindingKind(
    code="looks-migratable",
    severity=Severity.WARNING,
    title="KubeVirt may try to migrate a VM that cannot be migrated",
    cause=(
        "KubeVirt knows that a VM with GPUs or host devices in its spec cannot be migrated. A device that a hook adds "
        "it does not see: on a node drain it tries to migrate the VM, over and over, and the drain waits."
    ),
    hint="set evictionStrategy: None, so that a drain stops the VM",
    remedy=(
        "Set `spec.evictionStrategy: None` of the VMI (in a VM: of its template). Without one the cluster's "
        "default holds, which may be LiveMigrate. Keep the device in the spec where it can be, under `hostDevices`: "
        "then KubeVirt knows."
    ),
)

DRA_DEVICE = FindingKind(
    code="dra-device",
    severity=Severity.INFO,
    title="A device comes from a DRA claim",
    cause=(
        "Its address is found by the scheduler and a DRA driver, not by a device plugin. KubeVirt puts the device into "
        "the domain; it needs the feature gate GPUsWithDRA, HostDevicesWithDRA or NetworkDevicesWithDRA. `resource` in "
        "`passgate.dev/devices` means device plugins and does not find it."
    ),
    hint="refer to it by its name: device, not resource",
    remedy='Write `{"device": "NAME", …}` with the name from the spec to give it a guest address or attributes.',
)

DRA_CLAIM_MISSING = FindingKind(
    code="dra-claim-missing",
    severity=Severity.ERROR,
    title="A device refers to a claim that the spec does not have",
    cause="`claimName` of a GPU, host device or network must be the `name` of an entry of `spec.resourceClaims`.",
    hint="add the claim to spec.resourceClaims",
    remedy=("```yaml\nspec:\n  resourceClaims:\n  - name: gpu-claim\n    resourceClaimTemplateName: one-gpu\n```"),
)

KINDS: tuple[FindingKind, ...] = (
    BAD_ANNOTATION,
    UNKNOWN_ANNOTATION,
    ANNOTATION_MISPLACED,
    NO_HOOK_SIDECAR,
    BAD_HOOK_SIDECARS,
    HOOK_KEY_IGNORED,
    HOOK_WITHOUT_IMAGE,
    SIDECAR_GATE,
    NETWORK_INJECTOR,
    SIDECAR_LIMITS,
    RESOURCE_NOT_REQUESTED,
    RESOURCE_NOT_PASSED,
    REQUEST_COUNT_MISMATCH,
    RESOURCE_LIMITS_DIFFER,
    NAME_COLLISION,
    ALIAS_DROPPED,
    ATTRIBUTE_TAKEN,
    LOOKS_MIGRATABLE,
    DRA_DEVICE,
    DRA_CLAIM_MISSING,
)
