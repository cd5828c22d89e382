from __future__ import annotations

from domxml.pciaddress import PciAddress
from tests.oracle.addresses import guest_addresses, moved

PORT = "<controller type='pci' index='{}' model='pcie-root-port'>{}</controller>"
HOSTDEV = (
    "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='0x65' slot='{}' function='3'/></source>{}"
    "</hostdev>"
)


def domain(*devices: str) -> bytes:
    return f"<domain><devices><emulator>/q</emulator>{''.join(devices)}</devices></domain>".encode()


def at(bus: int, slot: int = 0) -> str:
    return f"<address type='pci' domain='0x0000' bus='0x{bus:02x}' slot='0x{slot:02x}' function='0x0'/>"


def test_keys_name_each_kind_of_device() -> None:
    xml = domain(
        PORT.format(3, at(0, 2)),
        f"<disk><target dev='vda' bus='virtio'/>{at(7)}</disk>",
        f"<interface type='ethernet'><mac address='02:42:0a:f4:00:01'/><alias name='ua-default'/>{at(1)}</interface>",
        f"<interface type='ethernet'>{at(2)}</interface>",
        f"<interface type='ethernet'>{at(3)}</interface>",
        HOSTDEV.format("0x02", at(9)),
        "<hostdev mode='subsystem' type='mdev'><source><address uuid='c2177883'/></source></hostdev>",
        "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1d6b'/></source></hostdev>",
        "<input type='tablet' bus='usb'/>",
        "<memballoon model='virtio'/>",
    )
    assert {key: str(address) for key, address in guest_addresses(xml).items()} == {
        "controller:pci:3": "0000:00:02.0",
        "disk:vda": "0000:07:00.0",
        "interface:ua-default": "0000:01:00.0",
        "interface": "0000:02:00.0",
        "interface#2": "0000:03:00.0",
        "hostdev:pci:0000:65:02.3": "0000:09:00.0",
        "hostdev:mdev:c2177883": "None",
        "hostdev:usb": "None",
        "input:tablet": "None",
        "memballoon": "None",
    }


def test_all_zero_and_other_kinds_of_address_are_no_pci_address() -> None:
    xml = domain(
        "<rng><address type='pci' domain='0x0000' bus='0x00' slot='0x00' function='0x0'/></rng>",
        "<memballoon><address type='ccw' cssid='0xfe' ssid='0x0' devno='0x0001'/></memballoon>",
    )
    assert guest_addresses(xml) == {"rng": None, "memballoon": None}


def test_an_alias_that_libvirt_drops_is_no_identity() -> None:
    assert list(guest_addresses(domain("<interface><alias name='ua-a.b'/></interface>"))) == ["interface"]


def test_controllers_without_index_take_the_lowest_free_one_of_their_type() -> None:
    free = "<controller type='pci' model='pcie-root-port'/>"
    xml = domain(
        "<controller type='pci' index='0' model='pcie-root'/>",
        free,
        PORT.format(2, ""),
        free,
        "<controller type='usb'/>",
    )
    assert list(guest_addresses(xml)) == [
        "controller:pci:0",
        "controller:pci:1",
        "controller:pci:2",
        "controller:pci:3",
        "controller:usb:0",
    ]


def test_moved_tells_from_where_to_where_and_what_is_gone() -> None:
    before = guest_addresses(domain(PORT.format(1, at(0, 2)), PORT.format(2, at(0, 3)), HOSTDEV.format("1", at(1))))
    after = guest_addresses(domain(PORT.format(1, at(0, 2)), HOSTDEV.format("7", at(1)), HOSTDEV.format("1", at(2))))
    assert moved(before, after) == {
        "controller:pci:2": (PciAddress(0, 0, 3, 0), None),
        "hostdev:pci:0000:65:01.3": (PciAddress(0, 1, 0, 0), PciAddress(0, 2, 0, 0)),
    }


def test_what_had_no_address_has_not_moved() -> None:
    assert moved(guest_addresses(domain("<rng/>")), guest_addresses(domain(f"<rng>{at(4)}</rng>"))) == {}
