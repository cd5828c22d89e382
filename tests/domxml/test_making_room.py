"""A place may be taken that libvirt has only planned for another device: that one moves, and it is told."""

from __future__ import annotations

import re

import pytest
from lxml import etree

from domxml.document import Domain
from domxml.guestpci.prediction import predict
from domxml.guestpci.topology import Topology
from domxml.pciaddress import PciAddress
from tests.domxml.domains import load
from tests.domxml.guestaddresses import PLANNED
from tests.domxml.guestslots import guest_of, inject, wish
from tests.domxml.realdomains import domain
from tests.oracle.addresses import Addresses, guest_addresses

TOLD = re.compile(r"its guest address becomes (\S+) instead of (\S+)")
QAT = wish("qat", "0000:3d:02.2", "0000:00:04.0")


def predicted(xml: bytes) -> Addresses:
    """Where libvirt will put every device of the document that has an alias or a name."""
    foreseen = predict(Topology(Domain.parse(xml)))
    assert foreseen.known
    return {
        device.label: address for device, address in (foreseen.addresses or {}).items() if device.element is not None
    }


@pytest.mark.parametrize(("name", "asked", "owner"), PLANNED)
def test_only_who_makes_room_moves_and_both_addresses_are_told(name: str, asked: str, owner: str) -> None:
    result = inject(load(name), wish("qat", "0000:3d:02.2", asked))
    before, after = predicted(load(name)), predicted(result.xml)
    went = {label: (str(before[label]), str(after[label])) for label in before if before[label] != after[label]}

    assert guest_of(result) == {"ua-passgate-qat": asked}
    assert set(went) == {owner}
    (finding,) = (finding for finding in result.findings if finding.code == "base-device-moves")
    assert finding.subject == owner
    told = TOLD.fullmatch(finding.message)
    assert told is not None
    assert (told[2], told[1]) == went[owner]
    assert told[2] == asked


@pytest.mark.parametrize(("name", "asked", "owner"), PLANNED)
def test_a_second_run_finds_everybody_where_the_first_put_them(name: str, asked: str, owner: str) -> None:
    first = inject(load(name), wish("qat", "0000:3d:02.2", asked))

    assert predicted(inject(first.xml, wish("qat", "0000:3d:02.2", asked)).xml)[owner] == predicted(first.xml)[owner]


def test_those_behind_it_are_written_down() -> None:
    root = etree.fromstring(inject(load("i440fx"), QAT).xml)
    held = {str(device.tag) for device in root.iterfind("devices/*") if device.find("address") is not None}

    assert held == {"interface", "controller", "video", "memballoon", "disk", "rng", "hostdev"}
    assert root.find("devices/controller[@type='scsi']/address") is None


def test_where_nobody_makes_room_nothing_is_written_down() -> None:
    root = etree.fromstring(inject(load("i440fx"), wish("qat", "0000:3d:02.2", "0000:00:1f.0")).xml)

    assert [device.tag for device in root.iterfind("devices/*") if device.find("address") is not None] == ["hostdev"]


@pytest.mark.parametrize(
    ("name", "address"),
    [("q35-default", "0000:00:01.0"), ("i440fx", "0000:00:02.0"), ("q35-default", "0000:00:02.0")],
)
def test_ports_and_the_primary_video_make_no_room(name: str, address: str) -> None:
    with pytest.raises(Exception, match="belongs to"):
        inject(load(name), wish("qat", "0000:3d:02.2", address))


def test_an_address_that_is_written_down_is_taken() -> None:
    first = inject(load("q35-default"), wish("one", "0000:3d:02.3", "0000:0b:00.0")).xml

    with pytest.raises(Exception, match="belongs to hostdev ua-passgate-one"):
        inject(first, wish("two", "0000:3d:02.2", "0000:0b:00.0"))
    assert guest_addresses(first)["hostdev:pci:0000:3d:02.3"] == PciAddress.parse("0000:0b:00.0")


def test_host_devices_of_s390x_make_room_too() -> None:
    there = "".join(
        f"<hostdev type='pci'><source><address bus='1' slot='{n}'/></source><alias name='ua-{n}'/></hostdev>"
        for n in range(4)
    )
    given = domain("s390-ccw-virtio", there, arch="s390x")
    result = inject(given, wish("qat", "0000:3d:02.2", "0000:00:02.0"))
    before, after = predicted(given), predicted(result.xml)

    assert {name for name in before if before[name] != after[name]} == {"hostdev ua-1"}
    (finding,) = result.findings
    assert finding.message == "its guest address becomes 0000:00:05.0 instead of 0000:00:02.0"
