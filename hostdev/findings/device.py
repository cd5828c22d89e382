"""Findings about the device itself: is it there, and is it something a guest can have."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

DEVICE_MISSING = FindingKind(
    code="device-missing",
    severity=Severity.ERROR,
    title="There is no PCI device at this address",
    cause=(
        "The kernel has no device at this address. Addresses move when a card is added or the firmware is updated, "
        "and a VF is gone after a reboot or after its PF's `sriov_numvfs` was written. libvirt defines the domain all "
        "the same and stumbles only at start, with a text that does not tell why."
    ),
    hint="compare with `passgate node list`; create the VFs again if it was one",
    remedy=(
        "`passgate node list` shows what is there. For a VF: `cat /sys/bus/pci/devices/PF/sriov_numvfs`, and have the "
        "operator that owns the PF create its VFs again. If the address came from a device plugin, restart the plugin "
        "so that it learns the new addresses, and create the VM's pod anew."
    ),
    says=(
        "vfio /sys/bus/pci/devices/{device}: no such host device: No such file or directory",
        "Device {device} not found: could not access /sys/bus/pci/devices/{device}/config: No such file or directory",
    ),
)

MDEV_MISSING = FindingKind(
    code="mdev-missing",
    severity=Severity.ERROR,
    title="There is no mediated device with this UUID",
    cause=(
        "`/sys/bus/mdev/devices` has no entry of this UUID. Mediated devices do not survive a reboot: whoever manages "
        "them creates them anew, often with new UUIDs."
    ),
    hint="create the mediated device again, or restart the device plugin",
    remedy=(
        "`ls /sys/bus/mdev/devices` shows what exists, `mdevctl start -u UUID -p PARENT --type TYPE` creates one. If "
        "the UUID came from a device plugin, restart it and create the VM's pod anew."
    ),
    says=("device not found: mediated device '{uuid}' not found",),
)

DOMAIN_TOO_LARGE = FindingKind(
    code="domain-too-large",
    severity=Severity.ERROR,
    title="The device is in a PCI domain that libvirt cannot name",
    cause=(
        "libvirt writes PCI domains with 16 bits. Intel VMD puts the devices behind it, mostly NVMe drives, into "
        "domains from 0x10000 up."
    ),
    hint="turn VMD off for this device in the firmware",
    remedy=(
        "Turn VMD off for the slot in the firmware's setup; the device then appears in domain 0000. Do not do this "
        "while a RAID volume of the host lives behind VMD."
    ),
)

NOT_AN_ENDPOINT = FindingKind(
    code="not-an-endpoint",
    severity=Severity.ERROR,
    title="The device is a bridge, and bridges are never passed through",
    cause=(
        "Its header is of type 1 or 2: it is a root port, a switch port or another bridge with a bus below it. Only "
        "endpoints can be given to a guest. A bridge in the same IOMMU group as the device is no obstacle."
    ),
    hint="name the device below it",
    remedy="`passgate node draw` shows what is below the bridge; pass that device.",
    says=(
        "Non-endpoint PCI devices cannot be assigned to guests",
        "assignment of PCIe type {any} devices is not currently supported",
    ),
)

PLATFORM_DEVICE = FindingKind(
    code="platform-device",
    severity=Severity.ERROR,
    title="The device is part of the board, and the host needs it",
    cause=(
        "Host bridges, memory and interrupt controllers, the firmware's flash, the SMBus, management engines and "
        "controllers, event collectors and the uncore of the processor are endpoints by their header, and vfio-pci "
        "binds to them like to any other. Taking one from the host stops the machine or breaks its sensors, clocks and "
        "firmware services; a guest that has one can reach them in place of the host, and rewrite the firmware. They "
        "are told by class, by the host's driver, and by vendor where the class says nothing, and do not pass when "
        "they are bound to vfio-pci either."
    ),
    hint="leave it to the host",
    remedy=(
        "Do not pass this device through. If it shares a group with one that you need, use another slot.\n\n"
        "Who knows better can say so by name: `passgate node doctor DEVICE --despite platform-device` judges it like "
        'any other device, as `"allow": ["platform-device"]` in the annotation `passgate.dev/policy` does for a VM.'
    ),
)

COMPANION_FUNCTION = FindingKind(
    code="companion-function",
    severity=Severity.WARNING,
    title="The card has further functions that belong to this one",
    cause=(
        "Graphics cards bring audio, USB and UCSI functions in the same slot. Without them the guest's driver may miss "
        "sound or USB-C; an audio function without its display is hardly what somebody wanted, though device plugins "
        "that do not look at the class hand it out as a GPU."
    ),
    hint='ask for "functions": "all" in passgate.dev/devices to pass the whole card',
    remedy=(
        'With `"functions": "all"` in the annotation `passgate.dev/devices` every endpoint function of the slot '
        "becomes one multifunction device in the guest. The other functions must be on vfio-pci and allocated to the "
        "pod as well. To pass only one function, nothing needs to be done."
    ),
)

NUMA_UNKNOWN = FindingKind(
    code="numa-unknown",
    severity=Severity.INFO,
    title="The kernel does not know the device's NUMA node",
    cause=(
        "`numa_node` is -1: the machine has one node only, or the firmware does not tell where this slot is "
        "connected. The guest cannot be placed near the device, and shows -1 for it as well."
    ),
    hint="nothing to do on a machine with one node; otherwise look for a firmware update",
    remedy=(
        "On a machine with several nodes look for a firmware setting (sub-NUMA clustering, ACPI SRAT) or an update. "
        "Until then ask for no `numa` placement for this device."
    ),
)

DEVICE_OFF_BUS = FindingKind(
    code="device-off-bus",
    severity=Severity.ERROR,
    title="The device has fallen off the bus",
    cause=(
        "The kernel tried to wake or reach the device and read nothing but ones: the link is down, the device lost "
        "power, its firmware hangs, or a reset did not bring it back. Sysfs goes on showing what it knew before: ids, "
        "class, driver and `enable` are the kernel's own notes. The power state turns to `D3cold` although nothing put "
        "it there, and every start of a VM with it fails or hangs."
    ),
    hint="stop the VM; a cold boot of the node brings most of them back, a warm one may not",
    remedy=(
        "1. Stop the VM that has it, so that nothing waits for it.\n"
        "2. `dmesg | grep DEVICE` shows what came first: a failed reset, a link that went down, a power state that "
        "could not be changed.\n"
        "3. Where the slot can be switched off (`/sys/bus/pci/slots/*/power`), switch it off and on; else power the "
        "node off, not only down, and on again.\n"
        "4. If it comes back each time a VM ends, `passgate node doctor DEVICE` may know the model "
        "([known-bad-device](known-bad-device.md)); a card that idles in D3cold often does better with "
        "`disable_idle_d3=1` of vfio-pci."
    ),
    says=(
        "Unable to change power state from {any} to {any}, device inaccessible",
        "pciehp: Slot({any}): Card not present",
        "pciehp: Slot({any}): Link Down",
    ),
)

DEVICE_POWER_STUCK = FindingKind(
    code="device-power-stuck",
    severity=Severity.ERROR,
    title="The device does not change its power state",
    cause=(
        "The kernel asked the device for another power state and it did not follow, or its last change ended with an "
        "error: `power/runtime_status` says `error`, or the log says that it refused. Nothing works on a device that "
        "stays in D3."
    ),
    hint="stop the VM, and look at what the kernel's log says of the device and of the port above it",
    remedy=(
        "Load vfio-pci with `disable_idle_d3=1`, so that it never puts idle devices to sleep, and keep the port above "
        "awake (`echo on > /sys/bus/pci/devices/PORT/power/control`). A device that is stuck already comes back after "
        "the node was powered off."
    ),
    says=("Refused to change power state",),
)

KNOWN_BAD_DEVICE = FindingKind(
    code="known-bad-device",
    severity=Severity.WARNING,
    title="Devices of this model are known not to come back from a VM, or to harm one",
    cause=(
        "The table of [models](../vitals.md#models-that-are-known-for-trouble) has this one: its reset does not reset, "
        "kills it, or is not to be used; or its requests carry the number of another function. The message says which, "
        "and what has been found to help."
    ),
    hint="do what the message says before a VM gets it; expect that a second start needs a reboot of the node",
    remedy=(
        "Try it as it will be used: start a VM with the device, reboot the guest, stop the VM and start another one, "
        "and look at `passgate node vitals DEVICE` each time. Where the kernel has a remedy from some release on, a "
        "newer kernel is the cure, and the finding goes away with it."
    ),
)

PARITY_BROKEN = FindingKind(
    code="parity-broken",
    severity=Severity.INFO,
    title="The kernel ignores parity errors of the device",
    cause=(
        "`broken_parity_status` is 1: the kernel knows the model for reporting parity errors that are none, or an "
        "administrator wrote it. Real ones are not told either."
    ),
    hint="nothing to do, unless it was written by hand",
    remedy="`cat /sys/bus/pci/devices/DEVICE/broken_parity_status`; a 0 written there makes the kernel listen again.",
)

KINDS = (
    DEVICE_MISSING,
    MDEV_MISSING,
    DOMAIN_TOO_LARGE,
    NOT_AN_ENDPOINT,
    PLATFORM_DEVICE,
    COMPANION_FUNCTION,
    NUMA_UNKNOWN,
    DEVICE_OFF_BUS,
    DEVICE_POWER_STUCK,
    KNOWN_BAD_DEVICE,
    PARITY_BROKEN,
)
