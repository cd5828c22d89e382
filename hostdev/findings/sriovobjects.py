"""Findings about SR-IOV objects and claims beside the VMs, and about the KubeVirt CR."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

POLICY_NETDEVICE = FindingKind(
    code="policy-netdevice",
    severity=Severity.WARNING,
    title="The VFs of a VM's network stay with the host's driver",
    cause=(
        "A SriovNetworkNodePolicy without `deviceType: vfio-pci` leaves its VFs to the kernel's network driver. That "
        "is what pods need; a VM's interface `sriov` needs VFs bound to vfio-pci, and finds none."
    ),
    hint="write deviceType: vfio-pci in the policy",
    remedy="Make a policy of its own for VMs, with `deviceType: vfio-pci` and a resourceName of its own.",
)

IPAM_UNUSED = FindingKind(
    code="ipam-unused",
    severity=Severity.WARNING,
    title="The network hands out an address that the guest never gets",
    cause=(
        "IPAM configures an interface of the pod. A VF that is passed through is no interface of the pod: the address "
        "is taken from its pool, and the guest does not know of it."
    ),
    hint="leave ipam out, and give the guest its address by cloud-init or DHCP",
    remedy="Remove `ipam` from the SriovNetwork or NetworkAttachmentDefinition of networks for VMs.",
)

RESOURCE_UNMET = FindingKind(
    code="resource-unmet",
    severity=Severity.WARNING,
    title="A network names a resource that no policy makes",
    cause=(
        "A SriovNetwork asks for VFs by `resourceName`, exact to the letter; a SriovNetworkNodePolicy makes them under "
        "its own. Where the two do not meet, pods with the network stay Pending."
    ),
    hint="give both one resourceName",
    remedy="Letters, digits and _ only; the operator puts its prefix (openshift.io/) in front of both.",
)

NAMESPACE_UNMET = FindingKind(
    code="namespace-unmet",
    severity=Severity.WARNING,
    title="The network is made in another namespace than the VM",
    cause=(
        "A SriovNetwork makes its NetworkAttachmentDefinition in `networkNamespace`. A VM that names the network "
        "without a namespace looks in its own."
    ),
    hint="write networkNamespace, or NAMESPACE/NAME at the VM's network",
    remedy="Set `networkNamespace` to the VM's namespace; it is the operator's own where it is left out.",
)

SELECTOR_LOST = FindingKind(
    code="selector-lost",
    severity=Severity.WARNING,
    title="Keys of nicSelector stand beside it",
    cause=(
        "`vendor`, `deviceID`, `pfNames`, `rootDevices` and `netFilter` mean something inside nicSelector only. One "
        "level further out they are dropped, and the policy selects other cards than it says, or none."
    ),
    hint="indent them below nicSelector",
    remedy='```yaml\nspec:\n  nicSelector:\n    vendor: "8086"\n    pfNames: [ens1f0]\n```',
)

VLAN_TWICE = FindingKind(
    code="vlan-twice",
    severity=Severity.WARNING,
    title="Two networks are one VLAN of one resource",
    cause="Two SriovNetworks with the same resource and the same VLAN are the same network under two names.",
    hint="correct the VLAN of one of them, or use one network",
    remedy="Mostly a network was copied and its `vlan` forgotten.",
)

CLAIMED_TWICE = FindingKind(
    code="address-claimed-twice",
    severity=Severity.WARNING,
    title="One device is named by two objects",
    cause=(
        "Two PCIDeviceClaims of one node name the same address, or two policies with different resources name the "
        "same rootDevices. A device has one owner; the other object waits for ever, or takes it away."
    ),
    hint="remove one of them",
    remedy="`passgate node who ADDRESS` tells who has the device now.",
)

POLICY_WIDE = FindingKind(
    code="policy-selects-all",
    severity=Severity.INFO,
    title="The policy selects every card of a model",
    cause=(
        "A nicSelector with `vendor` and `deviceID` alone means every port of such cards on every node that is "
        "selected, the one with the host's own addresses among them. Their VFs are made anew, and may go to any VM."
    ),
    hint="name the ports: pfNames or rootDevices",
    remedy="`passgate node list ethernet` lists the ports; `passgate manifest ADDRESS` writes a policy for one.",
)

GATE_MISSPELT = FindingKind(
    code="gate-misspelt",
    severity=Severity.WARNING,
    title="The KubeVirt CR names a feature gate that looks misspelt",
    cause="Feature gates are exact to the letter, and a name that means nothing is accepted without a word.",
    hint="correct the name",
    remedy="Write the gate as KubeVirt's documentation has it.",
)

KINDS: tuple[FindingKind, ...] = (
    POLICY_NETDEVICE,
    IPAM_UNUSED,
    RESOURCE_UNMET,
    NAMESPACE_UNMET,
    SELECTOR_LOST,
    VLAN_TWICE,
    CLAIMED_TWICE,
    POLICY_WIDE,
    GATE_MISSPELT,
)
