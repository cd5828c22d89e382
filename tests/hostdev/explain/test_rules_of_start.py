"""Rules of a VM's start and of its memory: messages of each, and a near one that it must not take."""

from __future__ import annotations

import pytest

from tests.hostdev.explain.ruletable import (
    FROM_GROUP,
    OLD_FROM_GROUP,
    RULES_OF_START,
    UUID,
    Row,
    judge_row,
    lacking,
)

MAP = "kvm: vfio_container_dma_map(0x5e043daea2f0, {}, 0x771a6ce00000) = -{}"
HIGH, RESERVED, LOW = "0x380010000000, 0x2000000", "0xfee00000, 0x1000", "0x100000, 0x7ff00000"
TYPE1 = "VFIO_MAP_DMA failed: {}"
IOAS = "qemu-system-x86_64: IOMMU_IOAS_MAP failed: {}"
FATAL = (
    "vfio: DMA mapping failed, unable to continue",
    "qemu: hardware error: vfio: DMA mapping failed, unable to continue",
)
NOT_FATAL = "vhost-vdpa: DMA mapping failed, unable to continue"
NO_PASSTHROUGH = (
    "unsupported configuration: host doesn't support passthrough of host PCI devices",
    "unsupported configuration: VFIO PCI device assignment is not supported by the host",
)
EMULATED = "unsupported configuration: VFIO CCW device assignment is not supported by this version of QEMU"
BACKEND = (
    "unsupported configuration: pci backend driver type 'default' is not supported",
    "error: pci backend driver 'default' is not supported",
)
OTHER_BACKEND = "unsupported configuration: pci backend driver type 'kvm' is not supported"
LAUNCHER = '{{"component":"virt-launcher","level":"error","msg":"{}","subcomponent":"libvirt"}}'
NODE_GONE = (
    "qemu-kvm: -device vfio-pci: failed to open /dev/vfio/12: No such file or directory",
    "stat /dev/vfio/12: no such file or directory",
)
NODE_THERE = "qemu-kvm: -device vfio-pci: failed to open /dev/vhost-net: No such file or directory"
COUNT = "failed to create {}: the number of {} do not match the number of devices:\\nGPU: [gpu1]\\nDevice: {}"

TABLE: tuple[Row, ...] = (
    Row(
        "guest-address-width",
        (MAP.format(HIGH, "22 (Invalid argument)"), f"{TYPE1.format('Invalid argument')}\n{MAP.format(HIGH, 22)}"),
        MAP.format(LOW, "22 (Invalid argument)"),
        ("above-width", "not-of-a-bar"),
    ),
    Row(
        "guest-address-width",
        (
            "DMAR: intel_iommu_map: iommu width (39) is not sufficient for the mapped address (ffff008000)",
            "vfio_container 0x55d: Container 0x55d can't map guest IOVA region 0x380000000000..0x380000000fff",
        ),
        "DMAR: Host address width 39, the mapped address is ffff008000",
    ),
    *(
        Row(code, FATAL, NOT_FATAL)
        for code in (
            *("guest-address-width", "memlock-not-raised", "reserved-region", "dma-map-limit", "memory-not-pinned"),
        )
    ),
    Row(
        "reserved-region",
        (
            MAP.format(RESERVED, "22 (Invalid argument)"),
            f"{IOAS.format('Invalid argument')}\n{MAP.format(RESERVED, 22)}",
        ),
        MAP.format(HIGH, "22 (Invalid argument)"),
        ("in-reserved", "not-of-a-bar"),
    ),
    Row(
        "peer-mapping-failed",
        (
            f"Region 0000:3b:00.0 BAR 1: {MAP.format(HIGH, '22 (Invalid argument)')}",
            f"Region 0000:3b:00.0 BAR 1: {TYPE1.format('Invalid argument')}",
        ),
        f"Region pc.ram: {MAP.format(HIGH, '22 (Invalid argument)')}",
        ("of-a-bar",),
    ),
    Row(
        "peer-mapping-failed",
        (
            "kvm: failed to vfio_dma_map. pci p2p may not work",
            "kvm: warning: IOMMU_IOAS_MAP failed: Bad address, PCI BAR?",
            "kvm: warning: VFIO dma-buf not supported in kernel, using mmap fallback, P2P DMA will not work",
        ),
        "kvm: IOMMU_IOAS_MAP failed: Bad address",
    ),
    Row(
        "dma-map-limit",
        (
            MAP.format(LOW, "28 (No space left on device)"),
            TYPE1.format("No space left on device"),
            IOAS.format("No space left on device"),
        ),
        MAP.format(LOW, "12 (Cannot allocate memory)"),
    ),
    Row(
        "dma-map-limit-near",
        (
            "kvm: warning: vfio_register_ram_discard_listener: possibly running out of DMA mappings. E.g., try",
            "try increasing the 'block-size'. Maximum possible DMA mappings: 65535, Maximum possible memslots: 509",
        ),
        "kvm: warning: vfio_register_ram_discard_listener: possibly running out of memslots. E.g., try",
    ),
    Row(
        "memlock-not-raised",
        (
            MAP.format(LOW, "12 (Cannot allocate memory)"),
            TYPE1.format("Cannot allocate memory"),
            "vfio_pin_pages_remote: Task qemu-kvm (812) RLIMIT_MEMLOCK (65536) exceeded",
        ),
        MAP.format(LOW, "28 (No space left on device)"),
    ),
    Row(
        "memlock-refused",
        (
            "libvirt:  error : cannot limit locked memory of process 84 to 9074376704: Operation not permitted",
            "libvirt:  error : cannot limit locked memory of process to 18253611008: Operation not permitted",
        ),
        "libvirt:  error : cannot limit core file size of process 84 to 9074376704: Operation not permitted",
    ),
    Row(
        "memlock-refused",
        (
            "libvirt:  error : cannot limit locked memory of process 84 to 9074376704: No such process",
            "libvirt:  error : cannot limit locked memory of process to 9074376704",
        ),
        "libvirt:  error : cannot limit number of open files of process 84 to 9074376704: No such process",
    ),
    Row(
        "memlock-refused",
        (
            'virt-launcher-vm: "failed to set process 84 memlock rlimit to 9074376704: operation not permitted"',
            'virt-launcher-vm: "failed to adjust resources: failed to set process 84 memlock rlimit to unlimited: x"',
        ),
        'cilium-agent: "failed to set process 84 memlock rlimit to 9074376704: operation not permitted"',
        ("in-virt-launcher",),
    ),
    Row(
        "memory-not-pinned",
        (MAP.format(LOW, "14 (Bad address)"), TYPE1.format("Bad address"), IOAS.format("Bad address")),
        MAP.format(LOW, "28 (No space left on device)"),
    ),
    Row(
        "iommu-not-usable",
        (
            MAP.format(LOW, "2 (No such file or directory)"),
            TYPE1.format("No such file or directory"),
            IOAS.format("No such file or directory"),
        ),
        MAP.format(LOW, "28 (No space left on device)"),
    ),
    Row("no-iommu", NO_PASSTHROUGH, EMULATED),
    Row(
        "no-iommu",
        (
            "No IOMMU detected, please activate it.See Documentation for further information.",
            "TASK ERROR: cannot prepare PCI pass-through, IOMMU not present",
        ),
        "IOMMU detected, see Documentation for further information.",
    ),
    Row(
        "iommufd-missing",
        (
            "qemu-system-x86_64: -object iommufd,id=iommufd0: invalid object type: iommufd",
            "cannot open IOMMUFD device: /dev/iommu: No such file or directory",
        ),
        "qemu-system-x86_64: -object iommufd,id=iommufd0: invalid object id: iommufd",
    ),
    Row("vfio-module-missing", NO_PASSTHROUGH, EMULATED),
    Row(
        "vfio-not-in-pod",
        tuple(LAUNCHER.format(one) for one in NO_PASSTHROUGH),
        LAUNCHER.format(EMULATED),
        ("in-virt-launcher",),
    ),
    Row("vfio-not-in-pod", NO_PASSTHROUGH, EMULATED),
    Row(
        "hotplug-disk-beside-device",
        tuple(f"KubeVirt v1.7.2: {one}" for one in NO_PASSTHROUGH),
        f"KubeVirt v1.8.3: {NO_PASSTHROUGH[0]}",
        ("older",),
    ),
    Row(
        "hotplug-disk-beside-device",
        tuple(f"KubeVirt v1.7.2: {one}" for one in BACKEND),
        f"KubeVirt v1.8.3: {BACKEND[0]}",
        ("older",),
    ),
    Row("vfio-module-missing", BACKEND, OTHER_BACKEND),
    Row("vfio-not-in-pod", BACKEND, OTHER_BACKEND),
    Row(
        "config-space-denied",
        (
            "Failed to open config space file '/sys/bus/pci/devices/0000:3d:06.2/config': Permission denied",
            "Failed to open config space file '/sys/bus/pci/devices/0000:3d:06.2/config': Read-only file system",
        ),
        "Failed to open config space file '/sys/bus/pci/devices/0000:3d:06.2/config': No such file or directory",
    ),
    Row(
        "cgroup-denies-vfio",
        (
            "vfio error: 0000:3b:00.4: failed to open /dev/vfio/84: Operation not permitted",
            "container: open /dev/vfio/84 failed, operation not permitted",
        ),
        "vfio error: 0000:3b:00.4: failed to open /dev/vfio/84: Permission denied",
    ),
    Row(
        "vfio-node-missing",
        (
            "vfio 0000:3b:00.4: failed to open /dev/vfio/84: Permission denied",
            "virt-launcher: open /dev/vfio/84 for 0000:3b:00.4, permission denied",
        ),
        "vfio 0000:3b:00.4: failed to open /dev/vfio/84: Operation not permitted",
    ),
    *(Row(code, NODE_GONE, NODE_THERE) for code in ("address-not-allocated", "not-bound-to-vfio", "vfio-node-missing")),
    Row(
        "no-iommu-group",
        (
            "vfio 0000:8a:00.0: no iommu_group found: No such file or directory",
            "qemu-system-x86_64: -device vfio-pci,host=8a:00.0: vfio: error no iommu_group for device",
        ),
        "vfio 0000:8a:00.0: iommu_group 12 found: No such file or directory",
    ),
    Row(
        "no-free-port",
        (
            "error: Failed to attach device from vm-sr-iov.xml\nerror: internal error: No more available PCI slots",
            "Error: Bus 'pcie.0' does not support hotplugging",
            "PCI: no slot/function available for vfio-pci, all in use or reserved",
        ),
        "Error: Bus 'pcie.0' does support hotplugging",
    ),
    Row(
        "no-free-place",
        ("error: internal error: No more available PCI slots", "error: No more available PCI slots"),
        "error: internal error: No more available CPU slots",
    ),
    Row(
        "guest-address-taken",
        (
            "kvm: -device vfio-pci,host=00:02.0: PCI: slot 2 function 0 not available for vfio-pci, in use by VGA",
            "kvm: slot 2 is not available for vfio-pci, in use by VGA",
        ),
        "kvm: -device vfio-pci,host=00:02.0: PCI: slot 2 function 0 is available for vfio-pci",
    ),
    Row(
        "guest-address-impossible",
        (
            "error: Only PCI device addresses with function=0 are supported",
            "libvirtError: internal error: Single function device addresses with function=0 expected",
        ),
        "error: Only PCI device addresses are supported",
    ),
    Row(
        "migration-not-possible",
        (
            "Operation not supported: cannot migrate a domain with <hostdev mode='subsystem' type='pci'>",
            "Error: VFIO device doesn't support migration",
            "Error: 0000:3b:00.0: VFIO migration is not supported in kernel",
            "reason: HostDeviceNotLiveMigratable message: VMI uses a PCI host devices",
            "VMI specifies non-migratable generic PCI host device",
        ),
        "Operation not supported: cannot migrate a domain with <filesystem mode='mapped' type='mount'>",
    ),
    Row(
        "iommufd-unmap-failed",
        (
            "qemu-system-aarch64: Failed to free id: 4 Inappropriate ioctl for device",
            "qemu-system-aarch64: IOMMU_IOAS_UNMAP failed: No such file or directory",
        ),
        "qemu-system-aarch64: IOMMU_IOAS_MAP failed: No such file or directory",
    ),
    Row(
        "vfio-cdev-missing",
        (
            "cannot open VFIO device /dev/vfio/devices/vfio0: No such file or directory",
            "vfio 0000:3b:00.0: failed to find vfio-dev/vfioX/dev",
        ),
        "cannot open VFIO device /dev/vfio/12: No such file or directory",
    ),
    Row(
        "address-variable-missing",
        (
            COUNT.format("GPU host-devices", "GPU/s", "[]"),
            COUNT.format("GPU host-devices", "device plugin GPU/s", "[]"),
            COUNT.format("generic host-devices", "device plugin HostDevice/s", "[]"),
        ),
        COUNT.format("GPU host-devices", "DRA GPU/s", "[]"),
    ),
    Row(
        "address-variable-missing",
        (
            "PCI_RESOURCE_X_A10 not set for resource x/A10\nMDEV_PCI_RESOURCE_X_A10 not set for resource x/A10",
            "MDEV_PCI_RESOURCE_X_A10 not set for resource x/A10\nPCI_RESOURCE_X_A10 not set for resource x/A10",
        ),
        "PCI_RESOURCE_X_A10 not set for resource x/A10\nMDEV_PCI_RESOURCE_X_A16 not set for resource x/A16",
        ("both-variables",),
    ),
    Row(
        "device-not-permitted",
        (
            "GPU nvidia.com/gpu is not permitted in permittedHostDevices configuration",
            "GPU nvidia.com/TU102 is not permitted in kubevirt-host-device-plugin-config",
        ),
        "GPU nvidia.com/gpu is permitted in permittedHostDevices configuration",
    ),
    Row(
        "sidecar-gate",
        (
            "admission webhook denied the request: sidecar feature gate is not enabled in kubevirt-config",
            "sidecar feature gate is not enabled",
        ),
        "admission webhook denied the request: VSOCK feature gate is not enabled in kubevirt-config",
    ),
    Row(
        "gate-closed",
        (
            "spec.GPUs: GPU feature gate is not enabled in kubevirt-config",
            "DecentralizedLiveMigration feature gate is not enabled in kubevirt resource",
            "vmi.spec.domain.devices.gpus contains DRA enabled GPUs but feature gate is not enabled",
        ),
        "spec.GPUs: GPU feature gate is enabled in kubevirt-config",
    ),
    Row(
        "group-not-viable",
        (
            "vfio 0000:01:00.0: group 1 is not viable",
            "error: VFIO group is not viable",
            "Please ensure all devices within the iommu_group are bound to their vfio bus driver.",
        ),
        "vfio 0000:01:00.0: group 1 is viable",
    ),
    Row(
        "device-in-use",
        (
            "vfio 0000:01:00.0: failed to open /dev/vfio/1: Device or resource busy",
            "Requested operation is not valid: PCI device 0000:01:00.0 is in use by driver QEMU, domain vm1",
            "PCI device 0000:01:00.0 allocated from network sriov is already in use by domain vm1",
        ),
        "vfio 0000:01:00.0: failed to open /dev/vfio/1: Operation not permitted",
    ),
    Row(
        "device-in-use",
        (
            FROM_GROUP.format("0000:3b:00.0", "Device or resource busy"),
            OLD_FROM_GROUP.format("0000:3b:00.0", "Device or resource busy"),
        ),
        FROM_GROUP.format(UUID, "Device or resource busy"),
        ("not-mediated",),
    ),
    Row(
        "mdev-missing",
        (
            f"device not found: mediated device '{UUID}' not found",
            f"/sys/bus/mdev/devices/{UUID}: No such file or directory",
        ),
        f"device found: mediated device '{UUID}' is there",
    ),
    Row(
        "device-missing",
        (
            "vfio 0000:3b:00.0: no such host device: No such file or directory",
            "Device 0000:3b:00.0 not found: could not access /sys/bus/pci/devices/0000:3b:00.0/config: No such file",
        ),
        "Device 0000:3b:00.0: could not access /sys/bus/pci/devices/0000:3b:00.0/rom: No such file",
    ),
    Row(
        "mdev-missing",
        (
            f"vfio {UUID}: no such host device: No such file or directory",
            f"vfio /sys/bus/mdev/devices/{UUID}: no such host device: No such file or directory",
        ),
        "vfio 0000:3b:00.0: no such host device: No such file or directory",
        ("mediated",),
    ),
    Row(
        "cloud-init-missing",
        (
            "preCloudInitIso hook\npanic: runtime error: invalid memory address or nil pointer dereference",
            "virt-launcher: cloud-init data for the hook\npanic: SIGSEGV: segmentation violation code=0x1 addr=0x0",
        ),
        "onDefineDomain hook\npanic: runtime error: invalid memory address or nil pointer dereference",
        ("in-cloud-init",),
    ),
)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.code}: {row.texts[0][:40]}")
def test_messages_lead_to_their_code_and_a_near_one_does_not(row: Row) -> None:
    judge_row(row)


def test_every_rule_has_a_row_with_two_wordings() -> None:
    assert lacking(RULES_OF_START, TABLE) == []
