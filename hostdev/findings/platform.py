"""Findings about the machine as a whole: its IOMMU, its VFIO, and what could not be seen of it."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

VFIO_MODULE_MISSING = FindingKind(
    code="vfio-module-missing",
    severity=Severity.ERROR,
    title="The kernel's VFIO is not loaded",
    cause=(
        "VFIO needs a driver that holds the device (vfio-pci or one of its variants) and a backend that programs the "
        "IOMMU (vfio_iommu_type1, or iommufd). One of them is not in `/sys/module`."
    ),
    hint="modprobe vfio-pci",
    remedy=(
        "```sh\nmodprobe vfio-pci\necho vfio-pci > /etc/modules-load.d/vfio-pci.conf    # for the next boot\n```\n\n"
        "It brings vfio and vfio_iommu_type1 along. If the module does not exist, the kernel was built without "
        "CONFIG_VFIO_PCI; if it is on a denylist in `/etc/modprobe.d`, remove it there."
    ),
    says=(
        "host doesn't support passthrough of host PCI devices",
        "pci backend driver type 'default' is not supported",
        "failed to setup container for group {any}: No available IOMMU models",
        "supported vfio version: {any}, reported version: {any}",
        "Failed to load PCI driver module vfio_pci",
    ),
)

VFIO_NODE_MISSING = FindingKind(
    code="vfio-node-missing",
    severity=Severity.ERROR,
    title="A device node below /dev/vfio is not there",
    cause=(
        "QEMU opens `/dev/vfio/vfio` and `/dev/vfio/GROUP`. The node of a group exists while a device of the group is "
        "bound to a vfio driver; a pod sees it only if the device plugin handed it to the compute container, and may "
        "open it only if the device cgroup and the file's mode allow it. A group's number can change with each boot, "
        "so an allocation from before the reboot may name a node that is gone."
    ),
    hint="check that the device plugin gave this group to the compute container",
    remedy=(
        "On the node: `ls -l /dev/vfio` and `readlink /sys/bus/pci/devices/DEVICE/iommu_group`. If the node is there "
        "and the pod does not see it, the compute container must request the device's resource. If the number changed, "
        "restart the device plugin and create the VM's pod anew."
    ),
    says=(
        "vfio {device}: Could not open '/dev/vfio/{group}': No such file or directory",
        "vfio {device}: failed to open /dev/vfio/{group}: No such file or directory",
        "vfio {any}: Could not open '/dev/vfio/{any}': Permission denied",
        "vfio {any}: failed to open /dev/vfio/{any}: Permission denied",
        "failed to open /dev/vfio/vfio",
        "vfio {any}: failed to get group {any} status",
        "host doesn't support passthrough of host PCI devices",
    ),
    issues=("k8snetworkplumbingwg/sriov-network-device-plugin#451", "harvester/pcidevices#97"),
)

VFIO_CDEV_MISSING = FindingKind(
    code="vfio-cdev-missing",
    severity=Severity.INFO,
    title="The device has a vfio-dev entry, yet no node below /dev/vfio/devices",
    cause=(
        "From Linux 6.1 on sysfs shows `vfio-dev/vfioN` for each device on a vfio driver, but the node "
        "`/dev/vfio/devices/vfioN` only exists with CONFIG_VFIO_DEVICE_CDEV, which Debian's kernels lack. The classic "
        "`/dev/vfio/GROUP` works all the same. iommufd does not, and KubeVirt 1.9.0 hands the missing node to the "
        "container runtime even with the IOMMUFD feature gate off, so that the virt-launcher pod is not created."
    ),
    hint=(
        "it matters to KubeVirt 1.9.0 and iommufd alone: "
        "take a later KubeVirt, or a kernel with CONFIG_VFIO_DEVICE_CDEV"
    ),
    remedy=(
        "Update KubeVirt to a release after 1.9.0, in which nodes that do not exist are left out. Do not ask for "
        "iommufd on this node, or boot a kernel that has CONFIG_IOMMUFD and CONFIG_VFIO_DEVICE_CDEV."
    ),
    says=(
        "lstat /dev/vfio/devices/{cdev}: no such file or directory",
        "is your kernel config missing CONFIG_VFIO_DEVICE_CDEV?",
        "error bind device fd={any} to iommufd={any}",
    ),
    issues=("kubevirt/kubevirt#18895", "kubevirt/kubevirt#18905", "kubevirt/kubevirt#18300"),
)


HOST_UNREADABLE = FindingKind(
    code="host-unreadable",
    severity=Severity.WARNING,
    title="Something of the host could not be looked at",
    cause=(
        "A file or directory that a verdict rests on could not be read, so that the verdict is open: it is neither "
        "passed nor failed. In a container this is normal for `/sys/firmware` (masked by the container runtime), for "
        "`/dev/vfio` (only the nodes of the container's own devices are there) and for attributes that a kernel of "
        "this age does not offer yet; it is then told as information only."
    ),
    hint="look again as root on the node itself",
    remedy=(
        "Run `passgate node doctor` as root on the node, outside of any container. If the message names an I/O error "
        "(EIO, ENODEV), the device has gone or no longer answers: look into `dmesg`."
    ),
)


SET_IOMMU_REFUSED = (
    "vfio {device}: failed to setup container for group {group}: "
    "Failed to set iommu for container: Operation not permitted"
)
"""What QEMU says when the kernel will not attach a group, whatever the reason."""

NO_IOMMU = FindingKind(
    code="no-iommu",
    severity=Severity.ERROR,
    title="The kernel shows no IOMMU",
    cause=(
        "The kernel made no IOMMU groups (`/sys/kernel/iommu_groups` is empty) and lists no IOMMU in "
        "`/sys/class/iommu`. Without one a device could write to all of the host's memory, so VFIO does not give it "
        "to a VM. Either the firmware has VT-d, AMD-Vi or the SMMU switched off, or the kernel was told not to use it. "
        "A table named DMAR (Intel), IVRS (AMD) or IORT (Arm) in `/sys/firmware/acpi/tables` tells that the firmware "
        "has it on."
    ),
    hint="turn the IOMMU on in the firmware, add intel_iommu=on on Intel, reboot",
    remedy=(
        "1. In the firmware's setup turn on VT-d (Intel), AMD-Vi or IOMMU (AMD), or the SMMU (Arm).\n"
        "2. On Intel add `intel_iommu=on` to the kernel command line. On AMD nothing is needed: `amd_iommu=on` is not "
        "an option of the kernel.\n"
        "3. Remove `iommu=off`, `intel_iommu=off` and `amd_iommu=off` from the kernel command line.\n"
        "4. Reboot, then `ls /sys/kernel/iommu_groups` must show numbers.\n\n"
        "On POWER and s390x there is nothing to turn on: `dmesg` tells why the kernel made no groups.\n"
        "If the node is itself a VM, its hypervisor must give it a virtual IOMMU; in libvirt's XML that is "
        "`<iommu model='intel'><driver intremap='on' caching_mode='on'/></iommu>` on q35, with `<ioapic "
        "driver='qemu'/>` among the features, and `intel_iommu=on` for the kernel in the VM."
    ),
    says=(
        "host doesn't support passthrough of host PCI devices",
        "host doesn't support VFIO PCI passthrough",
        "Mediated host device assignment requires VFIO support",
        "vfio-pci {device}: probe with driver vfio-pci failed with error -22",
        "vfio-pci: probe of {device} failed with error -22",
    ),
)

IOMMU_DISABLED = FindingKind(
    code="iommu-disabled",
    severity=Severity.ERROR,
    title="The kernel command line turns the IOMMU off",
    cause=(
        "`iommu=off`, `intel_iommu=off` or `amd_iommu=off` stands on the kernel command line and there are no IOMMU "
        "groups. `iommu=pt` is something else and does no harm: it only lets the host's own drivers bypass the "
        "translation."
    ),
    hint="remove the option from the kernel command line and reboot",
    remedy=(
        "Remove the option where the boot loader gets it from (`/etc/default/grub`, `grubby --remove-args=…`, the "
        "machine configuration of the cluster), write the boot loader's configuration anew and reboot. On Intel put "
        "`intel_iommu=on` in its place."
    ),
)

IOMMU_PASSTHROUGH_OFF = FindingKind(
    code="iommu-passthrough-off",
    severity=Severity.INFO,
    title="The host's own DMA is translated too (iommu=pt is not set)",
    cause=(
        "The IOMMU translates the DMA of the host's own drivers as well, which costs them some throughput and guards "
        "the host against its own devices. Passing devices to VMs works either way: `iommu=pt` has nothing to do with "
        "VM passthrough in spite of its name."
    ),
    hint="add iommu=pt only if the host's own devices are too slow",
    remedy="Nothing needs to be done. `iommu=pt` (on Arm `iommu.passthrough=1`) on the kernel command line trades that "
    "protection for speed.",
)

ACS_OVERRIDE = FindingKind(
    code="acs-override",
    severity=Severity.WARNING,
    title="The kernel was told to pretend that devices are isolated",
    cause=(
        "`pcie_acs_override=` on the kernel command line (an option of patched kernels) splits IOMMU groups although "
        "the hardware may pass traffic between the devices behind the IOMMU's back. A VM can then reach the memory of "
        "a device that belongs to the host or to another VM."
    ),
    hint="use slots whose root ports have ACS, and remove pcie_acs_override",
    remedy=(
        "Put the device into a slot below a root port or switch with ACS, and boot without the option. Keep it only "
        "on machines where every guest is trusted."
    ),
)

NO_INTERRUPT_REMAPPING = FindingKind(
    code="no-interrupt-remapping",
    severity=Severity.ERROR,
    title="Interrupt remapping is turned off",
    cause=(
        "Without interrupt remapping a guest could make its device raise any interrupt on the host, so VFIO refuses "
        "to attach the group. `intremap=off` or `nointremap` on the kernel command line turned it off."
    ),
    hint="remove intremap=off and nointremap from the kernel command line and reboot",
    remedy=(
        "Remove the option and reboot; `dmesg | grep -i remapping` then tells that interrupt remapping is enabled. "
        "On hardware that cannot do it, `options vfio_iommu_type1 allow_unsafe_interrupts=1` in `/etc/modprobe.d` "
        "lets trusted guests run all the same (see unsafe-interrupts)."
    ),
    says=(
        SET_IOMMU_REFUSED,
        'No interrupt remapping support.  Use the module param "allow_unsafe_interrupts" to enable VFIO IOMMU support',
    ),
)

UNSAFE_INTERRUPTS = FindingKind(
    code="unsafe-interrupts",
    severity=Severity.WARNING,
    title="VFIO accepts devices whose interrupts are not guarded",
    cause=(
        "`allow_unsafe_interrupts` of vfio_iommu_type1 is on. On hardware without interrupt remapping a guest can "
        "then disturb the host by raising interrupts that are not its own; on hardware with it the option does "
        "nothing and hides a remapping that failed."
    ),
    hint="turn it off where the hardware has interrupt remapping",
    remedy=(
        "Remove `allow_unsafe_interrupts=1` from `/etc/modprobe.d` and `vfio_iommu_type1.allow_unsafe_interrupts=1` "
        "from the kernel command line, then reboot. If devices are refused after that, see no-interrupt-remapping."
    ),
)


KINDS = (
    VFIO_MODULE_MISSING,
    VFIO_NODE_MISSING,
    VFIO_CDEV_MISSING,
    HOST_UNREADABLE,
    NO_IOMMU,
    IOMMU_DISABLED,
    IOMMU_PASSTHROUGH_OFF,
    ACS_OVERRIDE,
    NO_INTERRUPT_REMAPPING,
    UNSAFE_INTERRUPTS,
)
