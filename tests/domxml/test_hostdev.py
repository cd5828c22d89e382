"""Host devices are ensured by their source, however it is written, whoever holds it."""

from __future__ import annotations

import pytest

from domxml.errors import PassgateError
from tests.domxml.domains import load
from tests.domxml.guestslots import guest_of, inject, tree_of, wish

DOMAIN = """<domain type='kvm'><name>d</name><os><type arch='x86_64' machine='q35'>hvm</type></os>
<devices><controller type='usb' model='none'/><memballoon model='none'/>{}</devices></domain>"""
UUID = "c0ffee00-1111-2222-3333-444455556666"


def domain(devices: str) -> bytes:
    return DOMAIN.format(devices).encode()


@pytest.mark.parametrize(
    "address",
    [
        "<address domain='0x0000' bus='0x3d' slot='0x02' function='0x2'/>",
        "<address type='pci' domain='0' bus='61' slot='2' function='2'/>",
        "<address bus='0x3D' slot='0X2' function='2'/>",
    ],
)
@pytest.mark.parametrize("mode", ["", "mode='subsystem'"])
def test_an_existing_hostdev_is_found_however_it_is_written(address: str, mode: str) -> None:
    alias = "<alias name='ua-hostdevice-x'/>"
    given = domain(f"<hostdev {mode} type='pci' managed='no'><source>{address}</source>{alias}</hostdev>")
    result = inject(given, wish("qat", "0000:3d:02.2", rom_bar="off"))
    tree = tree_of(result.xml)

    assert len(tree.findall("devices/hostdev")) == 1
    assert tree.find("devices/hostdev").attrib == {"mode": "subsystem", "type": "pci", "managed": "no"}
    assert tree.find("devices/hostdev/rom").get("bar") == "off"
    assert tree.find("devices/hostdev/alias").get("name") == "ua-hostdevice-x"
    assert [change.action for change in result.changes] == ["updated"]


def test_a_mediated_device_is_added_and_found_again() -> None:
    first = inject(domain(""), wish("gpu", UUID, display="off"))
    again = inject(first.xml, wish("gpu", UUID.upper(), display="off"))
    hostdev = tree_of(first.xml).find("devices/hostdev")

    assert hostdev.attrib["type"] == "mdev"
    assert hostdev.attrib["model"] == "vfio-pci"
    assert hostdev.find("source/address").get("uuid") == UUID
    assert hostdev.find("driver") is None
    assert again.xml == first.xml


SOURCE = "<address type='pci' domain='0' bus='0x3d' slot='2' function='2'/>"
INTERFACE = f"<interface type='hostdev'><source>{SOURCE}</source><mac address='52:54:00:00:00:01'/></interface>"
NVME = f"<disk type='nvme'><source type='pci' namespace='1'>{SOURCE}</source><target dev='vda' bus='virtio'/></disk>"


@pytest.mark.parametrize("holder", [INTERFACE, NVME])
def test_a_device_that_an_interface_or_a_disk_holds_is_refused(holder: str) -> None:
    with pytest.raises(PassgateError) as refusal:
        inject(domain(holder), wish("qat", "3d:02.2"))

    assert refusal.value.code == "device-held-otherwise"
    assert refusal.value.subject == "0000:3d:02.2"


def test_a_domain_that_holds_a_device_twice_is_refused() -> None:
    hostdev = "<hostdev type='pci'><source><address bus='{}' slot='2' function='2'/></source></hostdev>"
    with pytest.raises(PassgateError, match="Hostdev already exists"):
        inject(domain(hostdev.format("0x3d") + hostdev.format("61")), wish("b", "3e:00.0"))


def test_a_device_that_is_asked_for_twice_is_refused() -> None:
    with pytest.raises(PassgateError) as refusal:
        inject(domain(""), wish("a", "3d:02.2"), wish("b", "0000:3D:02.2"))

    assert refusal.value.code == "duplicate-device"


@pytest.mark.parametrize("alias", ["hostdev0", "ua-a.b", "ua-a b", ""])
def test_an_alias_that_libvirt_would_drop_is_replaced(alias: str) -> None:
    given = domain(f"<hostdev type='pci'><source><address bus='0x3d'/></source><alias name='{alias}'/></hostdev>")

    assert guest_of(inject(given, wish("qat", "3d:00.0"))) == {"ua-passgate-qat": "None"}


def test_an_alias_that_is_taken_is_refused_and_not_written_twice() -> None:
    given = domain("<rng model='virtio'><backend model='random'>/r</backend><alias name='ua-passgate-x'/></rng>")
    with pytest.raises(PassgateError, match="alias"):
        inject(given, wish("x", "3d:00.0"))


def test_a_vmd_device_is_refused() -> None:
    with pytest.raises(PassgateError) as refusal:
        inject(domain(""), wish("nvme", "10000:e1:00.0"))

    assert refusal.value.code == "domain-too-large"


def test_comments_and_instructions_between_devices_do_no_harm() -> None:
    given = domain("<!-- <hostdev/> --><?x y?><rng model='virtio'><!-- z --><backend model='random'/></rng>")
    output = inject(given, wish("qat", "3d:02.2")).xml

    assert b"<!-- <hostdev/> --><?x y?>" in output
    assert b"<!-- z -->" in output


def test_ten_thousand_hostdevs_are_read_and_what_libvirt_will_say_is_told() -> None:
    hostdevs = "".join(
        f"<hostdev type='pci'><source><address domain='{n >> 13}' bus='{n >> 5 & 0xFF}' slot='{n & 0x1F}'/></source>"
        "</hostdev>"
        for n in range(32, 10_032)
    )
    result = inject(domain(hostdevs), wish("qat", "3d:02.2", guest="09:00.0"))

    assert [finding.code for finding in result.findings] == ["domain-refused", "placement-fallback"]
    assert "pcie-root-port" in result.findings[0].message


def test_without_a_wish_the_very_same_bytes_come_back() -> None:
    data = load("q35-default")

    assert inject(data).xml is data


def test_a_domain_to_which_nothing_is_added_is_judged_all_the_same() -> None:
    done = inject(load("q35-default"), wish("qat", "3d:02.2")).xml
    double = done.replace(b"</devices>", b"<vsock><alias name='ua-passgate-qat'/></vsock></devices>")

    assert inject(done, wish("qat", "3d:02.2")).xml is done
    with pytest.raises(PassgateError, match="two devices have this alias"):
        inject(double, wish("qat", "3d:02.2"))
