"""Rules of devices, of vGPUs and of room for their memory: messages of each, and a near one that it must not take."""

from __future__ import annotations

import pytest

from hostdev.findings.rules import WRITTEN
from tests.hostdev.explain.ruletable import (
    FROM_GROUP,
    OLD_FROM_GROUP,
    RULES_OF_CLUSTER,
    RULES_OF_HARDWARE,
    RULES_OF_START,
    UUID,
    Row,
    judge_row,
    lacking,
)

VERIFY = "{}Verify all devices in group 64 are bound to vfio-<bus> or pci-stub and not already in use"
D3 = "{} 0000:01:00.0: {} from D3cold to D0{}"
PROBE = (
    "vfio-pci: probe of 0000:b1:01.0 failed with error -22",
    "vfio-pci 0000:b1:01.0: probe with driver vfio-pci failed with error -22",
)
OTHER_PROBE = "ixgbevf: probe of 0000:b1:01.0 failed with error -22"
KERNEL = "[    0.4] Hypervisor detected: KVM\n[    3.9] {}"
HOST = "[    0.4] DMAR: IOMMU enabled\n[    3.9] {}"
OLD_BAR = "pci 0000:0a:00.0: BAR {}: no space for [{} size 0x2000000000{}]"
NEW_BAR = "pci 0000:0a:00.0: {} [{} size 0x2000000000 64bit pref]: can't assign; no space"
ENABLE = "nvme 0000:0a:00.0: can't enable device: BAR 0 [mem size 0x4000 64bit] not {}"
NEW_ENABLE = "nvme 0000:0a:00.0: BAR 0 [mem size 0x4000 64bit]: not assigned; can't enable device"

TABLE: tuple[Row, ...] = (
    Row(
        "vgpu-manager-refused",
        (FROM_GROUP.format(UUID, "Input/output error"), OLD_FROM_GROUP.format(UUID, "Input/output error")),
        FROM_GROUP.format("0000:3b:00.0", "Input/output error"),
        ("mediated",),
    ),
    Row(
        "device-off-bus",
        (
            FROM_GROUP.format("0000:3b:00.0", "Input/output error"),
            OLD_FROM_GROUP.format("0000:3b:00.0", "Input/output error"),
        ),
        FROM_GROUP.format(UUID, "Input/output error"),
        ("not-mediated",),
    ),
    Row(
        "vgpu-manager-refused",
        (
            f"[31936.327747] [nvidia-vgpu-vfio] {UUID}: start failed. status: 0x1",
            "nvidia-vgpu-mgr[8626]: error: vmiop_log: (0x0): init_device_instance failed for inst 0 with error 1",
            "nvidia-vgpu-mgr[8626]: error: vmiop_log: (0x0): vGPU is supported only on VGX capable boards",
            "nvidia-vgpu-mgr[4]: error: vmiop_env_log: Failed to get VM UUID from QEMU command-line 0x57",
        ),
        f"[31936.327747] [nvidia-vgpu-vfio] {UUID}: vGPU migration enabled. status: 0x0",
    ),
    Row(
        "vgpu-manager-refused",
        (
            "nvidia-vgpu-mgr[8626]: error: vmiop_log: (0x0): Failed to get static information error 2",
            "nvidia-vgpu-mgr[8626]: error: vmiop_env_log: (0x0): Failed to attach device: 0x1f",
        ),
        "nvidia-vgpu-mgr[8626]: notice: vmiop_env_log: (0x0): Received start call from nvidia-vgpu-vfio module",
    ),
    Row(
        "mdev-not-started",
        (
            FROM_GROUP.format(UUID, "Device or resource busy"),
            f"vfio {UUID}: failed to setup container: Failed to set iommu for container: Input/output error",
        ),
        FROM_GROUP.format("0000:3b:00.0", "Device or resource busy"),
        ("mediated",),
    ),
    Row(
        "not-bound-to-vfio",
        (
            FROM_GROUP.format("0000:3b:00.0", "No such device"),
            VERIFY.format("vfio 0000:3b:00.0: error getting device: No such device\n"),
        ),
        FROM_GROUP.format(UUID, "No such device"),
        ("not-mediated",),
    ),
    Row(
        "vgpu-manager-refused",
        (
            VERIFY.format(f"vfio {UUID}: error\n"),
            f"vfio {UUID}: make sure that all of them are bound to vfio-<bus> or pci-stub",
        ),
        VERIFY.format("vfio 0000:3b:00.0: error\n"),
        ("mediated",),
    ),
    Row(
        "vgpu-no-parents",
        (
            "level=fatal msg=\"error setting VGPU config: no parent devices found for GPU at index '1'\"",
            "level=fatal msg=\"error setting VGPU config: no parent devices found for GPU at address '0000:3b:00.0'\"",
        ),
        "level=info msg=\"VGPU config set: 16 parent devices found for GPU at index '1'\"",
    ),
    Row(
        "mdev-type-exhausted",
        (
            "# echo $U > mdev_supported_types/nvidia-46/create\nbash: echo: write error: No space left on device",
            "write /sys/class/mdev_bus/0000:3b:00.0/mdev_supported_types/nvidia-46/create: too many users",
        ),
        "# cat mdev_supported_types/nvidia-46/available_instances\nbash: echo: write error: No space left on device",
    ),
    Row(
        "device-asleep",
        (
            D3.format("vfio-pci", "Unable to change power state", ", device inaccessible"),
            D3.format("vfio-pci", "can't change power state", " (config space inaccessible)"),
        ),
        D3.format("nvidia", "Unable to change power state", ", device inaccessible"),
        ("on-vfio",),
    ),
    Row(
        "lost-after-rebind",
        (
            D3.format("nvidia", "Unable to change power state", ", device inaccessible"),
            D3.format("xhci_hcd", "can't change power state", " (config space inaccessible)"),
        ),
        D3.format("vfio-pci", "Unable to change power state", ", device inaccessible"),
        ("on-host-driver",),
    ),
    Row(
        "device-asleep",
        ("vfio: Unable to power on device, stuck in D3", "Unable to power on device, stuck in D3"),
        "vfio: Unable to power on device, it is in D0",
    ),
    Row(
        "device-power-stuck",
        (
            "xhci_hcd 0000:03:00.4: Refused to change power state, currently in D3",
            "xhci_hcd 0000:03:00.4: can't change power state from D0 to D3hot (config space inaccessible)",
        ),
        "xhci_hcd 0000:03:00.4: power state changed by ACPI from D0 to D3hot",
    ),
    Row(
        "device-asleep",
        (
            "vfio-pci 0000:01:00.0: not ready 65535ms after resume; giving up",
            "vfio-pci 0000:01:00.0: device is ready 65535ms after resume; giving up",
        ),
        "vfio-pci 0000:01:00.0: not ready 65535ms after resume; waiting",
        ("on-vfio",),
    ),
    Row(
        "lost-after-rebind",
        (
            "nvidia 0000:01:00.0: not ready 65535ms after resume; giving up",
            "nvidia 0000:01:00.0: not ready 65535ms; giving up\nNVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x22)",
        ),
        "vfio-pci 0000:01:00.0: not ready 65535ms after resume; giving up",
        ("on-host-driver",),
    ),
    Row(
        "device-reset-failed",
        (
            "vfio-pci 0000:04:00.0: not ready 65535ms after FLR; giving up",
            "vfio-pci 0000:04:00.0: not ready 65535ms after bus reset; giving up",
            "vfio-pci 0000:04:00.0: not ready 65535ms after PM D3hot->D0; giving up",
        ),
        "vfio-pci 0000:04:00.0: not ready 32767ms after FLR; waiting",
    ),
    Row(
        "device-reset-failed",
        (
            "vfio-pci 0000:0d:00.0: AMD_VEGA10: failed to reset device",
            "AMD-Vi: Completion-Wait loop timed out",
            "error: Failed to reset PCI device: internal error: Unable to reset PCI device 0000:0d:00.0",
        ),
        "vfio-pci 0000:0d:00.0: AMD_VEGA10: performing BACO reset of device",
    ),
    Row(
        "no-reset-method",
        (
            "vfio: Cannot reset device 0000:0d:00.0, no available reset mechanism.",
            "internal error: Unable to reset PCI device 0000:00:02.0: no FLR, PM reset or bus reset available",
            "# echo 1 > /sys/bus/pci/devices/0000:0d:00.0/reset\nsh: echo: write error: Inappropriate ioctl for device",
        ),
        "# echo 1 > /proc/0000:0d:00.0/reset\nsh: echo: write error: Inappropriate ioctl for device",
    ),
    Row(
        "shared-reset",
        (
            "vfio: Cannot reset device 0000:0d:00.0, depends on group 12 which is not owned.",
            "internal error: Active 0000:03:00.0 devices on bus with 0000:03:00.1, not doing bus reset",
        ),
        "vfio: Cannot reset device 0000:0d:00.0, no available reset mechanism.",
    ),
    Row(
        "config-space-ones",
        (
            "error: internal error: Unknown PCI header type '127' for device '0000:0b:00.0'",
            "../hw/pci/pci.c:1633: pci_irq_handler: Assertion `0 <= irq_num && irq_num < PCI_NUM_PINS' failed.",
            "\t!!! Unknown header type 7f",
        ),
        "error: internal error: Unknown PCI header type '3' for device '0000:0b:00.0'",
    ),
    Row(
        "gpu-lost",
        (
            "NVRM: Xid (PCI:0000:06:00): 79, pid=812, GPU has fallen off the bus.",
            "error creating nvml.Device 5: nvml: GPU is lost",
            "Unable to determine the device handle for GPU 0000:06:00.0: Unknown Error",
        ),
        "NVRM: Xid (PCI:0000:06:00): 31, pid=812, MMU fault of the GPU",
    ),
    Row(
        "device-off-bus",
        ("amdgpu 0000:0d:00.0: device lost from bus!", "pcieport 0000:00:03.1: [ 5] SDES (Surprise Down Error)"),
        "amdgpu 0000:0d:00.0: device reset on its bus!",
    ),
    Row(
        "dma-fault",
        (
            "DMAR: [DMA Read] Request device [00:02.0] PASID ffffffff fault addr 9c000000 [fault reason 06]",
            "DMAR: [DMA Write NO_PASID] Request device [3b:00.0] fault addr 0x9c000000 [fault reason 0x05]",
            "AMD-Vi: Event logged [IO_PAGE_FAULT device=0a:00.0 domain=0x0010 address=0xfffff000 flags=0x0000]",
        ),
        "AMD-Vi: Event logged [ILLEGAL_COMMAND_ERROR device=0a:00.0 domain=0x0010 address=0xfffff000]",
    ),
    Row(
        "bus-error",
        (
            "pcieport 0000:00:03.1: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer",
            "pcieport 0000:00:03.1: AER: Multiple Uncorrectable (Non-Fatal) error message received from 0000:01:00.0",
        ),
        "pcieport 0000:00:03.1: PCIe Bus Error: severity=Corrected, type=Physical Layer",
    ),
    Row(
        "ordinary-line",
        (
            "kvm: vfio-pci: Cannot read device rom at 0000:01:00.0",
            "Device option ROM contents are probably invalid (check dmesg).",
        ),
        "kvm: vfio-pci: Cannot read device config at 0000:01:00.0",
    ),
    Row(
        "reserved-region",
        (
            "vfio-pci 0000:03:00.0: Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring",
            "DMAR: Device is ineligible for IOMMU domain attach due to platform RMRR requirement.  Contact your",
        ),
        "DMAR: Device is ineligible for IOMMU domain attach due to a missing group.  Contact your",
    ),
    Row(
        "no-interrupt-remapping",
        (
            "vfio_iommu_type1_attach_group: No interrupt remapping support.",
            'vfio_iommu: Use the module param "allow_unsafe_interrupts" to enable VFIO IOMMU support on this platform',
        ),
        'kvm: Use the module param "enable_vmx" to enable interrupt support on this platform',
    ),
    Row(
        "shared-interrupt",
        (
            "vfio: Error: Failed to setup INTx fd: Device or resource busy",
            "genirq: Flags mismatch irq 16. 00000000 (vfio-intx(0000:05:00.0)) vs. 00000080 (ehci_hcd:usb1)",
        ),
        "genirq: Flags mismatch irq 16. 00000000 (i801_smbus) vs. 00000080 (ehci_hcd:usb1)",
    ),
    Row(
        "shared-interrupt",
        (
            'irq 16: nobody cared (try booting with the "irqpoll" option)\nhandlers: vfio_intx_handler [vfio_pci]',
            "kernel: Disabling: irq 16 nobody cared, handlers: vfio_intx_handler",
        ),
        'irq 16: nobody cared (try booting with the "irqpoll" option)\nhandlers:\n[<0000abcd>] i801_isr [i2c_i801]',
        ("vfio-has-interrupt",),
    ),
    Row(
        "denylisted-device",
        (
            "vfio-pci 0000:b1:01.0: 8086:37c9 exists in vfio-pci device denylist, driver probing disallowed.",
            "8086:37c9 exists in vfio-pci device denylist",
        ),
        "vfio-pci 0000:b1:01.0: device denylist disabled - allowing device 8086:37c9.",
    ),
    *(Row(code, PROBE, OTHER_PROBE) for code in ("no-iommu", "denylisted-device", "not-an-endpoint")),
    Row(
        "io-or-rom-without-room",
        (OLD_BAR.format(13, "io ", ""), NEW_BAR.format("ROM", "mem"), "pci 0000:11:00.0: BAR 6: can't assign mem pref"),
        OLD_BAR.format(14, "mem", " 64bit"),
        ("of-io-or-rom",),
    ),
    Row(
        "vfs-without-room",
        (OLD_BAR.format(7, "mem", " 64bit"), NEW_BAR.format("VF BAR 0", "mem")),
        OLD_BAR.format(1, "mem", " 64bit"),
        ("of-a-vf-bar",),
    ),
    Row(
        "bar-window-too-small",
        (KERNEL.format(OLD_BAR.format(1, "mem", " 64bit")), KERNEL.format(NEW_BAR.format("BAR 1", "mem"))),
        HOST.format(OLD_BAR.format(1, "mem", " 64bit")),
        ("of-a-bar-of-memory", "in-guest"),
    ),
    Row(
        "host-without-room",
        (HOST.format(OLD_BAR.format(1, "mem", " 64bit")), HOST.format(NEW_BAR.format("BAR 1", "mem"))),
        KERNEL.format(OLD_BAR.format(1, "mem", " 64bit")),
        ("of-a-bar-of-memory", "on-host"),
    ),
    Row(
        "bar-window-too-small",
        (
            KERNEL.format(OLD_BAR.format(15, "mem", " 64bit") + "\n[    3.9] " + OLD_BAR.format(1, "mem", "")),
            KERNEL.format(NEW_BAR.format("bridge window", "mem") + "\n[    3.9] " + NEW_BAR.format("BAR 0", "mem")),
        ),
        KERNEL.format(OLD_BAR.format(13, "io ", "")),
        ("of-a-window", "device-below", "in-guest"),
    ),
    Row(
        "host-without-room",
        (
            HOST.format(OLD_BAR.format(15, "mem", " 64bit") + "\n[    3.9] " + OLD_BAR.format(1, "mem", "")),
            HOST.format(NEW_BAR.format("bridge window", "mem") + "\n[    3.9] " + NEW_BAR.format("BAR 0", "mem")),
        ),
        HOST.format(OLD_BAR.format(13, "io ", "")),
        ("of-a-window", "device-below", "on-host"),
    ),
    Row(
        "bar-window-too-small",
        (
            KERNEL.format(ENABLE.format("assigned")),
            KERNEL.format(NEW_ENABLE),
            "guest: NVRM: BAR1 is 0M @ 0x0 (PCI:0000:06:00.0)",
        ),
        HOST.format(ENABLE.format("assigned")),
        ("in-guest",),
    ),
    Row(
        "host-without-room",
        (HOST.format(ENABLE.format("assigned")), HOST.format(NEW_ENABLE)),
        KERNEL.format(ENABLE.format("assigned")),
        ("on-host",),
    ),
    Row(
        "boot-display",
        (
            "vfio-pci 0000:07:00.0: BAR 1: can't reserve [mem 0xd0000000-0xdfffffff 64bit pref]",
            "vfio-pci: 0000:07:00.0 is held, BAR 1: can't reserve [mem 0xd0000000-0xdfffffff 64bit pref]",
        ),
        "vmwgfx 0000:00:0f.0: BAR 1: can't reserve [mem 0xd0000000-0xdfffffff 64bit pref]",
        ("on-vfio",),
    ),
)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.code}: {row.texts[0][:40]}")
def test_messages_lead_to_their_code_and_a_near_one_does_not(row: Row) -> None:
    judge_row(row)


def test_every_rule_has_a_row_with_two_wordings() -> None:
    assert lacking(RULES_OF_HARDWARE, TABLE) == []


def test_every_written_rule_is_judged_by_a_table() -> None:
    assert set(WRITTEN) == {*RULES_OF_START, *RULES_OF_HARDWARE, *RULES_OF_CLUSTER}
