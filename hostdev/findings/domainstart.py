"""What libvirt, QEMU and virt-launcher say while a domain is made, started, changed or moved."""

from __future__ import annotations

from hostdev.findings.boot import HOTPLUG_DISK_BESIDE_DEVICE
from hostdev.findings.rule import BOTH_VARIABLES, IN_VIRT_LAUNCHER, MEDIATED, NOT_MEDIATED, Rule, Sureness, older_than
from hostdev.findings.trouble import Trouble

VFIO_NOT_IN_POD = Trouble(
    code="vfio-not-in-pod",
    title="The pod was given no VFIO node: the device is on its network driver, or not of a plugin for VMs",
    cause=(
        "libvirt looks for `/dev/vfio/vfio` and IOMMU groups. In a pod the node only exists if the device plugin gave "
        "one: the SR-IOV device plugin does so for VFs on vfio-pci, and not for those on a network driver "
        "(`deviceType: netdevice`). The host itself may be in order."
    ),
    hint="make VFs for VMs with deviceType vfio-pci, and look at /dev/vfio in the container compute",
    remedy=(
        "1. `kubectl exec POD -c compute -- ls -l /dev/vfio`: without `vfio` the plugin gave no VFIO node.\n"
        "2. SR-IOV operator: `deviceType: vfio-pci` in the policy. Else bind the VFs: `passgate node bind DEVICE`.\n"
        "3. Is IOMMU on in the node at all? `passgate node doctor`."
    ),
    look="kubectl exec POD -c compute -- ls -l /dev/vfio",
    issues=("kubevirt/kubevirt#4226",),
)

CONFIG_SPACE_DENIED = Trouble(
    code="config-space-denied",
    title="libvirt may not open the device's config space in sysfs",
    cause=(
        "libvirt or QEMU opens `/sys/bus/pci/devices/…/config` for writing. In the pod /sys is mounted read-only, "
        "SELinux forbids it, or the user may not: old KubeVirt with libvirt before 5.6 resets devices itself."
    ),
    hint="look for SELinux denials on the node, and use a newer KubeVirt",
    remedy=(
        "1. `ausearch -m avc -ts recent` on the node; `getenforce`.\n"
        "2. In the pod, `managed='no'` with the device bound to vfio-pci beforehand needs no write to sysfs: "
        "`passgate node bind DEVICE`.\n"
        "3. KubeVirt 0.36 and later."
    ),
    look="ausearch -m avc -ts recent",
    issues=("kubevirt/kubevirt#2848",),
)

CGROUP_DENIES_VFIO = Trouble(
    code="cgroup-denies-vfio",
    title="The device cgroup of the container does not allow the VFIO node",
    cause=(
        "`Operation not permitted` on `/dev/vfio/…` is the device cgroup: the file is there, and the container may not "
        "open it. The node was not given by a device plugin (or DRA), or it was made after the container started. "
        "`Permission denied` would be the file's mode, its owner, or SELinux."
    ),
    hint="let a device plugin give the pod the group's node, and do not mount /dev/vfio from the host",
    remedy=(
        "1. `passgate node who DEVICE`: was the device given to this pod?\n"
        "2. A group whose number changed since the plugin started: restart the plugin's pod.\n"
        "3. Outside of Kubernetes: `cgroup_device_acl` of libvirt's qemu.conf, `--device /dev/vfio/N` of the container."
    ),
    look="passgate node who DEVICE",
    issues=("kata-containers/runtime#2774",),
)

NO_FREE_PORT = Trouble(
    code="no-free-port",
    title="The running guest has no free root port for one more device",
    cause=(
        "Each PCI Express device that is plugged into a running guest needs an empty root port, and ports cannot be "
        "added to a running guest. libvirt makes few spare ones."
    ),
    hint="add root ports to the domain, or attach it for the next start (--config in place of --live)",
    remedy=(
        "1. `<controller type='pci' model='pcie-root-port'/>`, one for each device to come, and start the guest anew.\n"
        "2. `virsh attach-device DOMAIN FILE --config` attaches it at the next start, where libvirt makes a port.\n"
        "3. KubeVirt: the annotation for placeholder ports, or fewer devices; it has no hot-plug of host devices."
    ),
    look="virsh dumpxml DOMAIN",
    issues=("kubevirt/kubevirt#11981",),
)

MIGRATION_NOT_POSSIBLE = Trouble(
    code="migration-not-possible",
    title="A VM with a passed-through device cannot be migrated live",
    cause=(
        "The device's state is in the hardware. Only devices whose vendor driver implements migration can move (some "
        "VFs on mlx5_vfio_pci, qat_vfio_pci, some vGPUs), and KubeVirt migrates host devices only where it knows them; "
        "SR-IOV interfaces it unplugs and plugs again."
    ),
    hint="shut the VM down and start it on the other node",
    remedy=(
        "1. For a drain: `evictionStrategy: None` or `LiveMigrateIfPossible`, and `virtctl stop VM`.\n"
        "2. VFs as interfaces of the VM (sriov) are unplugged for the migration; use teaming in the guest.\n"
        "3. `passgate node show DEVICE` tells whether a variant driver holds it."
    ),
    look="passgate node show DEVICE",
    issues=("kubevirt/kubevirt#4874", "intel/gvt-linux#207"),
)

IOMMUFD_UNMAP = Trouble(
    code="iommufd-unmap-failed",
    title="QEMU's iommufd backend failed while a device was unplugged",
    cause=(
        "Early releases of QEMU with iommufd free the same address space twice when a device goes, or close it too "
        "early. The device is gone from the guest; the messages come after that."
    ),
    hint="use a newer QEMU, or the group backend (no iommufd)",
    remedy="Leave `iommufd` out of the device (`<driver iommufd='yes'>`, `iommufd=` of vfio-pci) until QEMU is newer.",
    look="qemu-system-x86_64 --version",
)

ADDRESS_VARIABLE_MISSING = Trouble(
    code="address-variable-missing",
    title="The device plugin of the resource sets no variable that KubeVirt reads",
    cause=(
        "KubeVirt takes addresses from PCI_RESOURCE_… (vGPUs: MDEV_PCI_RESOURCE_…) in the container. The list `Device: "
        "[]` is empty: the resource belongs to a plugin for containers (`nvidia.com/gpu` of nvidia-device-plugin), or "
        "the variable has another name than the resource."
    ),
    hint="use a resource of KubeVirt's own plugin or of kubevirt-gpu-device-plugin; compare the variables of compute",
    remedy=(
        "1. `kubectl exec POD -c compute -- env | grep RESOURCE` shows the variables: their names are the resource in "
        "capitals, with _ for what is no letter or digit.\n"
        "2. `nvidia.com/gpu` is for containers. Take the resource of the model (`nvidia.com/TU104GL_Tesla_T4`) from "
        "`kubectl describe node`.\n"
        "3. After an upgrade restart the plugin, and make claims of the device anew."
    ),
    look="kubectl exec POD -c compute -- env",
    issues=("kubevirt/kubevirt#14387", "harvester/harvester#3763"),
)

IOMMUFD_MISSING = Trouble(
    code="iommufd-missing",
    title="A device is to be used by way of iommufd, and there is none",
    cause=(
        "iommufd needs a QEMU that was built with it, the kernel's module iommufd (CONFIG_IOMMUFD), and `/dev/iommu` "
        "in the container. One of the three is missing here. The group backend (`/dev/vfio/N`) needs none of them."
    ),
    hint="look whether /dev/iommu is there, or leave iommufd out of the device",
    remedy=(
        "1. `modprobe iommufd; ls -l /dev/iommu` on the node; a kernel without it says that there is no such module.\n"
        "2. In a pod the device plugin gives `/dev/iommu` too: `kubectl exec POD -c compute -- ls -l /dev/iommu`.\n"
        "3. `invalid object type: iommufd` is a QEMU without it (before 9.0, or built without).\n"
        "4. Else leave `iommufd` out of the device (`<driver iommufd='yes'>`, `iommufd=` of vfio-pci)."
    ),
    look="ls -l /dev/iommu",
)

TROUBLES = (
    IOMMUFD_MISSING,
    VFIO_NOT_IN_POD,
    CONFIG_SPACE_DENIED,
    CGROUP_DENIES_VFIO,
    NO_FREE_PORT,
    MIGRATION_NOT_POSSIBLE,
    IOMMUFD_UNMAP,
    ADDRESS_VARIABLE_MISSING,
)

_NO_PASSTHROUGH = (
    "host doesnt support passthrough of host PCI devices",
    "host doesnt support VFIO PCI passthrough",
    # libvirt 12.
    "VFIO PCI device assignment is not supported by the host",
    "VFIO device assignment is currently not supported on this system",
    "host doesnt support legacy PCI passthrough",
    "Mediated host device assignment requires VFIO support",
)
_NOT_MENDED = older_than(*HOTPLUG_DISK_BESIDE_DEVICE.mended)
_DEFAULT_BACKEND = ("pci backend driver type default is not supported", "pci backend driver default is not supported")

_NODE_GONE = (
    "open /dev/vfio/{any}: No such file or directory",
    "/dev/vfio/{any} does not exist",
    "stat /dev/vfio/{any}: no such file or directory",
)
_NODE_CODES = ("address-not-allocated", "not-bound-to-vfio", "vfio-node-missing")

RULES = (
    Rule("no-iommu", _NO_PASSTHROUGH, sure=Sureness.ONE_OF),
    Rule(
        "no-iommu",
        ("No IOMMU detected, please activate it", "cannot prepare PCI pass-through, IOMMU not present"),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "iommufd-missing",
        (
            "invalid object type: iommufd",
            "/dev/iommu: No such file or directory",
            "cannot open IOMMUFD device",
            "IOMMUFD is not supported on this platform",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule("vfio-module-missing", _NO_PASSTHROUGH, sure=Sureness.ONE_OF),
    Rule("vfio-not-in-pod", _NO_PASSTHROUGH[:3], (IN_VIRT_LAUNCHER,), Sureness.LIKELY),
    Rule("vfio-not-in-pod", _NO_PASSTHROUGH[:3], sure=Sureness.ONE_OF),
    Rule("hotplug-disk-beside-device", _NO_PASSTHROUGH[:3], (_NOT_MENDED,), Sureness.ONE_OF),
    Rule("hotplug-disk-beside-device", _DEFAULT_BACKEND, (_NOT_MENDED,), Sureness.ONE_OF),
    Rule("vfio-module-missing", _DEFAULT_BACKEND, sure=Sureness.ONE_OF),
    Rule("vfio-not-in-pod", _DEFAULT_BACKEND, sure=Sureness.ONE_OF),
    Rule(
        "config-space-denied",
        (
            "Failed to open config space file {any} Permission denied",
            "/sys/{any}/config: Permission denied",
            "/sys/{any}/config: Read-only file system",
            "Failed to open config space file {any} Read-only file system",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "cgroup-denies-vfio",
        ("/dev/vfio/{any}: Operation not permitted", "open /dev/vfio/{any} operation not permitted"),
        over=("vfio-node-missing",),
    ),
    Rule(
        "vfio-node-missing",
        ("/dev/vfio/{any}: Permission denied", "open /dev/vfio/{any} permission denied"),
        sure=Sureness.LIKELY,
    ),
    *(Rule(code, _NODE_GONE, sure=Sureness.ONE_OF) for code in _NODE_CODES),
    Rule("no-iommu-group", ("no iommu_group found", "no iommu_group for device"), sure=Sureness.LIKELY),
    Rule(
        "no-free-port",
        (
            "error: Failed to attach device {any} No more available PCI slots",
            "No more available PCI slots",
            "Bus {any} does not support hotplugging",
            "PCI: no slot/function available for",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "no-free-place",
        ("No more available PCI slots", "internal error: No more available PCI slots"),
        sure=Sureness.ONE_OF,
    ),
    Rule(
        "guest-address-taken",
        (
            "PCI: slot {any} function {any} not available for {any}, in use by",
            "not available for vfio-pci, in use by",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "guest-address-impossible",
        (
            "Only PCI device addresses with function=0 are supported",
            # libvirt before 2.
            "Single function device addresses with function=0 expected",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "migration-not-possible",
        (
            "cannot migrate a domain with <hostdev",
            # QEMU 7 and 8, 9, 11.
            "VFIO device doesnt support migration",
            "VFIO migration is not supported in kernel",
            "Migration is disabled for VFIO device",
            "VFIO device doesnt support device and IOMMU dirty tracking",
            "Multiple VFIO devices migration is supported only if all of them support P2P migration",
            # KubeVirt before 1.9, and since.
            "VMI uses a PCI host devices",
            "VMI specifies non-migratable generic PCI host device",
            "VMI specifies non-migratable GPU device",
            "VMI specifies a GPU but feature gate VGPULiveMigration is not enabled",
            "HostDeviceNotLiveMigratable",
        ),
    ),
    Rule(
        "iommufd-unmap-failed",
        (
            "Failed to free id: {any} Inappropriate ioctl for device",
            "Failed to free id: {any} No such file or directory",
            "IOMMU_IOAS_UNMAP failed: No such file or directory",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "vfio-cdev-missing",
        (
            "cannot open VFIO device /dev/vfio/devices/",
            "/dev/vfio/devices/{any}: No such file or directory",
            "failed to find vfio-dev",
            "no such file or directory {any} /dev/vfio/devices/",
        ),
        over=("noiommu-group", *_NODE_CODES),
    ),
    Rule(
        "address-variable-missing",
        (
            "the number of GPU/s do not match the number of devices {any} Device: []",
            "the number of generic host-devices do not match the number of devices {any} Device: []",
            # KubeVirt since 1.6.
            "the number of device plugin GPU/s do not match the number of devices {any} Device: []",
            "the number of device plugin HostDevice/s do not match the number of devices {any} Device: []",
        ),
        sure=Sureness.LIKELY,
        over=("no-address-left",),
    ),
    Rule(
        "address-variable-missing",
        ("PCI_RESOURCE_{any} not set for resource", "MDEV_PCI_RESOURCE_{any} not set for resource"),
        (BOTH_VARIABLES,),
        Sureness.LIKELY,
        over=("no-address-left",),
    ),
    Rule(
        "device-not-permitted",
        (
            "is not permitted in permittedHostDevices configuration",
            "is not permitted in kubevirt-host-device-plugin-config",
        ),
    ),
    Rule(
        "sidecar-gate",
        ("sidecar feature gate is not enabled in kubevirt-config", "sidecar feature gate is not enabled"),
        over=("gate-closed",),
    ),
    Rule(
        "gate-closed",
        (
            "GPU feature gate is not enabled",
            "Host Devices feature gate is not enabled",
            "feature gate is not enabled in kubevirt",
            "DRA enabled {any} but feature gate is not enabled",
        ),
    ),
    Rule(
        "group-not-viable",
        (
            "group {group} is not viable",
            "group is not viable",
            "group {group} not viable",
            "ensure all devices within the iommu_group are bound to",
            "ensure all devices within the iommu group are bound to",
        ),
        over=("allocate-failed", "dra-not-prepared"),
    ),
    Rule(
        "device-in-use",
        (
            "/dev/vfio/{any}: Device or resource busy",
            "PCI device {any} is in use",
            "PCI device {any} is already in use by domain",
            "PCI device {any} allocated from network {any} is already in use by domain",
            "mediated device {any} is in use",
        ),
    ),
    Rule(
        "device-in-use",
        (
            "error getting device from group {any}: Device or resource busy",
            "error getting device {any} from group {any}: Device or resource busy",
        ),
        (NOT_MEDIATED,),
    ),
    Rule("mdev-missing", ("mediated device {any} not found", "/sys/bus/mdev/devices/{any}: No such file or directory")),
    Rule(
        "device-missing",
        (
            "no such host device",
            "not found: could not access /sys/bus/pci/devices/",
            "no pci device info for device",
            "Failed to open config space file {any} No such file or directory",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "mdev-missing",
        ("no such host device", "/sys/bus/mdev/devices/{any}: no such host device"),
        (MEDIATED,),
        Sureness.LIKELY,
        ("device-missing",),
    ),
)
