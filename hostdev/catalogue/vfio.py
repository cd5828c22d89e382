"""Findings about the kernel's VFIO: modules and device nodes."""

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
    hint="update KubeVirt beyond 1.9.0, or boot a kernel with CONFIG_VFIO_DEVICE_CDEV",
    remedy=(
        "Update KubeVirt to a release after 1.9.0, in which nodes that do not exist are left out. Do not ask for "
        "iommufd on this node, or boot a kernel that has CONFIG_IOMMUFD and CONFIG_VFIO_DEVICE_CDEV."
    ),
    says=(
        "lstat /dev/vfio/devices/{cdev}: no such file or directory",
        "is your kernel config missing CONFIG_VFIO_DEVICE_CDEV?",
        "error bind device fd={any} to iommufd={any}",
    ),
)

KINDS = (VFIO_MODULE_MISSING, VFIO_NODE_MISSING, VFIO_CDEV_MISSING)
