"""Findings about what the host itself would lose."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

HOST_NETWORK_DEVICE = FindingKind(
    code="host-network-device",
    severity=Severity.ERROR,
    title="The host's network goes through this device",
    cause=(
        "A network interface of the device carries the default route, an address, or is part of a bond, bridge or "
        "VLAN that does. Taking it away cuts the node off: kubelet reports it as NotReady and nobody can log in to "
        "undo it."
    ),
    hint="give the VM another device, or a VF of this one",
    remedy=(
        "Pass a VF instead of the whole card, or move the node's network to another interface first. `ip route` and "
        "`ip -d link` show who uses the interface."
    ),
)

HOST_ROOT_DISK = FindingKind(
    code="host-root-disk",
    severity=Severity.ERROR,
    title="Disks that the host uses hang on this device",
    cause=(
        "A disk behind the device is mounted, is swap, or is held by LVM, MD RAID, multipath or ZFS. Taking the device "
        "away stops the node or destroys data. With identical drives it is easy to name the wrong one."
    ),
    hint="choose another drive: compare serial numbers and `lsblk`",
    remedy=(
        "`lsblk -o NAME,SERIAL,MOUNTPOINTS,TYPE` shows what lives on which drive. Unmount, swapoff or remove the drive "
        "from its volume group first if it is really this one."
    ),
)

BOOT_DISPLAY = FindingKind(
    code="boot-display",
    severity=Severity.WARNING,
    title="The firmware's console is on this display",
    cause=(
        "`boot_vga` is 1: the machine showed its boot messages here. A driver of the host that holds it drives the "
        "console; and even without one the firmware's framebuffer (efifb, simplefb) may keep the card's memory "
        "reserved, so that the guest gets a black screen or QEMU cannot map the BAR. Its ROM was already run by the "
        "firmware and may have to be given to the guest as a file."
    ),
    hint="make another card the primary display in the firmware, or use a serial console",
    remedy=(
        "Select another primary display in the firmware's setup, or accept that the host has no screen. If the "
        "framebuffer holds the memory, `/proc/iomem` shows `efifb` or `BOOTFB` inside the card's range: boot with "
        "`video=efifb:off` or `initcall_blacklist=sysfb_init`."
    ),
    says=("BAR {any}: can't reserve",),
)

KINDS = (HOST_NETWORK_DEVICE, HOST_ROOT_DISK, BOOT_DISPLAY)
