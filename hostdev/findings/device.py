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
        "An error occurred, but the cause is unknown",
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

KINDS = (
    DEVICE_MISSING,
    MDEV_MISSING,
    DOMAIN_TOO_LARGE,
    NOT_AN_ENDPOINT,
    PLATFORM_DEVICE,
    COMPANION_FUNCTION,
    NUMA_UNKNOWN,
)
