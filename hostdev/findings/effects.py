"""Findings about what KubeVirt accepts, and what would not work or have no effect."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

RESOURCE_ASKED_TWICE = FindingKind(
    code="resource-asked-twice",
    severity=Severity.WARNING,
    title="A device is asked for twice",
    cause=(
        "KubeVirt adds 1 to the pod's limits and requests for each GPU, host device and SR-IOV network. What the VM "
        "writes into its resources comes on top: kubelet allocates it, and nothing in the guest uses it. From 1.9 on "
        "network-resources-injector adds what an SR-IOV network wants; in a cluster without it the VM must write it."
    ),
    hint="take the resource out of spec.domain.resources",
    remedy=(
        "Leave the resource to the GPU, host device or network that names it. Only a device that Passgate puts in "
        "(`passgate.dev/devices` with `resource`) is asked for in the limits."
    ),
)

FOREIGN_RESOURCE = FindingKind(
    code="resource-without-address",
    severity=Severity.WARNING,
    title="The resource's device plugin tells KubeVirt no address",
    cause=(
        "KubeVirt finds the devices of `gpus` and `hostDevices` in variables named PCI_RESOURCE_… or "
        "MDEV_PCI_RESOURCE_…. The container plugins of NVIDIA (`nvidia.com/gpu`) and Intel, and the QAT and DSA "
        "plugins, set others or none. The pod starts, and virt-launcher finds no address."
    ),
    hint="name the resource of a plugin for VMs, or hand the device out by permittedHostDevices",
    remedy=(
        "NVIDIA's plugin for VMs names resources by model, such as `nvidia.com/TU104GL_Tesla_T4`. For QAT ask for the "
        "resource in the limits and let Passgate put it in: `passgate manifest DEVICE --by plugin` writes such a VM."
    ),
)

DEVICE_NAME_UNUSABLE = FindingKind(
    code="device-name-unusable",
    severity=Severity.WARNING,
    title="deviceName is no resource",
    cause=(
        "`deviceName` is the name of a resource of a device plugin, `DOMAIN/NAME`. KubeVirt accepts any text and puts "
        "it into the pod's limits, where Kubernetes refuses it: the VM never gets a pod."
    ),
    hint="write the resource, such as nvidia.com/TU104GL_Tesla_T4",
    remedy=(
        "`kubectl get node NODE -o jsonpath='{.status.allocatable}'` lists the resources of a node. A host address "
        "cannot be named here; `passgate manifest ADDRESS` writes a resource for it."
    ),
)

DEVICE_NAME_TWICE = FindingKind(
    code="device-name-twice",
    severity=Severity.WARNING,
    title="Two GPUs, or two host devices, have one name",
    cause=(
        "KubeVirt makes the device's alias of its name and does not compare names. Libvirt refuses a domain with two "
        "equal aliases, so that the VM does not start."
    ),
    hint="rename one of them",
    remedy="Give each entry of `gpus` and of `hostDevices` a name of its own.",
    says=("non unique alias detected: {any}",),
)

SRIOV_WITHOUT_NETWORK = FindingKind(
    code="sriov-without-multus",
    severity=Severity.WARNING,
    title="An SR-IOV interface is on the pod network",
    cause=(
        "The VF of an SR-IOV interface comes from a Multus network, whose NetworkAttachmentDefinition names the "
        "resource. KubeVirt accepts `sriov` on the pod network, and then finds no VF."
    ),
    hint="connect it to a Multus network of SR-IOV",
    remedy="Write `multus: {networkName: NAME}` at the network; `passgate manifest ADDRESS` writes such networks.",
)

NETWORKS_BY_HAND = FindingKind(
    code="networks-by-hand",
    severity=Severity.WARNING,
    title="The networks annotation of Multus is written by hand",
    cause=(
        "KubeVirt writes `k8s.v1.cni.cncf.io/networks` of the pod itself, from spec.networks. What the VM's template "
        "has there is lost."
    ),
    hint="write the network into spec.networks, with an interface",
    remedy="Each network of the guest is an entry of spec.networks and of domain.devices.interfaces.",
)

EVICTION_BLOCKS_DRAIN = FindingKind(
    code="eviction-blocks-drain",
    severity=Severity.WARNING,
    title="The VM asks to be migrated, and its devices cannot be",
    cause=(
        "With evictionStrategy LiveMigrate a node drain migrates the VM instead of stopping it. KubeVirt does not "
        "migrate VMs with host devices or GPUs passed through: the drain is refused, for as long as the VM runs."
    ),
    hint="write evictionStrategy: LiveMigrateIfPossible or None",
    remedy="`LiveMigrateIfPossible` migrates where it can be done, and stops the VM elsewhere.",
    says=("Cannot evict pod as it would violate the pod's disruption budget",),
)

VFIO_OVERCOMMIT = FindingKind(
    code="vfio-overcommit",
    severity=Severity.WARNING,
    title="The guest has more memory than the pod asks for, and VFIO pins all of it",
    cause=(
        "A guest with a passed-through device has all its memory pinned from the start. Where the pod requests less, "
        "the node gives what it has not planned for, and the VM is the first to be killed."
    ),
    hint="leave the memory request out, so that it follows the guest's memory",
    remedy="Remove requests.memory and overcommitGuestOverhead from VMs with devices.",
    issues=("kubevirt/kubevirt#10379", "kubevirt/kubevirt#8472"),
)

GPU_TOPOLOGY = FindingKind(
    code="gpu-topology",
    severity=Severity.INFO,
    title="Many GPUs, and nothing about how they are connected",
    cause=(
        "Eight GPUs of one board talk to each other through NVSwitches, which are PCI devices of their own, and sit "
        "on two NUMA nodes. A guest without the switches or without NUMA nodes of its own starts, and is slow or has "
        "no NVLink."
    ),
    hint="pass the NVSwitches too, or partition the fabric on the host; set guestMappingPassthrough",
    remedy=(
        "Give the VM the board's NVSwitches as hostDevices, or let the host's fabric manager make partitions. "
        "`cpu.numa.guestMappingPassthrough` with dedicated CPUs and huge pages gives the guest NUMA nodes; "
        "`numa: host` in `passgate.dev/devices` puts each device on its node."
    ),
)

GUEST_ADDRESS_CROWDED = FindingKind(
    code="guest-address-crowded",
    severity=Severity.WARNING,
    title="The guest address asked for is where KubeVirt's own devices go",
    cause=(
        "Disks, interfaces, the balloon and KubeVirt's placeholders get the lowest buses, and how many they are "
        "changes with the VM and the release. In the most ordinary VM 0000:09:00.0 is the balloon's. What "
        "would have been there goes elsewhere; an address that is written down, such as an interface's `pciAddress`, "
        "is refused when the VM starts."
    ),
    hint="ask for bus 0x10 or above, such as 0000:10:00.0",
    remedy="Ask for 0000:10:00.0 and the buses above; the guest has no fewer ports for it.",
)

PLUGIN_NOT_REGISTERED = FindingKind(
    code="binding-not-registered",
    severity=Severity.WARNING,
    title="The network binding plugin is not registered",
    cause=(
        "KubeVirt accepts any name in `binding.name`. The pod is made only when the KubeVirt CR has the plugin under "
        "spec.configuration.network.binding; the one among the files has not."
    ),
    hint="register the plugin in the KubeVirt CR, or correct the name",
    remedy="Add `spec.configuration.network.binding.NAME` to the KubeVirt CR.",
)

RESOURCE_NOT_PERMITTED = FindingKind(
    code="resource-not-permitted",
    severity=Severity.WARNING,
    title="The KubeVirt CR does not permit the device",
    cause=(
        "KubeVirt makes no pod for a VM whose GPU or host device names a resource that permittedHostDevices does not "
        "have, where there is such a list at all. The API accepts such a VM; the KubeVirt CR among the files does not "
        "list the resource."
    ),
    hint="add the resource to permittedHostDevices of the KubeVirt CR",
    remedy="`passgate manifest DEVICE` writes the lines; another plugin's have externalResourceProvider: true.",
)

SIDECAR_ARGUMENT = FindingKind(
    code="sidecar-argument",
    severity=Severity.ERROR,
    title="Passgate's sidecar does not take this argument",
    cause=(
        "The sidecar reads its arguments strictly and ends with 2 where one is not known. virt-launcher then waits "
        "for its socket for some minutes, and gives up."
    ),
    hint="`passgate-hook --help` lists the arguments",
    remedy="Correct `args` in the hookSidecars annotation; docs/sidecar.md lists them.",
)

MEMORY_TINY = FindingKind(
    code="memory-tiny",
    severity=Severity.WARNING,
    title="The guest gets next to no memory",
    cause=(
        "KubeVirt accepts guest memory of any amount, zero and negative ones too. `512m` is half a byte: `m` means "
        "thousandths. Such a VM does not start."
    ),
    hint="write Mi or Gi",
    remedy="Write `512Mi` or `4Gi`.",
)

DEPRECATED = FindingKind(
    code="deprecated-field",
    severity=Severity.INFO,
    title="The field is deprecated",
    cause="KubeVirt accepts the field with a warning; a later release may drop it.",
    hint="write what replaces it",
    remedy="`running: true` is `runStrategy: Always`, `running: false` is `runStrategy: Halted`.",
    says=("spec.running is deprecated, please use spec.runStrategy instead",),
)

KINDS: tuple[FindingKind, ...] = (
    RESOURCE_ASKED_TWICE,
    FOREIGN_RESOURCE,
    DEVICE_NAME_UNUSABLE,
    DEVICE_NAME_TWICE,
    SRIOV_WITHOUT_NETWORK,
    NETWORKS_BY_HAND,
    EVICTION_BLOCKS_DRAIN,
    VFIO_OVERCOMMIT,
    GPU_TOPOLOGY,
    GUEST_ADDRESS_CROWDED,
    PLUGIN_NOT_REGISTERED,
    RESOURCE_NOT_PERMITTED,
    SIDECAR_ARGUMENT,
    MEMORY_TINY,
    DEPRECATED,
)
