"""What is written into a document is laid out as the document is."""

from __future__ import annotations

import pytest
from lxml import etree

from domxml.document import Domain
from domxml.guestslot import GuestSlot
from domxml.transform import transform
from tests.domxml.domains import load
from tests.domxml.guestslots import inject, wish
from tests.domxml.realdomains import NO_BALLOON, domain

WISHES = {
    "q35-default": wish("qat", "0000:3d:02.2", rom_bar="off"),
    # KubeVirt's own device leaves its turn, so that the others are held where they are.
    "q35-gpu-1": wish("gpu", "0000:19:00.0", guest="0a:00.0", rom_bar="off"),
}


@pytest.mark.parametrize("name", WISHES)
def test_every_element_is_indented_by_its_depth(name: str) -> None:
    text = _transformed(load(name), WISHES[name])

    root = etree.fromstring(text, etree.XMLParser(remove_blank_text=True))
    etree.indent(root, "\t")
    assert text.splitlines() == etree.tostring(root, encoding="unicode").splitlines()


@pytest.mark.parametrize("name", WISHES)
def test_a_document_in_one_line_stays_in_one_line(name: str) -> None:
    flat = b"".join(line.strip() for line in load(name).splitlines())

    assert "\n" not in _transformed(flat, WISHES[name]).strip()


def _transformed(xml: bytes, wanted: GuestSlot) -> str:
    return transform(Domain.parse(xml), (wanted,)).xml.decode()


def test_stray_text_between_devices_is_not_repeated() -> None:
    given = domain("q35", "stray", NO_BALLOON)

    assert inject(given, wish("x", "65:02.3")).xml.count(b"stray") == 1


@pytest.mark.parametrize("end", [b"", b"\n", b"<!-- the end -->\n"])
def test_the_end_of_the_document_stays(end: bytes) -> None:
    output = inject(domain("q35", NO_BALLOON) + end, wish("x", "65:02.3")).xml

    assert output.endswith(b"</domain>" + end)
