"""Small reproductions of what real files of users and of KubeVirt have."""

from __future__ import annotations

from typing import Any, NamedTuple

from domxml.guestslot import GuestSlot
from tests.domxml.guestslots import wish

DEVICE = "0000:65:02.3"
NO_BALLOON = "<memballoon model='none'/>"
VDA = "<disk type='file' device='disk'><source file='/a'/><target dev='vda' bus='virtio'/>%s</disk>"
HELD = (
    "<hostdev mode='subsystem' type='pci'%s><source><address domain='0' bus='0x65' slot='2' function='3'/></source>%s"
    "</hostdev>"
)


def domain(machine: str, *devices: str, arch: str = "x86_64", rest: str = "") -> bytes:
    named = f" machine='{machine}'" if machine else ""
    return (
        f"<domain type='kvm'><name>a</name><memory unit='MiB'>64</memory><os><type arch='{arch}'{named}>hvm</type></os>"
        f"{rest}<devices>{''.join(devices)}</devices></domain>"
    ).encode()


def pci(bus: int, slot: int, function: int = 0, more: str = "") -> str:
    return f"<address type='pci' domain='0' bus='{bus:#x}' slot='{slot:#x}' function='{function:#x}'{more}/>"


PORT = "<controller type='pci' model='pcie-root-port'/>"
LIVE = domain(
    "q35",
    "<serial type='pty'><target port='0'/><alias name='serial0'/></serial>",
    "<console type='pty'><target type='serial' port='0'/><alias name='serial0'/></console>",
    *(
        f"<controller type='usb' index='0' model='{model}'><alias name='usb'/></controller>"
        for model in ("ich9-ehci1", "ich9-uhci1", "ich9-uhci2", "ich9-uhci3")
    ),
)
INDEXLESS = domain("q35", "<controller type='pci' model='pcie-root'/>", *[PORT] * 14)
SCSI = domain(
    "pc",
    VDA % "",
    NO_BALLOON,
    "<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/><address bus='0' target='0' unit='0'/>"
    "</source></hostdev>",
)
SATA = domain(
    "q35",
    "<controller type='pci' index='0' model='pcie-root'/>",
    f"<controller type='pci' index='1' model='pcie-root-port'>{pci(0, 1)}</controller>",
    f"<controller type='pci' index='2' model='pcie-to-pci-bridge'>{pci(1, 0)}</controller>",
    f"<controller type='sata' index='0'>{pci(0, 0x1F, 2)}</controller>",
    "<controller type='usb' index='0' model='none'/>",
    NO_BALLOON,
    "<disk type='file' device='disk'><source file='/a'/><target dev='sdg' bus='sata'/>"
    "<address type='drive' controller='1' bus='0' target='0' unit='0'/></disk>",
)
EHCI = domain(
    "pc",
    "<controller type='usb' model='ich9-ehci1'/>",
    "<controller type='usb' model='ich9-uhci1'><master startport='0'/></controller>",
    "<video><model type='vga'/></video>",
)
FAR = domain("pc", "<controller type='pci' index='0' model='pci-root'/>", VDA % pci(0x99, 7), NO_BALLOON)
ROOT_COMPLEX = domain(
    "q35",
    f"<interface type='ethernet'><model type='virtio-non-transitional'/>{pci(0, 2)}</interface>",
    f"<controller type='usb' index='0' model='none'>{pci(0, 3)}</controller>",
    "<video><model type='vga'/></video>",
)
LEAVING = domain(
    "q35",
    "<controller type='usb' index='0' model='none'/>",
    "<interface type='user'><mac address='02:00:00:00:00:01'/><model type='virtio'/></interface>",
    "<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0' bus='0x5e' slot='2' function='0'/>"
    f"</source><alias name='ua-sriov-sriov0'/>{pci(2, 0)}</hostdev>",
    "<memballoon model='virtio'/>",
)
PSERIES = domain("pseries", "<controller type='pci' index='0' model='pci-root'/>", VDA % pci(0, 2), arch="ppc64le")


def asked(guest: str = "", **attributes: Any) -> GuestSlot:
    return wish("x", DEVICE, guest, **attributes)


class Taken(NamedTuple):
    """What libvirt takes: where the device goes if an address is asked for, and nothing else moves."""

    xml: bytes
    guest: str = ""


TAKEN = {
    "a dump of a running domain": Taken(LIVE),
    "a dump of a running domain, addressed": Taken(LIVE, "0000:09:00.0"),
    "ports without index": Taken(INDEXLESS),
    "ports without index, on one of them": Taken(INDEXLESS, "0000:05:00.0"),
    "ports without index, above them": Taken(INDEXLESS, "0000:20:00.0"),
    "a SATA controller that libvirt adds": Taken(SATA),
    "a SATA controller that libvirt adds, addressed": Taken(SATA, "0000:02:02.0"),
    "USB companions": Taken(EHCI),
    "far bridges": Taken(FAR),
    "a USB controller that is not there": Taken(ROOT_COMPLEX),
    "the primary video's slot without video": Taken(domain("pc", NO_BALLOON), "0000:00:02.0"),
    **{
        f"slot {slot:#x} of q35": Taken(domain("q35", VDA % ""), f"0000:00:{slot:02x}.0")
        for slot in (0x1A, 0x1B, 0x1D, 0x1E)
    },
}
