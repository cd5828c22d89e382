"""Findings about what the pod was given: variables, files and claims that tell of its devices."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

DEVICE_NAME_UNREADABLE = FindingKind(
    code="device-name-unreadable",
    severity=Severity.WARNING,
    title="A word where a device should be named names none",
    cause=(
        "Devices are named by a PCI address (`0000:3d:02.2`, slot up to 1f, function up to 7), by the UUID of a "
        "mediated device, by bus and number on USB (`1:4`) or by the name of an auxiliary device "
        "(`mlx5_core.sf.2`). The word is something else, so nobody knows which device was given."
    ),
    hint="look at the variable or file as the device plugin wrote it",
    remedy=(
        "`kubectl exec POD -c compute -- env` shows what the plugin set. If the word stands there too, the plugin "
        "or its configuration is at fault; else whoever passes the allocation on has garbled it. A device can always "
        "be named outright with `address` in `passgate.dev/devices`."
    ),
)

DEVICE_NOT_FOR_VFIO = FindingKind(
    code="device-not-for-vfio",
    severity=Severity.INFO,
    title="The device that was given is no PCI function and no mediated device",
    cause=(
        "USB devices are passed by KubeVirt itself (`hostDevices`). Auxiliary devices, such as the scalable functions "
        "of a Mellanox NIC, and vDPA devices keep their driver on the host and cannot be handed to VFIO."
    ),
    hint="nothing to do if the VM gets the device in another way",
    remedy=(
        "For USB, list the device under `spec.domain.devices.hostDevices`. For a NIC, let the device plugin offer VFs "
        "that are bound to vfio-pci: `deviceType: netDevice` with `drivers: [vfio-pci]`."
    ),
)

VARIABLE_UNREADABLE = FindingKind(
    code="variable-unreadable",
    severity=Severity.WARNING,
    title="A variable of the environment cannot be read",
    cause=(
        "An allocation file holds lines `NAME=VALUE`, unquoted, or the same separated by NUL bytes as in "
        "`/proc/self/environ`. Some of it is something else: a line without `=`, the second line of a value that has "
        "several, a name that comes twice with different values (the first one counts; where it names devices this is "
        "an error, since either value may be the right one), or a `_INFO` variable that is no JSON object."
    ),
    hint="write one NAME=VALUE a line, or copy /proc/self/environ as it is",
    remedy=(
        "The message gives the numbers of the lines, never their text, for an environment may hold secrets. Write "
        "only the lines of device plugins into the file; all else is ignored anyway."
    ),
)

ALLOCATION_FILE_UNREADABLE = FindingKind(
    code="allocation-file-unreadable",
    severity=Severity.ERROR,
    title="A file that tells what was given to the pod cannot be read",
    cause=(
        "The file is too large, is not UTF-8, or is not the JSON that it should be. What it says is lost, so devices "
        "may have been given to the pod that would not reach the VM."
    ),
    hint="look at the file, and at who writes it",
    remedy=(
        "The allocation file is written by the node agent or the admission policy; `/etc/podinfo/network-info` comes "
        "from the pod's annotation `kubevirt.io/network-info`; the metadata of claims is written by the DRA driver. "
        "Write the file anew in one step (a temporary name, then a rename), so that nobody reads half of it."
    ),
)

RESOURCE_NAME_AMBIGUOUS = FindingKind(
    code="resource-name-ambiguous",
    severity=Severity.WARNING,
    title="Two resources that were requested share one variable",
    cause=(
        "Plugins make the variable's name of the resource: upper case, `.` and `/` become `_`. So `a.b/c` and `a_b/c` "
        "have one name, and kubelet keeps only one of the two values. Whose devices they are cannot be told; the "
        "other resource's devices are in no variable at all."
    ),
    hint="rename one of the two resources, or name the devices with `address`",
    remedy=(
        "Rename one of the resources in the configuration of its plugin (`resourceName`, `resourcePrefix`). Until "
        "then do not request both in one VM."
    ),
)

FEWER_THAN_REQUESTED = FindingKind(
    code="fewer-than-requested",
    severity=Severity.WARNING,
    title="The device plugin names fewer devices than the pod requested",
    cause=(
        "Kubelet gives a pod as many devices as it requested, or does not start it; only where its record was lost, or "
        "a plugin never came back, it starts pods without any. Else the variable names fewer than there are: the "
        "plugin skipped one that vanished since it was counted, it names only its last answer (AMD), two of its "
        "resources use the same variables (Intel QAT and DSA), or it named one device twice."
    ),
    hint="compare with what kubelet allocated: passgate node who",
    remedy=(
        "The agent reads kubelet's own record, which has every device of every resource; the variables of the "
        "container do not. Where the plugin is at fault, request one device a resource, or name the missing one with "
        "`address`."
    ),
)

MORE_THAN_REQUESTED = FindingKind(
    code="more-than-requested",
    severity=Severity.WARNING,
    title="The device plugin names more devices than the pod requested",
    cause=(
        "Some plugins name every device of an IOMMU group, because the group goes to one pod as a whole. The audio or "
        "USB function of a graphics card then looks like a second card, and KubeVirt gives it to a VM that asks for "
        "two."
    ),
    hint="say `count` in `passgate.dev/devices`, or ask for `functions: all`",
    remedy=(
        "Ask for the resource with `count`, or with `functions: all` if the whole card is wanted. Update NVIDIA's "
        "plugin to 1.6 or later, which names the requested device only."
    ),
)

DEVICE_IN_TWO_RESOURCES = FindingKind(
    code="device-in-two-resources",
    severity=Severity.WARNING,
    title="One device was given for two resources",
    cause=(
        "Two resources of one pod name the same device: the selectors of two plugins, or of two pools of one plugin, "
        "overlap. The device is there once, so one of the two requests gets less than it asked for; and another pod "
        "may be given the device by the other plugin."
    ),
    hint="make the selectors of the two resources exclude each other",
    remedy=(
        "Compare the selectors: `permittedHostDevices` of the KubeVirt resource, `resourceList` of the SR-IOV device "
        "plugin, the node policies of its operator. Each device must match one of them."
    ),
)

CHANNELS_DISAGREE = FindingKind(
    code="channels-disagree",
    severity=Severity.ERROR,
    title="Two channels name different devices for one resource",
    cause=(
        "The allocation file tells what the `compute` container has, where QEMU runs. A sidecar whose own environment "
        "names other devices has a resource request of its own: kubelet gave it devices of its own, and QEMU cannot "
        "open those. A `_INFO` variable that names other devices than the list beside it is left over from an "
        "earlier run."
    ),
    hint="remove the resource request of the sidecar; compute alone must have it",
    remedy=(
        "Look for `resources.limits` in the definition of the sidecar container (an injector or a webhook may have "
        "added them) and remove the device's resource there. It belongs into `spec.domain.resources.limits` of the VM."
    ),
)

UNKNOWN_DIALECT = FindingKind(
    code="unknown-dialect",
    severity=Severity.INFO,
    title="A variable looks like a list of PCI devices, and no known plugin sets it",
    cause=(
        "Its value consists of PCI addresses, but its name follows no dialect in docs/dialects.md. It may be the word "
        "of a device plugin that is not known here, or something else altogether; so nothing is injected for it."
    ),
    hint="if it is a device plugin's, name the devices with `address`",
    remedy="Name the devices outright with `address` in `passgate.dev/devices`, or rename the variable to a known one.",
)

NETWORK_WITHOUT_DEVICE = FindingKind(
    code="network-without-device",
    severity=Severity.WARNING,
    title="A network of the VM has no PCI device in the pod's network information",
    cause=(
        "KubeVirt lists the networks of SR-IOV interfaces and of binding plugins that asked for device information. "
        "Multus passes that information on only if the network attachment definition carries the annotation "
        "`k8s.v1.cni.cncf.io/resourceName` and the device plugin has written it; KubeVirt then leaves the VF out of "
        "the domain without a word. A VM that asks for such a network of a binding plugin by `device` is refused, and "
        "tried again."
    ),
    hint="annotate the network attachment definition with k8s.v1.cni.cncf.io/resourceName",
    remedy=(
        "`kubectl get pod POD -o yaml` shows `k8s.v1.cni.cncf.io/network-status`: its entry for the network must have "
        "`device-info` with `pci-address`. If it has not, look at the annotation of the network attachment definition, "
        "at the version of Multus (3.7 or later) and at `/var/run/k8s.cni.cncf.io/devinfo` on the node."
    ),
    says=("file is not populated with network-info",),
    issues=("kubevirt/kubevirt#13432", "k8snetworkplumbingwg/sriov-network-device-plugin#258", "rook/rook#9653"),
)

CLAIM_NOT_ONE_DEVICE = FindingKind(
    code="claim-not-one-device",
    severity=Severity.WARNING,
    title="A request of a resource claim does not come down to one device",
    cause=(
        "KubeVirt serves a claim's request only if one driver wrote one metadata file for it that names one device, "
        "by `mdevUUID` or `resource.kubernetes.io/pciBusID`. This one has several, none, or a device without either."
    ),
    hint="ask for one device a request in the ResourceClaim",
    remedy=(
        "Split the request of the ResourceClaim: one request with `count: 1` for each device. If the device has no "
        "address, the DRA driver does not publish metadata (Kubernetes 1.36 or later, `EnableDeviceMetadata`), or it "
        "drives devices that are not meant for VFIO."
    ),
    says=(
        "has {any} devices but KubeVirt only supports exactly one device per request",
        "pciBusID not found for claim {any} request {any}",
        "mdevUUID not found for claim {any} request {any}",
    ),
)

KINDS: tuple[FindingKind, ...] = (
    DEVICE_NAME_UNREADABLE,
    DEVICE_NOT_FOR_VFIO,
    VARIABLE_UNREADABLE,
    ALLOCATION_FILE_UNREADABLE,
    RESOURCE_NAME_AMBIGUOUS,
    FEWER_THAN_REQUESTED,
    MORE_THAN_REQUESTED,
    DEVICE_IN_TWO_RESOURCES,
    CHANNELS_DISAGREE,
    UNKNOWN_DIALECT,
    NETWORK_WITHOUT_DEVICE,
    CLAIM_NOT_ONE_DEVICE,
)
