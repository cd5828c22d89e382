"""What can be said about edits of a domain: devices that come, go, move or get another name."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

LAYOUT_NOT_KEPT = FindingKind(
    "layout-not-kept",
    Severity.INFO,
    "The domain was written anew instead of being changed in place",
    "`passgate inject` changes a document where something changes, and leaves every other byte. Where it cannot find "
    "the elements in the text, in an encoding that is no superset of ASCII say, it writes the whole document again: as "
    "UTF-8, with the same elements, attributes, comments and texts.",
    "nothing to do: the content is the same; convert the document to UTF-8 to keep its layout",
    "`iconv -t UTF-8`, and take the encoding out of the XML declaration.",
)
NOT_IN_DOMAIN = FindingKind(
    "device-not-in-domain",
    Severity.ERROR,
    "The device to take out is not in the domain",
    "`--remove` takes a host device by its host address (`0000:3d:02.2`, `pci_0000_3d_02_2`), by the UUID of a "
    "mediated device, by its alias, or by the name that it was given. None of the domain's devices is called so.",
    "name one of the devices that are there; `passgate slots` lists them",
    "`passgate slots DOMAIN` lists every device with its host address and its alias.",
)
REMOVAL_NOT_PREDICTED = FindingKind(
    "removal-not-predicted",
    Severity.WARNING,
    "Whether other devices move when this one leaves is not known",
    "Libvirt gives devices without a guest address the first free place. With one device less, another may come "
    "forward. For this domain that cannot be computed; the devices whose addresses are written down stay in any case.",
    "take the device out of what `virsh dumpxml` prints: there, every address is written down",
    "`virsh dumpxml VM | passgate inject --remove DEVICE | virsh define /dev/stdin`.",
)
PORT_STAYS = FindingKind(
    "empty-port-stays",
    Severity.INFO,
    "A port that a device has left stays in the domain",
    "`passgate inject` marks the ports that it writes (`ua-passgate_port-N`), and takes those out again. A port "
    "without that mark may be the VM's own, for hotplug say; and without a port below others, those would be "
    "numbered anew.",
    "nothing to do: an empty port moves nothing; libvirt plugs the next device into it",
    "Take the `<controller>` out by hand if nothing else shall use it, and no controller has a higher index.",
)
NO_PORT_FREE = FindingKind(
    "no-port-free",
    Severity.WARNING,
    "The running VM has no port that is free for the device",
    "On q35 and Arm machines a device can only be plugged into an empty PCIe root port, and ports cannot be added "
    "while the VM runs. Ports with `hotplug='off'` and the root bus take nothing.",
    "add the device to the VM's definition instead, and start the VM again: `passgate inject`",
    "Define the VM with some empty `<controller type='pci' model='pcie-root-port'/>` more, and start it again.",
)
PLACE_NOT_CHECKED = FindingKind(
    "place-not-checked",
    Severity.WARNING,
    "Whether the guest address is free in the running VM was not checked",
    "An address is written into a snippet for `virsh attach-device` where it is known to be free: where the domain is "
    "given as `virsh dumpxml` prints it while the VM runs, with the address of every device.",
    "give the running VM's XML: `virsh dumpxml VM | passgate inject - --device … -o hostdev`",
    "`passgate inject --connect qemu:///system VM --device ADDRESS -o hostdev` asks libvirt itself.",
)
DEVICE_MOVES = FindingKind(
    "device-moves",
    Severity.INFO,
    "A device that was there gets another guest address",
    "It was asked for by `guest=`. Guests name NICs and find disks by their addresses: a NIC may be renamed, a Windows "
    "guest takes it for a new device. The port that it leaves stays where it is.",
    "nothing to do if that was meant; leave guest out to keep the device where it was",
    "`passgate inject DOMAIN --device ADDRESS,guest=OLD` with the address that the message names moves it back.",
)
DEVICE_RENAMED = FindingKind(
    "device-renamed",
    Severity.INFO,
    "A device that was there gets another alias",
    "It was asked for by `name=`. `virsh` and scripts that use the old alias do not find it any more.",
    "nothing to do if that was meant",
    "Leave `name` out: the device then keeps its alias.",
)
SETTING_IGNORED = FindingKind(
    "setting-ignored",
    Severity.WARNING,
    "A setting has no effect on a device that is there already",
    "A device that is in the domain stays where it is. virt-launcher knows its own devices by their aliases, so that "
    "these keep them; and a guest NUMA node would be another place.",
    "leave the setting out; or take the device out with --remove and put it in again",
    "`passgate inject --remove DEVICE`, then `passgate inject --device ADDRESS,…`. For a place, ask for one: `guest=`.",
)

KINDS: tuple[FindingKind, ...] = (
    LAYOUT_NOT_KEPT,
    NOT_IN_DOMAIN,
    REMOVAL_NOT_PREDICTED,
    PORT_STAYS,
    NO_PORT_FREE,
    PLACE_NOT_CHECKED,
    DEVICE_MOVES,
    DEVICE_RENAMED,
    SETTING_IGNORED,
)
