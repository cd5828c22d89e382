"""What kernels and drivers say of BARs and bridge windows that have no room, in a guest and on a host."""

from __future__ import annotations

from hostdev.findings.fit import BAR_WINDOW_TOO_SMALL
from hostdev.findings.rule import (
    DEVICE_BELOW,
    IN_GUEST,
    OF_A_BAR_OF_MEMORY,
    OF_A_VF_BAR,
    OF_A_WINDOW,
    OF_IO_OR_ROM,
    ON_HOST,
    ON_VFIO,
    Rule,
    Sureness,
)
from hostdev.findings.trouble import Nature, Trouble

HOST_WITHOUT_ROOM = Trouble(
    code="host-without-room",
    title="The host's firmware left no room for the memory of a device",
    cause=(
        "The host's kernel could not place a BAR below the bridges above the device: Above 4G Decoding is off in the "
        "firmware (or CSM is on), a BAR was resized beyond the bridge's window, or the slot is one for hotplug with a "
        "small window. Without its memory the device works for no driver, nor in a VM. In a guest the same lines mean "
        "the guest's firmware: bar-window-too-small."
    ),
    hint="turn on Above 4G Decoding in the host's firmware, and CSM off; else boot with pci=realloc",
    remedy=(
        "1. Is it the host at all? `cat /sys/class/dmi/id/sys_vendor` says QEMU, KubeVirt or Red Hat in a guest.\n"
        "2. A later line that says `assigned` of the same BAR takes it back: the kernel tries more than once.\n"
        "3. Firmware: Above 4G Decoding on, CSM off, Resizable BAR off if it is the large BAR that does not fit.\n"
        "4. `pci=realloc` on the kernel's command line lets the kernel make the windows of bridges anew."
    ),
    look="passgate node show DEVICE",
)

IO_OR_ROM_WITHOUT_ROOM = Trouble(
    code="io-or-rom-without-room",
    title="There is no room for I/O ports or a ROM, which a device of today does without",
    cause=(
        "Each bridge asks for 4 KiB of I/O ports, of which there are 64 KiB in all: with many root ports they run out. "
        "PCI Express devices work without, and a ROM is read at boot only, by the firmware."
    ),
    hint="harmless, unless the device is an old one whose driver asks for I/O ports",
    remedy="Nothing; for an old device plug it into a conventional PCI bridge of the guest, or into bus 0.",
    look="lspci -vvs DEVICE",
    nature=Nature.HARMLESS,
)

TROUBLES = (HOST_WITHOUT_ROOM, IO_OR_ROM_WITHOUT_ROOM)

_NO_ROOM = (
    # Linux before 6.8, where BARs 7 to 12 are those of VFs, and 13 to 15 the windows of a bridge.
    "BAR {any}: no space for [",
    "BAR {any}: failed to assign [",
    # Long ago.
    "BAR {any}: can't assign mem",
    "BAR {any}: can't assign io",
    # Since 6.8 the kernel writes BAR, VF BAR, ROM or bridge window, and the range before the colon.
    "]: can't assign; no space",
    "]: failed to assign",
)
_NO_ROOM_FOR_BAR = (*_NO_ROOM, *BAR_WINDOW_TOO_SMALL.says[:3])
_NOT_PLACED = (
    "can't enable device: BAR {any} not assigned",
    "can't enable device: BAR {any} not claimed",
    "not assigned; can't enable device",
    "not claimed; can't enable device",
    "This PCI I/O region assigned to your NVIDIA device is invalid",
    "NVRM: BAR{any} is 0M @ 0x0",
    "is 0M @ 0x0 (PCI:",
)
_OVER = ("guest-driver-failed",)

RULES = (
    Rule("io-or-rom-without-room", _NO_ROOM, (OF_IO_OR_ROM,)),
    Rule("vfs-without-room", _NO_ROOM, (OF_A_VF_BAR,), Sureness.LIKELY),
    Rule("bar-window-too-small", _NO_ROOM_FOR_BAR, (OF_A_BAR_OF_MEMORY, IN_GUEST), Sureness.LIKELY, _OVER),
    Rule("host-without-room", _NO_ROOM_FOR_BAR, (OF_A_BAR_OF_MEMORY, ON_HOST), Sureness.LIKELY, _OVER),
    Rule("bar-window-too-small", _NO_ROOM, (OF_A_WINDOW, DEVICE_BELOW, IN_GUEST), Sureness.LIKELY, _OVER),
    Rule("host-without-room", _NO_ROOM, (OF_A_WINDOW, DEVICE_BELOW, ON_HOST), Sureness.LIKELY, _OVER),
    Rule("bar-window-too-small", _NOT_PLACED, (IN_GUEST,), Sureness.LIKELY, _OVER),
    Rule("host-without-room", _NOT_PLACED, (ON_HOST,), Sureness.LIKELY, _OVER),
    Rule(
        "boot-display",
        ("vfio-pci {device}: BAR {any}: can't reserve", "BAR {any}: can't reserve"),
        (ON_VFIO,),
        Sureness.LIKELY,
    ),
)
