"""Findings about IOMMU groups: devices that the IOMMU cannot tell apart."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity
from hostdev.findings.platform import SET_IOMMU_REFUSED

NO_IOMMU_GROUP = FindingKind(
    code="no-iommu-group",
    severity=Severity.ERROR,
    title="The device is in no IOMMU group",
    cause=(
        "The host has an IOMMU, but this device is not behind it: it has no `iommu_group` link. Some devices inside "
        "the chipset are like that, and all of them when the firmware's tables leave their bus out."
    ),
    hint="choose another device, or another slot",
    remedy=(
        "Put the card into another slot, update the firmware, or use another device. Nothing that is said to QEMU or "
        "libvirt helps: VFIO needs the group."
    ),
    says=("vfio {device}: no iommu_group found: No such file or directory",),
)

NOIOMMU_GROUP = FindingKind(
    code="noiommu-group",
    severity=Severity.ERROR,
    title="The group is a VFIO no-IOMMU group, with no protection behind it",
    cause=(
        "The group's name is `vfio-noiommu`: the kernel made it because `enable_unsafe_noiommu_mode` of the module "
        "vfio is on and there is no IOMMU. Programs like DPDK can use such a device; QEMU cannot, for there is nothing "
        "that would translate the guest's addresses."
    ),
    hint="turn on the IOMMU: a VM cannot use no-IOMMU mode",
    remedy=(
        "Turn the IOMMU on (see no-iommu) and turn no-IOMMU mode off: remove `enable_unsafe_noiommu_mode=1` from "
        "`/etc/modprobe.d` and `vfio.enable_unsafe_noiommu_mode=1` from the kernel command line. Device plugins show "
        "the node `/dev/vfio/noiommu-N` as `/dev/vfio/N` in the container, which hides this."
    ),
    says=(
        "vfio {device}: Could not open '/dev/vfio/{group}': No such file or directory",
        "vfio {device}: failed to setup container for group {group}: No available IOMMU models",
    ),
)

GROUP_NOT_VIABLE = FindingKind(
    code="group-not-viable",
    severity=Severity.ERROR,
    title="A device of the same IOMMU group is held by a driver of the host",
    cause=(
        "The devices of one IOMMU group can reach each other behind the IOMMU's back, so all of them go to one owner. "
        "The kernel lets a VM have the group only while each member has no driver, is on a vfio driver, or is on "
        "pci-stub or pcieport. Before Linux 5.19 a bridge could be on any driver; since then a bridge on another "
        "driver than pcieport, such as shpchp, blocks the group too. The members that block are often the audio, USB "
        "or UCSI function of a graphics card, or a neighbour behind a root port without ACS."
    ),
    hint="bind the other members to vfio-pci as well, or leave them without a driver",
    remedy=(
        "`passgate node bind DEVICE --with-group --dry-run` on the node shows the members, what the host does with "
        "each, and the writes; without `--dry-run` it makes them. By hand, for each member that blocks, if the host "
        "can do without it:\n\n"
        "```sh\n"
        "cd /sys/bus/pci/devices\n"
        "echo vfio-pci > MEMBER/driver_override\n"
        "echo MEMBER > MEMBER/driver/unbind\n"
        "echo MEMBER > /sys/bus/pci/drivers_probe\n"
        "```\n\n"
        "A bridge is only unbound (`echo BRIDGE > /sys/bus/pci/drivers/DRIVER/unbind`). Never use `new_id`: it takes "
        "every device of that kind. The members need not be given to the VM, but nobody else can use them then. If "
        "the host needs one of them, move the card to a slot whose root port has ACS."
    ),
    says=(
        "vfio {device}: group {group} is not viable",
        "Please ensure all devices within the iommu_group are bound to their vfio bus driver.",
    ),
    issues=(
        "kubevirt/kubevirt#6718",
        "kubernetes-sigs/dra-driver-nvidia-gpu#1191",
        "NVIDIA/kubevirt-gpu-device-plugin#27",
    ),
)

RESERVED_REGION = FindingKind(
    code="reserved-region",
    severity=Severity.ERROR,
    title="The firmware reserves memory for the device",
    cause=(
        "The firmware asks for a fixed 1:1 mapping of some memory for this group (a region of type `direct`, from an "
        "RMRR on Intel or an IVMD on AMD), because the platform itself talks to the device, for its management "
        "controller for instance. A guest's memory would overlap it, so the kernel refuses to attach the group. "
        "Regions of type `direct-relaxable` (USB, graphics) and `msi` do no harm."
    ),
    hint="free the device of its RMRR in the firmware setup, or use another slot",
    remedy=(
        "Look for a firmware setting that frees the slot (HPE: `conrep` with the RMRDS exclusion; others: shared "
        "memory or management features of the option card, pre-boot DMA protection), update the firmware, or use "
        "another slot. `cat /sys/kernel/iommu_groups/GROUP/reserved_regions` must no longer show `direct`."
    ),
    says=(
        SET_IOMMU_REFUSED,
        "vfio {device}: failed to setup container for group {group}: Failed to set group container: Invalid argument",
        "Device is ineligible for IOMMU domain attach due to platform RMRR requirement.  Contact your platform vendor.",
        "Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring the device",
    ),
)

SHARED_GROUP = FindingKind(
    code="shared-group",
    severity=Severity.INFO,
    title="The IOMMU group holds further devices that no other VM can use",
    cause=(
        "The group can be given away, but only as a whole: the other members stay idle while this VM runs. KubeVirt's "
        "own device plugin counts groups, not devices: of several matching devices in one group it offers only the "
        "last, and may offer it several times."
    ),
    hint="give the other members to the same VM, or accept that they stay idle",
    remedy=(
        "Nothing needs to be done. To use every device of the group, give all of them to one VM; to use them apart, "
        "put the cards into slots whose root ports have ACS."
    ),
)

GROUP_SPLIT = FindingKind(
    code="group-split",
    severity=Severity.ERROR,
    title="Two devices of one IOMMU group in a VM with a virtual IOMMU",
    cause=(
        "With a virtual IOMMU each PCI slot of the guest has an address space of its own, but devices of one host "
        "group can only share one."
    ),
    hint="pass one device of the group, or put them behind one conventional bridge in the guest",
    remedy=(
        "Give the VM only one device of the group, remove the virtual IOMMU, or put the devices behind one "
        "`pcie-to-pci-bridge` in the guest, where they share an address space."
    ),
    says=("vfio {device}: group {group} used in multiple address spaces",),
)

KINDS = (NO_IOMMU_GROUP, NOIOMMU_GROUP, GROUP_NOT_VIABLE, RESERVED_REGION, SHARED_GROUP, GROUP_SPLIT)
