"""What can be said about a domain and the guest's PCI tree: the rows behind `passgate node explain`."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

PLACEMENT_FALLBACK = FindingKind(
    "placement-fallback",
    Severity.WARNING,
    "Placed directly on the root bus, because libvirt's own allocation is not known",
    "The domain has devices without a guest address whose kind depends on how libvirt and QEMU were built (a network "
    "interface or a SCSI controller without a model, say). What controllers libvirt will add can then not be computed, "
    "and a port of our own could push them aside. A device directly on the root bus moves nothing, but it cannot be "
    "hot-unplugged and shows as a root complex integrated endpoint, which some GPU drivers do not accept.",
    "give the devices named above a model, or ask for a guest address",
    "Write the model of each device that the message names (`<model type='virtio'/>` for an interface), or ask for a "
    "bus of its own with `guestAddress`.",
)
LEFT_TO_LIBVIRT = FindingKind(
    "placement-left-to-libvirt",
    Severity.WARNING,
    "The guest address is left to libvirt",
    "For this machine type the guest's PCI tree is not known well enough to choose an address. Libvirt will choose one "
    "at define; it depends on every other device of the VM and may change when those change.",
    "use a q35, i440fx, aarch64 virt or s390x machine, or ask for a guest address",
    "Nothing is wrong with the device. If its address must never move, use one of the machine types above.",
)
BASE_DEVICE_MOVES = FindingKind(
    "base-device-moves",
    Severity.WARNING,
    "Another device of the VM gets a different guest address",
    "The address asked for is one that libvirt would have given to a device of the VM that has none written down. "
    "Libvirt gives that device the next free address. Guests name NICs and find disks by their addresses: a NIC may be "
    "renamed, a Windows disk may come up offline.",
    "ask for an address that is free, or write down the addresses of the other devices",
    "Run `passgate inject -o plan` without `guestAddress`: it names a place that moves nothing.",
)
GUEST_ADDRESS_TAKEN = FindingKind(
    "guest-address-taken",
    Severity.ERROR,
    "The guest address asked for belongs to another device",
    "Two devices cannot share a guest function. The owner is a device of the VM, one that libvirt will put there, or "
    "the chipset of the machine type.",
    "ask for a free address, or none at all",
    "Leave `guestAddress` out: the device then gets a place that is stable and moves nothing.",
    ("Attempted double use of PCI Address",),
)
GUEST_ADDRESS_IMPOSSIBLE = FindingKind(
    "guest-address-impossible",
    Severity.ERROR,
    "The guest address asked for cannot exist in this VM",
    "The bus behind a PCIe root port has one slot, slot 0. Bus 0 has slots 1 to 31, of which the chipset keeps some. A "
    "guest has PCI domain 0 only. 0000:00:00.0 means 'no address' to libvirt, which would silently choose another one.",
    "ask for bus 1 or above, slot 0, for example 0000:09:00.0",
    "On q35 and virt machines ask for `0000:NN:00.0` with NN above the buses in use; on i440fx for `0000:00:SS.0`.",
    (
        "slot must be <= 0",
        "slot must be >= 1",
        "Only PCI domain 0 is available",
        "cannot be plugged into the PCI controller",
    ),
)
FUNCTION_ZERO_MISSING = FindingKind(
    "function-zero-missing",
    Severity.ERROR,
    "A guest slot would have functions but no function 0",
    "Libvirt and QEMU accept it, but an operating system looks at function 0 first and never finds the others.",
    "put a device on function 0 of that slot, or use `functions: all`",
    "Ask for `functions: all` to have a whole host slot in one guest slot, or choose an address with function 0.",
)
NO_FREE_PLACE = FindingKind(
    "no-free-place",
    Severity.ERROR,
    "The guest has no room for another PCI device",
    "Ports of our own go to slots 0x10 to 0x17 of the root bus, eight to a slot; further down as far as the VM's own "
    "devices leave room. Indexes of PCI controllers end at 255.",
    "give the VM fewer devices",
    "Count the devices of the VM with `passgate inject -o plan`; remove what is not needed.",
    ("No more available PCI slots", "a PCI slot is needed to connect a PCI controller"),
)
NUMA_NOT_POSSIBLE = FindingKind(
    "numa-not-possible",
    Severity.WARNING,
    "The device cannot be put on a guest NUMA node",
    "A PCI expander bus ties devices to a guest NUMA node. It exists on q35 and aarch64 virt only, the guest node must "
    "exist in <cpu><numa>, and its bus number must leave room for the ports below it.",
    "give the VM guest NUMA nodes (dedicated CPUs with guestMappingPassthrough), or leave `numa` out",
    "The device is placed as if `numa` had not been asked for; it works, but the guest does not know its node.",
    ("is configured for a NUMA node",),
)
GUEST_BUS_LOWER = FindingKind(
    "guest-bus-lower",
    Severity.INFO,
    "The guest shows a lower bus number than libvirt",
    "Libvirt numbers PCI buses by the indexes of their controllers. The guest's firmware counts those below the root "
    "bus, and leaves out expander buses and what is below them, which have numbers of their own. A device on a bus "
    "behind expander buses that the VM had before, as KubeVirt's PCINUMAAwareTopology makes them, is therefore at a "
    "lower bus number in the guest than in its domain.",
    "look for the device in the guest by what it is, not by this bus number",
    "The address is as stable as any other: the same on every boot. Only its name in the guest differs.",
)
HOTPLUG_PORTS_REDUCED = FindingKind(
    "hotplug-ports-reduced",
    Severity.INFO,
    "KubeVirt will add fewer hotplug ports",
    "KubeVirt adds spare root ports for hotplug above the highest controller index, up to index 31. Where our ports "
    "reach so far that not all of them have room, or where a device was asked onto a spare port, it has fewer.",
    "nothing to do unless this VM needs hotplug",
    "Give the VM fewer injected devices, or ask for lower buses.",
)
DOMAIN_TAKEN_OUT = FindingKind(
    "domain-taken-out",
    Severity.INFO,
    "The domain was taken out of what it stood in",
    "Libvirt keeps a running domain in a `<domstatus>` and a snapshot's in a `<domainsnapshot>`; virt-launcher writes "
    "its domain into its log. What comes out is the domain alone.",
    "nothing to do; what was around the domain is not printed",
    "Do not put the output back in the place of such a file: give it to `virsh define`.",
)
DEVICE_UNASSIGNED = FindingKind(
    "device-unassigned",
    Severity.ERROR,
    "The domain keeps this device away from the guest",
    "`<address type='unassigned'/>` has libvirt prepare a host device and not show it to the guest: so the other "
    "devices of its IOMMU group are free to be passed. Asked for, the device would still not be there.",
    "ask for a guest address, or remove <address type='unassigned'/>",
    "Ask for another device; or, if the guest shall see this one, say `guestAddress`.",
)
DISPLAY_NEEDS_GRAPHICS = FindingKind(
    "display-needs-graphics",
    Severity.ERROR,
    "A display was asked for in a VM that has no graphics device",
    "`display=on` shows the device's display in the VM's console. Libvirt refuses it where the domain has no "
    "`<graphics>`.",
    "give the VM a graphics device, or leave display out",
    "In KubeVirt, leave `autoattachGraphicsDevice` out of the VM or make it true; in libvirt, add a `<graphics>` "
    "element.",
    ("graphics device is needed for attribute value 'display=on' in <hostdev>",),
)
ROM_DISABLED = FindingKind(
    "rom-disabled",
    Severity.ERROR,
    "A ROM is taken away and tuned at once",
    "`rom.enabled=no` leaves the device without a ROM. Libvirt refuses a file for it, or a BAR, beside that.",
    "leave out rom.enabled=no, or rom.bar and rom.file",
    "Say `rom.bar=off` to hide the device's own ROM, `rom.file` to give it another one, `rom.enabled=no` for none.",
    ("ROM tuning is not supported when ROM is disabled",),
)
TEAMING_WITHOUT_INTERFACE = FindingKind(
    "teaming-without-interface",
    Severity.ERROR,
    "The interface that a VF shall stand in for is not there",
    "`teaming` names a virtio interface of the VM by its alias. QEMU joins the two in the guest, and the VF stays "
    "hidden until the interface is there: without one, the guest never sees it.",
    "name the alias of an interface of the VM",
    "Look at `<interface>` in the domain; in KubeVirt the alias is `ua-` and the interface's name, `ua-default` say.",
)
ONLY_ONE_RAMFB = FindingKind(
    "only-one-ramfb",
    Severity.ERROR,
    "Two devices of the VM would be its boot display",
    "`ramfb=on` makes a boot display until the guest's driver is loaded. A VM has one at most, whether a host device "
    "or a `<video>` is it.",
    "leave ramfb out for all devices but one",
    "Decide which device shows the boot, and ask for `ramfb` there only.",
    ("Only one vgpu device can have 'ramfb' enabled",),
)
ONLY_ONE_VFIO_AP = FindingKind(
    "only-one-vfio-ap",
    Severity.ERROR,
    "A VM can have one crypto device of s390x only",
    "A mediated device of an s390x guest is a matrix of crypto queues (vfio-ap), and a guest has one such matrix.",
    "put the queues into one mediated device",
    "Assign the adapters and domains of both to one mediated device on the host, and give that one to the VM.",
    ("Only one hostdev of model vfio-ap is supported",),
)
BOOT_ORDER_BESIDE_OS_BOOT = FindingKind(
    "boot-order-beside-os-boot",
    Severity.ERROR,
    "A boot order was asked for in a domain that has <os><boot>",
    "A domain says by `<os><boot dev=…/>` from which kinds of devices it boots, or by `<boot order=…/>` from which "
    "devices. Libvirt refuses both together.",
    "leave bootOrder out, or give the other devices boot orders in place of <os><boot>",
    "Remove `<boot dev=…/>` from `<os>` and write `<boot order='1'/>` into the disk or interface it meant.",
    ("per-device boot elements cannot be used together with os/boot elements",),
)
BOOT_ORDER_TAKEN = FindingKind(
    "boot-order-taken",
    Severity.ERROR,
    "Two devices of the VM would have one place in its boot order",
    "Every number of a boot order belongs to one device. Disks and interfaces of the VM have theirs.",
    "ask for a number that no other device has",
    "Look at the `<boot order=…/>` elements of the domain, or at `bootOrder` in the VM's spec, and take the next one.",
    ("boot order '{any}' used for more than one device",),
)
ACPI_INDEX_TAKEN = FindingKind(
    "acpi-index-taken",
    Severity.ERROR,
    "Two devices of the VM would have one ACPI index",
    "The ACPI index of a NIC is the number in its name in the guest, eno7 for 7. Each belongs to one device.",
    "ask for a number that no other device has",
    "Look at the `<acpi index=…/>` elements of the domain, or at `acpiIndex` in the VM's spec, and take another.",
)
ALIAS_TAKEN = FindingKind(
    "alias-taken",
    Severity.ERROR,
    "Another device of the VM has the alias that this one needs",
    "Every device of ours is known by an alias made of its name. Libvirt refuses a domain in which two devices have "
    "one alias.",
    "give the device another name",
    "Say `name` for one of the devices, or rename the other device's `<alias>`.",
    ("non unique alias detected",),
)
MULTIFUNCTION_OFF = FindingKind(
    "multifunction-off",
    Severity.ERROR,
    "The guest slot asked for belongs to a device that says it is alone there",
    "The device on function 0 of that slot has `multifunction='off'` written down. QEMU refuses any other function of "
    "such a slot.",
    "ask for another slot, or take multifunction='off' away from that device",
    "Leave `guestAddress` out: the device then gets a slot of its own.",
    ("is not multifunction",),
)
ATTRIBUTE_WITHOUT_EFFECT = FindingKind(
    "attribute-without-effect",
    Severity.WARNING,
    "An attribute of a device is written, and the guest never sees it",
    "Libvirt and QEMU take the attribute and do nothing with it. QEMU is given no ROM of a mediated device. An ACPI "
    "index reaches the guest by ACPI: not on s390x, not where the domain has no `<acpi/>` among its `<features>`, not "
    "below an expander bus, and on Arm with QEMU 10.0 never, with QEMU 11.1 only for a device on the root bus.",
    "leave the attribute out",
    "Take the attribute out of `passgate.dev/devices` or `--device`. To find a NIC in the guest, go by its MAC address "
    "or its guest address.",
)
RAMFB_NEEDS_DISPLAY = FindingKind(
    "ramfb-needs-display",
    Severity.ERROR,
    "A boot display is asked for, and not the display that it belongs to",
    "`ramfb` shows what the firmware draws until the device's own display takes over. Libvirt takes it without "
    "`display`; QEMU does not start.",
    "say display=on beside ramfb=on",
    'Write both: `{"display": true, "ramfb": true}`, or `--device …,display=on,ramfb=on`.',
    ("ramfb=on requires display=on",),
)
TEAMING_NEEDS_OWN_SLOT = FindingKind(
    "teaming-needs-own-slot",
    Severity.ERROR,
    "A VF that stands in for an interface is not alone in a PCI Express slot of the guest",
    "With `teaming` QEMU takes the VF out of the guest when the VM migrates. It does so only for function 0 of a PCI "
    "Express slot with nothing beside it: not on i440fx, not on s390x, and not behind a conventional bridge. Libvirt "
    "takes such a domain; QEMU does not start.",
    "ask for a q35 machine and a guest address behind a root port, or leave teaming out",
    "Set `machine: {type: q35}` in the VM's spec, and leave `guestAddress` and `functions` out for this device.",
    ("failover primary device must be on PCIExpress bus", "failover: primary device must be in its own PCI slot"),
)
KUBEVIRT_PLACES_AGAIN = FindingKind(
    "kubevirt-places-again",
    Severity.WARNING,
    "On some KubeVirt releases this device of the VM gets another guest address than without Passgate",
    "KubeVirt 1.6.4 to 1.6.6, 1.7.2 to 1.7.4, 1.8 and 1.9 forget where libvirt put the devices of a VM with no or at "
    "least four interfaces, and have it place them again beside empty root ports. Conventional PCI devices and those "
    "behind them then come to other places than at first. Which release it is does not stand in the domain. Without "
    "knowing it, the places of the first time are kept, as all other releases do. They are the same on every boot.",
    "say which release it is: `--kubevirt 1.7.4`",
    "Give the sidecar the release of the cluster: `kubectl get kubevirt -A -o jsonpath='{..observedKubeVirtVersion}'`. "
    "A VM that is new loses nothing.",
)
DOMAIN_REFUSED = FindingKind(
    "domain-refused",
    Severity.WARNING,
    "Libvirt would refuse the domain as it was given",
    "Without any device of ours, libvirt would not define this domain: two devices claim one guest address, or a "
    "device is where it cannot be. The words are those that libvirt says.",
    "mend the domain first: `virsh define` says the same of it",
    "Look at the address that the message names, and change or remove it at one of the devices.",
)

KINDS: tuple[FindingKind, ...] = (
    PLACEMENT_FALLBACK,
    LEFT_TO_LIBVIRT,
    BASE_DEVICE_MOVES,
    GUEST_ADDRESS_TAKEN,
    GUEST_ADDRESS_IMPOSSIBLE,
    FUNCTION_ZERO_MISSING,
    NO_FREE_PLACE,
    NUMA_NOT_POSSIBLE,
    GUEST_BUS_LOWER,
    HOTPLUG_PORTS_REDUCED,
    KUBEVIRT_PLACES_AGAIN,
    DOMAIN_REFUSED,
    DOMAIN_TAKEN_OUT,
    DEVICE_UNASSIGNED,
    DISPLAY_NEEDS_GRAPHICS,
    ROM_DISABLED,
    TEAMING_WITHOUT_INTERFACE,
    ONLY_ONE_RAMFB,
    ONLY_ONE_VFIO_AP,
    BOOT_ORDER_BESIDE_OS_BOOT,
    BOOT_ORDER_TAKEN,
    ACPI_INDEX_TAKEN,
    ALIAS_TAKEN,
    MULTIFUNCTION_OFF,
    ATTRIBUTE_WITHOUT_EFFECT,
    RAMFB_NEEDS_DISPLAY,
    TEAMING_NEEDS_OWN_SLOT,
)
