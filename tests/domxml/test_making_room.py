"""On a conventional bus a place may be taken that libvirt has only planned for another device."""

from __future__ import annotations

from lxml import etree

from tests.domxml.domains import load
from tests.domxml.guestslots import inject, wish

QAT = wish("qat", "0000:3d:02.2", "0000:00:04.0")


def test_only_who_makes_room_moves() -> None:
    findings = inject(load("i440fx"), QAT).findings

    assert [(finding.code, finding.subject) for finding in findings] == [("base-device-moves", "controller scsi 0")]


def test_those_behind_it_are_written_down() -> None:
    root = etree.fromstring(inject(load("i440fx"), QAT).xml)
    held = {str(device.tag) for device in root.iterfind("devices/*") if device.find("address") is not None}

    assert held == {"interface", "controller", "video", "memballoon", "disk", "rng", "hostdev"}
    assert root.find("devices/controller[@type='scsi']/address") is None


def test_where_nobody_makes_room_nothing_is_written_down() -> None:
    root = etree.fromstring(inject(load("i440fx"), wish("qat", "0000:3d:02.2", "0000:00:1f.0")).xml)

    assert [device.tag for device in root.iterfind("devices/*") if device.find("address") is not None] == ["hostdev"]
