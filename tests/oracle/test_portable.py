from __future__ import annotations

import pytest
from lxml import etree

from tests.oracle.portable import portable

LIBVIRT_9 = 9_000_000
LIBVIRT_11 = 11_003_000


def element(text: str, path: str) -> etree._Element:
    found = etree.fromstring(text).find(path)
    assert found is not None
    return found


def test_kvm_becomes_qemu_on_the_domain_alone() -> None:
    text = portable(b"<domain type='kvm'><metadata><x type='kvm'/></metadata></domain>", LIBVIRT_11)
    assert etree.fromstring(text).get("type") == "qemu"
    assert element(text, "metadata/x").get("type") == "kvm"


@pytest.mark.parametrize(
    ("arch", "machine", "known"),
    [
        ("x86_64", "pc-q35-rhel9.6.0", "q35"),
        ("x86_64", "pc-i440fx-rhel7.6.0", "pc"),
        ("aarch64", "virt-rhel9.6.0", "virt"),
        ("s390x", "s390-ccw-virtio-rhel9.6.0", "s390-ccw-virtio"),
        ("x86_64", "pc-q35-7.2", "pc-q35-7.2"),
    ],
)
def test_emulator_and_machine_are_those_of_the_root(arch: str, machine: str, known: str) -> None:
    xml = (
        f"<domain type='kvm'><os><type arch='{arch}' machine='{machine}'>hvm</type></os>"
        "<devices><emulator>/usr/libexec/qemu-kvm</emulator></devices></domain>"
    )
    text = portable(xml.encode(), LIBVIRT_11)
    assert element(text, "os/type").get("machine") == known
    assert element(text, "devices/emulator").text == f"/usr/bin/qemu-system-{arch}"


def test_memory_without_slots_goes_where_libvirt_wants_slots() -> None:
    xml = b"<domain><maxMemory slots='0'>8</maxMemory></domain>"
    assert "maxMemory" not in portable(xml, LIBVIRT_9)
    assert "maxMemory" in portable(xml, LIBVIRT_11)


def test_the_schema_sees_passgates_hostdev_as_it_is() -> None:
    hostdev = "<hostdev type='pci'><driver/><source><address type='pci' bus='1'/></source><alias name='{}'/></hostdev>"
    names = ("ua-gpu-gpu0", "ua-passgate-gpu")
    xml = f"<domain><devices>{''.join(hostdev.format(name) for name in names)}</devices></domain>"
    kubevirts, ours = etree.fromstring(portable(xml.encode(), LIBVIRT_11, validate=True)).iterfind("devices/hostdev")
    assert kubevirts.get("mode") == "subsystem"
    assert [child.tag for child in kubevirts] == ["source", "alias"]
    assert etree.tostring(ours, encoding="unicode") == hostdev.format(names[1]).replace("'", '"')


def test_what_is_no_xml_stays() -> None:
    assert portable(b"<domain>\xff", LIBVIRT_11) == "<domain>\ufffd"
