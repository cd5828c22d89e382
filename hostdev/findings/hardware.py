"""What the kernel says of devices that do not come back, fall off the bus, or reach where they may not."""

from __future__ import annotations

from hostdev.findings.rule import ON_HOST_DRIVER, ON_VFIO, VFIO_HAS_INTERRUPT, Rule, Sureness
from hostdev.findings.trouble import Trouble

LOST_AFTER_REBIND = Trouble(
    code="lost-after-rebind",
    title="The device does not wake for the driver of the host",
    cause=(
        "The device went to its deepest sleep (D3cold), mostly while it was on vfio-pci, and does not answer the host "
        "driver (nvidia, amdgpu, xhci_hcd, …) that was bound again. Options of vfio-pci do not help any more."
    ),
    hint="power the node off and on; do not rebind this card to its host driver after a VM",
    remedy=(
        "1. A reboot, or better a cold boot, brings the card back.\n"
        "2. Leave it on vfio-pci for good: `passgate node bind DEVICE --persist`.\n"
        "3. If it must go back and forth: keep the port above awake (`echo on > "
        "/sys/bus/pci/devices/PORT/power/control`, `echo 0 > /sys/bus/pci/devices/DEVICE/d3cold_allowed`) before the "
        "VM ends."
    ),
    look="passgate node vitals DEVICE",
    issues=("bryansteiner/gpu-passthrough-tutorial#39",),
)

GPU_LOST = Trouble(
    code="gpu-lost",
    title="The GPU has fallen off the bus (Xid 79)",
    cause=(
        "NVIDIA's driver lost the GPU: it no longer answers on PCI Express. Power supply, heat, riser or slot, link "
        "power management (ASPM), or a broken card. What kubelet and device plugins say of it (`GPU is lost`) only "
        "follows."
    ),
    hint="reboot the node, and look at power, heat, riser and slot of the GPU",
    remedy=(
        "1. `dmesg | grep -e Xid -e AER -e pcieport` on the node (in the guest, if it has the GPU) shows what came "
        "first.\n"
        "2. Stop what uses it; a cold boot brings it back. `pcie_aspm=off` helps where the link's power saving is the "
        "cause.\n"
        "3. If it returns: another slot or riser, the power cables, then the vendor."
    ),
    look="passgate node vitals DEVICE",
    issues=("kubernetes/kubernetes#97131",),
)

SHARED_INTERRUPT = Trouble(
    code="shared-interrupt",
    title="The device shares its interrupt line with another one",
    cause=(
        "The device can only use its pin (INTx), cannot mask it by itself, and a device of the host uses the same "
        "line. VFIO needs it alone; else the kernel ends with `irq N: nobody cared`."
    ),
    hint="unload the driver of the device that shares the line, or move the card to another slot",
    remedy=(
        "`cat /proc/interrupts` names the driver on the line. `options vfio-pci nointxmask=1` where masking is broken."
    ),
    look="cat /proc/interrupts",
)

ONES_ONLY = Trouble(
    code="config-space-ones",
    title="The device answers with ones only",
    cause=(
        "Its configuration space reads 0xff: it is in D3cold and does not wake, it did not survive a reset, or it is "
        "off the bus. QEMU may then end with an assertion on an interrupt pin that cannot exist, or with an unknown "
        "PCI header type 127."
    ),
    hint="power-cycle the node; load vfio-pci with disable_idle_d3=1, and do not reset what does not survive it",
    remedy=(
        "1. `lspci -xs DEVICE` shows ff throughout. Only a cold boot of the node helps now.\n"
        "2. To keep it from coming back: `options vfio-pci disable_idle_d3=1` in `/etc/modprobe.d/vfio.conf`; where a "
        "reset does it (AMD Instinct PFs), hand out VFs in place of the PF, and reboot between VMs."
    ),
    look="passgate node vitals DEVICE",
    issues=("kata-containers/kata-containers#11708", "amd/MxGPU-Virtualization#25"),
)

TROUBLES = (LOST_AFTER_REBIND, GPU_LOST, SHARED_INTERRUPT, ONES_ONLY)

_DEEP = (
    "Unable to change power state from D3cold to D0",
    "Unable to change power state from D3hot to D0",
    "can't change power state from D3cold to D0",
    "can't change power state from D3hot to D0",
)
_PROBE_INVALID = (
    "vfio-pci: probe of {any} failed with error -22",
    "vfio-pci {any}: probe with driver vfio-pci failed with error -22",
)

RULES = (
    Rule("device-asleep", _DEEP, (ON_VFIO,), Sureness.LIKELY, ("device-off-bus", "device-power-stuck")),
    Rule(
        "lost-after-rebind",
        _DEEP,
        (ON_HOST_DRIVER,),
        Sureness.LIKELY,
        ("device-off-bus", "device-power-stuck", "device-asleep"),
    ),
    Rule(
        "device-asleep",
        ("Unable to power on device, stuck in D3", "vfio: Unable to power on device, stuck in"),
        over=("device-power-stuck",),
    ),
    Rule(
        "device-power-stuck",
        (
            "Refused to change power state",
            "refused to change power state from {any} to {any}",
            "can't change power state from {any} to {any}",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "device-asleep",
        ("not ready {any}ms after resume; giving up", "ready {any}ms after resume; giving up"),
        (ON_VFIO,),
        Sureness.LIKELY,
        ("device-off-bus", "device-power-stuck"),
    ),
    Rule(
        "lost-after-rebind",
        ("giving up {any} RmInitAdapter failed", "not ready {any}ms after resume; giving up"),
        (ON_HOST_DRIVER,),
        Sureness.LIKELY,
        ("device-reset-failed", "device-off-bus", "device-power-stuck"),
    ),
    Rule(
        "device-reset-failed",
        (
            "not ready {any}ms after FLR; giving up",
            "not ready {any}ms after AF_FLR; giving up",
            "not ready {any}ms after PM D3hot->D0; giving up",
            "not ready {any}ms after bus reset; giving up",
        ),
    ),
    Rule(
        "device-reset-failed",
        (
            "AMD_{any}: failed to reset device",
            "not ready after FLR",
            "AMD-Vi: Completion-Wait loop timed out",
            "AMD-Vi: Event logged [IOTLB_INV_TIMEOUT device=",
            "Unable to reset PCI device",
            "Failed to reset PCI device",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "no-reset-method",
        (
            "Cannot reset device {any} no available reset mechanism",
            "no available reset mechanism",
            "The kernel doesn't support reset from sysfs for PCI device",
            "no FLR, PM reset or bus",
            "/sys/{any}/reset{any} Inappropriate ioctl for device",
            "reset device {any}Inappropriate ioctl for device",
            "VFIO_DEVICE_RESET {any}Inappropriate ioctl for device",
        ),
        over=("device-reset-failed",),
    ),
    Rule(
        "shared-reset",
        ("Cannot reset device {any}, depends on group", "devices on bus with {any}, not doing bus reset"),
        over=("device-reset-failed",),
    ),
    Rule(
        "config-space-ones",
        (
            "config space returns 0xFF after",
            "Assertion `0 <= irq_num && irq_num < PCI_NUM_PINS' failed",
            "pci_irq_handler: Assertion",
            "Unknown PCI header type 127",
            "!!! Unknown header type 7f",
        ),
        sure=Sureness.LIKELY,
        over=("device-reset-failed",),
    ),
    Rule(
        "gpu-lost",
        (
            "Xid ({any}): 79",
            "GPU has fallen off the bus",
            "GPU is lost",
            "nvmlDeviceGetHandleByIndex {any} GPU is lost",
            "Unable to determine the device handle for GPU",
        ),
        over=("device-off-bus", "allocate-failed"),
    ),
    Rule("device-off-bus", ("Surprise Down", "device lost from bus"), sure=Sureness.LIKELY),
    Rule(
        "dma-fault",
        (
            "DMAR: [DMA Read] Request device",
            "DMAR: [DMA Write] Request device",
            "DMAR: [DMA Read {any}] Request device",
            "DMAR: [DMA Write {any}] Request device",
            "DMAR: DRHD: handling fault status reg",
            "fault reason {any} PTE Read access is not set",
            "fault reason {any} PTE Write access is not set",
            "IO_PAGE_FAULT",
            "arm-smmu-v3 {any} event 0x10 received",
            "arm-smmu {any} Unhandled context fault",
            "INVALID_DEVICE_REQUEST",
        ),
    ),
    Rule(
        "bus-error",
        (
            "PCIe Bus Error: severity=Uncorrect",
            "AER: {any}Uncorrected (Fatal) error",
            "AER: {any}Uncorrected (Non-Fatal) error",
            "AER: {any}Uncorrectable (Fatal) error",
            "AER: {any}Uncorrectable (Non-Fatal) error",
        ),
    ),
    Rule(
        "ordinary-line",
        ("vfio-pci: Cannot read device rom at", "Device option ROM contents are probably invalid"),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "reserved-region",
        (
            "Firmware has requested this device have a 1:1 IOMMU mapping",
            "rejecting configuring the device without a 1:1 mapping",
            "ineligible for IOMMU domain attach due to platform RMRR requirement",
        ),
        over=("vf-token-needed",),
    ),
    Rule(
        "no-interrupt-remapping",
        (
            "No interrupt remapping support",
            'Use the module param "allow_unsafe_interrupts"',
        ),
        over=("reserved-region",),
    ),
    Rule(
        "shared-interrupt",
        (
            "Failed to setup INTx fd: Device or resource busy",
            "Flags mismatch irq {any} vfio-intx",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule("shared-interrupt", ("irq {any}: nobody cared", "irq {any} nobody cared"), (VFIO_HAS_INTERRUPT,)),
    Rule(
        "denylisted-device",
        (
            "exists in vfio-pci device denylist, driver probing disallowed",
            "{any} exists in vfio-pci device denylist",
        ),
    ),
    *(
        Rule(code, _PROBE_INVALID, sure=Sureness.ONE_OF)
        for code in ("no-iommu", "denylisted-device", "not-an-endpoint")
    ),
)
