from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from domxml.errors import BadInput
from domxml.pciaddress import PciAddress

addresses = st.builds(
    PciAddress, st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFF), st.integers(0, 0x1F), st.integers(0, 7)
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0000:3b:00.1", (0, 0x3B, 0, 1)),
        ("3b:00.1", (0, 0x3B, 0, 1)),
        ("pci_0000_3b_00_1", (0, 0x3B, 0, 1)),
        ("0000:3D:02.2", (0, 0x3D, 2, 2)),
        ("10000:e1:00.0", (0x10000, 0xE1, 0, 0)),
        ("FFFF:ff:1f.7", (0xFFFF, 0xFF, 0x1F, 7)),
    ],
)
def test_every_spelling_is_read(text: str, address: tuple[int, ...]) -> None:
    assert PciAddress.parse(text) == PciAddress(*address)


@pytest.mark.parametrize(
    "text",
    [
        *("", "0000:00:20.0", "0000:00:00.8", "3b:0.1", "0000:3b:00.1\n", "00:00", "0000:3b:00", "0x3b:00.1"),
        *("0000:3b:00.1 ", "../../../etc/passwd", "\uff10000:3b:00.1", "0000:3b:00.1/../..", "0000-3b-00.1"),
        *("pci_0000_3b_00_9", "123456789:3b:00.1", "0000:3b:0g.1", "::.", "a" * 10_000),
    ],
)
def test_what_is_no_address_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(BadInput) as refusal:
        PciAddress.parse(text)

    assert refusal.value.code == "bad-address"
    assert "\n" not in refusal.value.sentence()
    assert len(refusal.value.sentence()) < 300


@given(addresses)
def test_printing_and_parsing_are_inverse(address: PciAddress) -> None:
    assert PciAddress.parse(str(address)) == address


@given(addresses.filter(lambda address: address.domain <= 0xFFFF))
def test_libvirt_attributes_round_trip(address: PciAddress) -> None:
    assert PciAddress.from_attributes(address.attributes()) == address


@pytest.mark.parametrize(
    ("attributes", "address"),
    [
        ({"domain": "0", "bus": "61", "slot": "2", "function": "2"}, (0, 61, 2, 2)),
        ({"bus": "0X3D", "slot": "0x2"}, (0, 0x3D, 2, 0)),
        ({"bus": " 0x01", "slot": "+1"}, (0, 1, 1, 0)),
        ({"slot": "010"}, (0, 0, 8, 0)),
        ({}, (0, 0, 0, 0)),
    ],
)
def test_attributes_are_read_as_libvirt_reads_them(attributes: dict[str, str], address: tuple[int, ...]) -> None:
    assert PciAddress.from_attributes(attributes) == PciAddress(*address)


BAD_ATTRIBUTES = [{"bus": "zz"}, {"slot": "0x20"}, {"function": "8"}, {"bus": "-1"}, {"bus": "09"}]


@pytest.mark.parametrize("attributes", BAD_ATTRIBUTES)
def test_impossible_attributes_are_refused(attributes: dict[str, str]) -> None:
    with pytest.raises(BadInput):
        PciAddress.from_attributes(attributes)


@pytest.mark.parametrize("attributes", BAD_ATTRIBUTES)
def test_the_element_of_an_impossible_address_is_named(attributes: dict[str, str]) -> None:
    for outer, inner, named in (("vsock", "", "<vsock>"), ("hostdev", "source", "<hostdev>")):
        disk = etree.SubElement(etree.XML("<devices>\n</devices>"), outer)
        address = etree.SubElement(etree.SubElement(disk, inner) if inner else disk, "address", attributes)
        with pytest.raises(BadInput) as refusal:
            PciAddress.from_attributes(address)

        assert refusal.value.subject == named
    with pytest.raises(BadInput) as refusal:
        PciAddress.from_attributes(etree.XML("<d>\n<vsock><address bus='x'/></vsock></d>")[0][0])
    assert refusal.value.subject == "<vsock> in line 2"


def test_a_domain_that_libvirt_cannot_name_is_refused() -> None:
    with pytest.raises(BadInput) as refusal:
        PciAddress.parse("10000:e1:00.0").attributes()

    assert refusal.value.code == "domain-too-large"
    assert "VMD" in refusal.value.hint


def test_addresses_are_ordered_as_the_kernel_lists_them() -> None:
    texts = ["0000:00:02.0", "0000:00:1f.3", "0000:0a:00.0", "0001:00:00.0", "10000:e1:00.0"]

    assert [str(a) for a in sorted(PciAddress.parse(text) for text in reversed(texts))] == texts
