"""Small reproductions of what real files of users and of KubeVirt have, and what went wrong with them once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from domxml.document import Domain
from domxml.errors import Refused
from domxml.guestpci.prediction import predict
from domxml.guestpci.topology import Topology
from domxml.guestslot import GuestSlot
from domxml.transform import Transformed, transform
from domxml.version import LibvirtVersion
from tests.domxml.guestslots import guest_of, inject, tree_of, wish

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


def predicted(xml: bytes) -> Mapping[str, str]:
    foreseen = predict(Topology(Domain.parse(xml)))
    assert foreseen.known, (foreseen.unknown, foreseen.refusal)
    found = {d.label: str(a) for d, a in (foreseen.addresses or {}).items() if d.label != "hostdev ua-passgate-x"}
    return found | {port.label: str(port.address) for port in foreseen.ports}


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


@pytest.mark.parametrize("taken", TAKEN.values(), ids=TAKEN)
def test_what_libvirt_takes_is_taken_and_moves_nothing(taken: Taken) -> None:
    result = inject(taken.xml, asked(taken.guest))
    before, after = predicted(taken.xml), predicted(result.xml)

    assert before.items() <= after.items()
    assert result.findings == ()
    if taken.guest:
        assert guest_of(result) == {"ua-passgate-x": taken.guest}


REFUSED = {
    "an address that a companion must have": (EHCI, "0000:00:03.7", "guest-address-taken"),
    "a slot of a bridge that libvirt gives to the SATA controller": (SATA, "0000:02:01.0", "guest-address-taken"),
    "a taken address of a machine that is not emulated": (PSERIES, "0000:00:02.0", "guest-address-taken"),
    "an Arm domain without a machine type": (domain("", NO_BALLOON, arch="aarch64"), "", "unsupported-machine"),
    "a device that the guest shall not see": (
        domain("q35", HELD % ("", "<address type='unassigned'/>")),
        "",
        "device-unassigned",
    ),
}


@pytest.mark.parametrize(("xml", "guest", "code"), REFUSED.values(), ids=REFUSED)
def test_what_would_not_work_is_refused_with_the_right_reason(xml: bytes, guest: str, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        inject(xml, asked(guest))

    assert refusal.value.code == code


def codes(result: Transformed) -> list[str]:
    return [finding.code for finding in result.findings]


def test_where_libvirts_allocation_is_not_known_an_address_asked_for_is_told_about() -> None:
    result = inject(SCSI, asked("0000:00:03.0"))

    assert codes(result) == ["placement-fallback"]
    assert result.findings[0].severity == "warning"
    assert "a device that libvirt would have put to 0000:00:03.0 goes elsewhere" in result.findings[0].message


def test_a_domain_that_libvirt_itself_refuses_is_told_to_be_so() -> None:
    twice = domain("pc", VDA % pci(0, 7), f"<vsock model='virtio'>{pci(0, 7)}</vsock>")

    assert codes(inject(twice, asked()))[0] == "domain-refused"


def test_ports_without_a_root_are_refused_by_libvirt() -> None:
    result = inject(domain("q35", PORT, PORT), asked())

    assert codes(result)[0] == "domain-refused"
    assert "must be model='pcie-root'" in result.findings[0].message


def test_an_arm_domain_without_a_machine_type_is_virt_to_a_libvirt_that_says_so() -> None:
    xml = domain("", NO_BALLOON, arch="aarch64")

    assert guest_of(transform(Domain.parse(xml), [asked()], libvirt=LibvirtVersion(11, 3)))


def test_a_device_that_leaves_lets_nothing_move() -> None:
    """Guests find NICs and disks by their addresses."""
    result = inject(LEAVING, wish("sriov0", "0000:5e:02.0", "0000:0e:00.0"))
    before, after = predicted(LEAVING), predicted(result.xml)

    assert {label for label in before if before[label] != after.get(label)} == {"hostdev ua-sriov-sriov0"}


@pytest.mark.parametrize("managed", ["", " managed='yes'", " managed='no'"])
def test_how_a_device_that_is_there_is_managed_stays(managed: str) -> None:
    given = domain("q35", HELD % (managed, "<alias name='ua-mine'/>"))
    hostdev = tree_of(inject(given, asked("0000:09:00.0")).xml).find("devices/hostdev")

    assert hostdev.get("managed") == (managed.split("'")[1] if managed else None)


def test_a_device_that_is_there_and_shall_be_seen_gets_an_address() -> None:
    given = domain("q35", HELD % ("", "<address type='unassigned'/>"))

    assert guest_of(inject(given, asked("0000:09:00.0"))) == {"ua-passgate-x": "0000:09:00.0"}


@pytest.mark.parametrize("count", [0, 1, 14, 15, 16, 17, 24, 29])
def test_host_devices_of_s390x_stay_where_libvirt_puts_them(count: int) -> None:
    """Libvirt gives them the lowest slots of bus 0, in the order of the document."""
    there = "".join(
        f"<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='{n}' function='0'/></source>"
        "</hostdev>"
        for n in range(count)
    )
    xml = domain("s390-ccw-virtio", there, arch="s390x")
    slot = int(guest_of(inject(xml, asked()))["ua-passgate-x"][8:10], 16)

    assert slot > count


def test_more_host_devices_of_s390x_than_bus_0_has_slots_are_refused() -> None:
    there = "".join(
        f"<hostdev type='pci'><source><address bus='1' slot='{n // 8}' function='{n % 8}'/></source></hostdev>"
        for n in range(40)
    )
    with pytest.raises(Refused, match="no-free-place"):
        inject(domain("s390-ccw-virtio", there, arch="s390x"), asked())


@pytest.mark.parametrize("count", [1, 31, 32, 33, 40, 64])
def test_as_many_devices_as_a_guest_can_have_sit_on_one_numa_node(count: int) -> None:
    cells = "<cpu><numa><cell id='0' cpus='0-3' memory='1' unit='GiB'/></numa></cpu>"
    slots = [wish(f"x{n}", f"65:{n // 8:02x}.{n % 8}", node=0) for n in range(count)]
    result = inject(domain("q35", NO_BALLOON, rest=cells), *slots)
    expanders = [c for c in result.controllers if c.model == "pcie-expander-bus"]

    assert len(expanders) == (count + 31) // 32
    assert len(set(guest_of(result).values())) == count
    assert codes(result) == []


@pytest.mark.parametrize("free", [1, 2, 3])
def test_a_nearly_full_bus_gets_a_bridge(free: int) -> None:
    disks = [VDA.replace("vda", f"vd{chr(97 + n // 26)}{chr(97 + n % 26)}") % pci(0, n) for n in range(2, 32 - free)]
    result = inject(domain("pc", *disks, NO_BALLOON), asked())

    assert predicted(domain("pc", *disks, NO_BALLOON)).items() <= predicted(result.xml).items()
