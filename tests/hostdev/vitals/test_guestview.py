"""A device in a domain's XML, and in QEMU's answer to `query-pci`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.document import Domain
from domxml.pciaddress import PciAddress
from domxml.source import Mdev
from hostdev.vitals.guestview import planned_place, read_query_pci

UUID = "a1b2c3d4-0001-4000-8000-0000000000a1"
XML = f"""\
<domain type='kvm'><name>web</name><devices>
<controller type='pci' index='0' model='pcie-root'/>
<controller type='pci' index='1' model='pcie-root-port'>
  <address type='pci' bus='0x00' slot='0x02' function='0x3'/></controller>
<controller type='pci' index='2' model='pcie-expander-bus'><target busNr='180'/>
  <address type='pci' bus='0x00' slot='0x04' function='0x0'/></controller>
<controller type='pci' index='3' model='pcie-root-port'>
  <address type='pci' bus='0x02' slot='0x01' function='0x0'/></controller>
<hostdev type='pci'><source><address domain='0x0000' bus='0x41' slot='0x10' function='0x0'/></source>
  <alias name='ua-passgate-a'/><address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></hostdev>
<hostdev type='pci'><source><address domain='0x0000' bus='0x42' slot='0x00' function='0x1'/></source>
  <alias name='ua-passgate-b'/><address type='pci' domain='0x0000' bus='0x03' slot='0x00' function='0x0'/></hostdev>
<hostdev type='pci'><source><address domain='0x0000' bus='0x43' slot='0x00' function='0x0'/></source>
  <alias name='hostdev2'/><address type='pci' domain='0x0000' bus='0x09' slot='0x00' function='0x0'/></hostdev>
<hostdev type='mdev' model='vfio-pci'><source><address uuid='{UUID}'/></source>
  <alias name='hostdev3'/><address type='pci' domain='0x0000' bus='0x00' slot='0x05' function='0x0'/></hostdev>
</devices></domain>
"""


def bridge(slot: int, function: int, secondary: int, devices: list[Any], **ranges: Any) -> dict[str, Any]:
    bus = {"number": 0, "secondary": secondary, "subordinate": secondary, **ranges}
    return {
        "bus": 0, "slot": slot, "function": function, "qdev_id": f"pci.{secondary}", "regions": [],
        "pci_bridge": {"bus": bus, "devices": devices},
    }  # fmt: skip


def device(bus: int, alias: str, *addresses: int, size: int = 16384) -> dict[str, Any]:
    regions = [
        {"bar": number, "type": "memory", "size": size, "address": address, "prefetch": True, "mem_type_64": True}
        for number, address in enumerate(addresses)
    ]
    return {"bus": bus, "slot": 0, "function": 0, "qdev_id": alias, "regions": regions}


ROOM = {"prefetchable_range": {"base": 0x1000000, "limit": 0x10FFFFF}, "memory_range": {"base": 0, "limit": 0}}
NONE = {"prefetchable_range": {"base": 0xFFF00000, "limit": 0xFFFFF}, "memory_range": {"base": 0xFFF00000, "limit": 0}}


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("0000:41:10.0", ("ua-passgate-a", "0000:01:00.0", ("root", "02.3", "00.0"))),
        ("0000:42:00.1", ("ua-passgate-b", "0000:03:00.0", ("root b4", "01.0", "00.0"))),
        ("0000:43:00.0", ("hostdev2", "0000:09:00.0", None)),
        ("0000:44:00.0", ("", "", None)),
    ],
)
def test_the_way_of_the_xml(host: str, place: tuple[str, str, Any]) -> None:
    assert planned_place(Domain.parse(XML.encode()), PciAddress.parse(host)) == place


def test_a_mediated_device_has_a_way_too() -> None:
    assert planned_place(Domain.parse(XML.encode()), Mdev(UUID)) == ("hostdev3", "0000:00:05.0", ("root", "05.0"))


@pytest.mark.parametrize("secondary", [1, 7])
def test_the_way_is_the_same_under_every_numbering(secondary: int) -> None:
    answer = [
        {"bus": 0, "devices": [bridge(2, 3, secondary, [device(secondary, "ua-passgate-a", 0xFE000000)], **ROOM)]}
    ]

    view = read_query_pci(answer, "ua-passgate-a")

    assert (view.path, view.address) == (("root", "02.3", "00.0"), f"0000:{secondary:02x}:00.0")
    assert (view.placed, view.numbered) == (True, True)


def test_an_expander_bus_is_a_root_of_its_own() -> None:
    below = bridge(1, 0, 0xB5, [device(0xB5, "ua-passgate-b", 0xFE000000)], **ROOM)

    assert read_query_pci([{"bus": 0xB4, "devices": [below]}], "ua-passgate-b").path == ("root b4", "01.0", "00.0")


@pytest.mark.parametrize("unassigned", [-1, 0xFFFFFFFFFFFFFFFF, 0])
@pytest.mark.parametrize(("ranges", "placed"), [(ROOM, None), (NONE, False)])
def test_no_address_is_not_unplaced(unassigned: int, ranges: dict[str, Any], placed: bool | None) -> None:  # noqa: FBT001
    """QEMU tells -1 while decoding is off; then the port's window decides, as far as it can."""
    answer = [{"bus": 0, "devices": [bridge(2, 3, 1, [device(1, "x", unassigned)], **ranges)]}]

    view = read_query_pci(answer, "x")

    assert (view.placed, view.bars[0].address) == (placed, None)


def test_on_the_root_bus_no_window_tells() -> None:
    assert read_query_pci([{"bus": 0, "devices": [device(0, "x", -1)]}], "x").placed is None


def test_before_the_firmware_nothing_is_numbered() -> None:
    view = read_query_pci([{"bus": 0, "devices": [bridge(2, 3, 0, [device(0, "x", -1)], **NONE)]}], "x")

    assert (view.placed, view.numbered) == (False, False)


def test_a_device_that_is_gone() -> None:
    assert read_query_pci([{"bus": 0, "devices": []}], "x").path is None


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["bus", "devices", "slot", "function", "qdev_id", "regions", "pci_bridge", "bar", "address"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@given(JUNK)
def test_no_answer_breaks_it(answer: object) -> None:
    read_query_pci(answer, "x")
