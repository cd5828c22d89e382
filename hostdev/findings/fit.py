"""Findings about the room that a guest's firmware has for the registers of its devices."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

_WINDOW = (
    "A guest's firmware gives every PCI function addresses for its registers (BARs) from three windows: I/O space, "
    "memory below 4 GiB, and memory above. OVMF's window above 4 GiB is an eighth of the address space that the "
    "guest's processor shows (a quarter from edk2 of November 2026 on), or 32 GiB where it does not believe what the "
    "processor shows: QEMU's default of 40 bits on Intel's processors. Every root port that takes hotplug keeps a "
    "share of it free, 1/256."
)
_CURE = (
    "In this order, the cheapest first:\n\n"
    "1. Show the guest the physical bits of the node: `<cpu mode='host-passthrough'>`, or "
    "`<maxphysaddr mode='passthrough'/>` in `<cpu>`. `host-model`, KubeVirt's default, does not.\n"
    "2. A machine type from `pc-q35-9.1` on, with Linux 6.10 or newer on the node: then OVMF believes 40 bits.\n"
    "3. Fewer empty root ports, or `<target hotplug='off'/>` on them.\n"
    "4. A root port for the device, not a place on bus 0.\n"
    "5. A newer OVMF.\n"
    "6. The size of the window by `-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=MIB`; since edk2 of May 2025 that is "
    "the exact size, and nothing checks whether the guest reaches it.\n\n"
    "`pcihole64` is not among them: no firmware looks at it. `passgate fit DOMAIN` shows the windows and what is "
    "left out, and each `--physical-bits` and `--firmware` can be tried."
)

BAR_WINDOW_TOO_SMALL = FindingKind(
    code="bar-window-too-small",
    severity=Severity.WARNING,
    title="Some devices get no address in the guest",
    cause=(
        f"{_WINDOW} What does not fit is left out by function, the largest first, with all of its registers; the "
        "port above it then keeps its share for hotplug, which may push out a second one. The guest boots, and such a "
        "device is there without memory: its driver does not start."
    ),
    hint="`passgate fit DOMAIN` shows the windows and what is left out",
    remedy=_CURE,
    says=(
        "BAR 1: no space for [mem {any}]",
        "BAR 1: failed to assign [mem {any}]",
        "BAR 1 [mem {any}]: can't assign; no space",
        "NVRM: BAR{any} is 0M @ 0x0",
    ),
    issues=("kubevirt/kubevirt#11093",),
)

BAR_WINDOW_FATAL = FindingKind(
    code="bar-window-fatal",
    severity=Severity.ERROR,
    title="The guest would lose all of PCI, or not start",
    cause=(
        f"{_WINDOW} OVMF leaves out what does not fit, but never a device on bus 0 and never a VGA controller (class "
        "0300, such as a consumer graphics card); where nothing is left to leave out, it programs no PCI at all: no "
        "disk, no network, no serial console. The domain runs, and its firmware waits in a shell. SeaBIOS stops where "
        "I/O space or memory below 4 GiB is short. QEMU itself refuses to start where memory and `pcihole64` reach "
        "beyond the physical bits."
    ),
    hint="`passgate fit DOMAIN` shows the windows and what is too large for them",
    remedy=_CURE,
    says=(
        "Address space limit {any} < {any} phys-bits too low ({any})",
        "PCI: out of I/O address space",
        "PCI: out of 32bit address space",
    ),
)

BAR_OUT_OF_REACH = FindingKind(
    code="bar-out-of-reach",
    severity=Severity.ERROR,
    title="A device gets an address that nothing reaches",
    cause=(
        "SeaBIOS has no upper limit: it places registers above what the guest's processor addresses, or over its "
        "memory, and goes on; versions before 1.17 also misplace large registers where the guest has memory above "
        "4 GiB. OVMF takes the size of its window from the command line unchecked. And the window is at the top of "
        "the guest's space: an IOMMU that maps fewer bits than the processor has refuses it."
    ),
    hint="`passgate fit DOMAIN` shows the addresses",
    remedy=(
        "On SeaBIOS, use UEFI firmware, or SeaBIOS 1.17 and the node's physical bits. Where the IOMMU is the narrow "
        "one, show the guest fewer bits: `<maxphysaddr mode='passthrough' limit='39'/>` in `<cpu>`."
    ),
)

BAR_WINDOW_UNKNOWN = FindingKind(
    code="bar-window-unknown",
    severity=Severity.INFO,
    title="Whether all devices get addresses depends on what is not known here",
    cause=(
        f"{_WINDOW} The processor's physical bits are those of the node, the release of the firmware is in its image, "
        "and the sizes of a device's registers are in its `resource` file: where one of them is not known, every "
        "case was computed, and they differ."
    ),
    hint="ask on the node, or say it: `passgate fit DOMAIN --physical-bits N --cpu-vendor intel --firmware FILE`",
    remedy=(
        "`passgate fit DOMAIN` lists the cases. `grep -m1 'address sizes' /proc/cpuinfo` tells the bits of a node; "
        "`--firmware FILE` reads the release from an image; a snapshot made by this version has the registers."
    ),
)

IO_WINDOW_TOO_SMALL = FindingKind(
    code="io-window-too-small",
    severity=Severity.WARNING,
    title="There is not enough I/O space for all devices",
    cause=(
        "A bridge hands out I/O space in pieces of 4 KiB, and there are 40 KiB on q35 with OVMF, 16 KiB on `pc`: each "
        "root port with a device that has an I/O register takes a piece, nine fit. OVMF leaves the next function out "
        "with all of its registers, its memory too; SeaBIOS stops at the fifteenth."
    ),
    hint="put devices with I/O registers onto one bus, or fewer of them behind ports of their own",
    remedy=(
        "virtio devices of model `virtio-non-transitional` behind root ports have no I/O register; of host devices, "
        "`lspci -v` tells which have (`I/O ports`). Functions of one slot share a piece."
    ),
    says=("PCI: out of I/O address space",),
)

KINDS = (BAR_WINDOW_TOO_SMALL, BAR_WINDOW_FATAL, BAR_OUT_OF_REACH, BAR_WINDOW_UNKNOWN, IO_WINDOW_TOO_SMALL)
