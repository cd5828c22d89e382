"""What drivers inside the guest say of the device that they were given."""

from __future__ import annotations

from hostdev.findings.rule import OF_A_GUEST_DEVICE, Rule, Sureness
from hostdev.findings.trouble import Trouble

GUEST_OUT_OF_RESOURCES = Trouble(
    code="guest-out-of-resources",
    title="Windows finds not enough resources for the device (code 12)",
    cause=(
        "Windows could not place the device's memory: the guest's 64-bit MMIO window is too small for its BARs, or "
        "BARs that Windows has to place itself do not fit below the port."
    ),
    hint="give the guest a larger 64-bit MMIO window: host-passthrough CPU, newer OVMF, X-PciMmio64Mb",
    remedy=(
        "1. CPU model host-passthrough; machine type q35 with OVMF, not SeaBIOS.\n"
        "2. Fewer empty hot-plug ports and fewer large devices in one VM.\n"
        "3. Last: `X-PciMmio64Mb` as for bar-window-too-small."
    ),
    look="passgate node vitals DEVICE",
)

GUEST_DRIVER_STOPPED = Trouble(
    code="guest-driver-stopped",
    title="The driver in Windows stopped the device (code 43)",
    cause=(
        "Code 43 is what a driver reports when it gave up. For GeForce cards with drivers before 465 it is the driver "
        "that sees a hypervisor; for all GPUs: a ROM that the card needs and does not show (the host's boot GPU), a "
        "card that was not reset since the VM before, interrupts (q35 with split ioapic), or a vGPU driver that does "
        "not fit."
    ),
    hint="use a driver of 465 or newer; else hide KVM (kvm hidden), ioapic driver kvm, and a ROM file for a boot GPU",
    remedy=(
        "1. A current driver in the guest needs no hiding.\n"
        "2. Older: `<kvm><hidden state='on'/></kvm>`, `<ioapic driver='kvm'/>`, a `vendor_id` of Hyper-V features; in "
        "KubeVirt `features.kvm.hidden: true`.\n"
        "3. The host's boot display needs its ROM as a file ([boot-display](findings/boot-display.md)).\n"
        "4. Stop the VM, power the node off and on, and try again: then it was the reset."
    ),
    look="passgate node doctor DEVICE",
    issues=("kubevirt/kubevirt#5619",),
)

VF_DRIVER_REFUSED = Trouble(
    code="vf-driver-refused",
    title="The VF's driver in the guest and the PF's driver on the host do not agree",
    cause=(
        "A VF's driver asks the PF's driver over a mailbox. The PF refused a request, or did not answer: the two are "
        "of releases that do not fit, the PF is down or was reset, the VF is not trusted for what it asks (another "
        "MAC, promiscuous mode), or the PF is itself given away."
    ),
    hint="use releases of the PF's and the VF's driver that belong together, and look at the PF in the host's dmesg",
    remedy=(
        "1. `ethtool -i` in guest (iavf, ixgbevf, mlx5_core) and host (ice, i40e, ixgbe): both from the kernel, or "
        "both from the vendor's package.\n"
        "2. `ip link show PF` on the host: is it up, which MAC does the VF have, is it trusted?\n"
        "3. `-64` (not supported) for one request alone is harmless when the network works."
    ),
    look="ip link show PF",
    issues=("intel/ethernet-linux-ice#31",),
)

GUEST_DRIVER_FAILED = Trouble(
    code="guest-driver-failed",
    title="The driver could not start the device",
    cause=(
        "The driver found the device and could not bring it up: it was not reset since the last VM, its memory is not "
        "reachable (a BAR that has no room, see bar-window-too-small), its firmware does not answer, or it needs "
        "something that was not passed on (its audio or bridge, a ROM, NVLink partitions)."
    ),
    hint="read the lines around it; stop the VM, and try once after a cold boot of the node",
    remedy=(
        "1. Works after a cold boot of the node, and fails at the second start: the reset "
        "([no-reset-method](findings/no-reset-method.md)).\n"
        "2. Never works: BARs (`lspci -vv` in the guest: no `Memory at … [disabled]` or `unassigned`), ROM, and the "
        "driver's branch.\n"
        "3. `passgate node vitals DEVICE` shows what host and guest have of it."
    ),
    look="passgate node vitals DEVICE",
)

TROUBLES = (GUEST_OUT_OF_RESOURCES, GUEST_DRIVER_STOPPED, VF_DRIVER_REFUSED, GUEST_DRIVER_FAILED)

RULES = (
    Rule(
        "guest-out-of-resources",
        (
            "cannot find enough free resources that it can use",
            "not enough free resources {any} (Code 12)",
            "error code 12",
            "(Code 12)",
            "device manager {any} code 12",
        ),
        (OF_A_GUEST_DEVICE,),
        Sureness.LIKELY,
    ),
    Rule(
        "guest-driver-stopped",
        (
            "(Code 43)",
            "error code 43",
            "error 43",
            "code 43",
            "Windows has stopped this device because it has reported problems",
        ),
        (OF_A_GUEST_DEVICE,),
        Sureness.LIKELY,
    ),
    Rule(
        "vf-driver-refused",
        (
            "PF returned error {any} to our request",
            "iavf {any}: Failed to communicate with PF",
            "iavf {any}: Unable to send opcode",
            "iavf {any}: Never saw reset",
            "PF still in reset state",
            "PF still resetting",
            "ixgbevf {any}: Failed to reset {any} PF",
            "igbvf {any}: PF still in reset",
            "Admin queue command never completed",
            "mlx5_core {any}: wait_fw_init {any} timeout",
            "Unsupported API version {any} VF",
        ),
        sure=Sureness.LIKELY,
        over=("guest-driver-failed",),
    ),
    Rule(
        "guest-driver-failed",
        (
            "NVRM: GPU {any}: RmInitAdapter failed",
            "RmInitAdapter failed",
            "rm_init_adapter failed",
            "amdgpu {any}: Fatal error during GPU init",
            "amdgpu: probe of {any} failed with error",
            "nvidia: probe of {any} failed with error",
            "i915 {any}: Device initialization failed",
            "nouveau {any}: unknown chipset (ffffffff)",
            "atombios stuck executing",
            "PSP load {any} failed",
            "mlx5_core {any}: probe_one: {any} failed",
        ),
        sure=Sureness.LIKELY,
    ),
)
