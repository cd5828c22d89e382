from __future__ import annotations

import pytest

from domxml.pciaddress import PciAddress
from tests.vmhost import topology
from tests.vmhost.topology import BY_ID, CHIPSET, PARTS


def test_every_part_hangs_on_one_before_it() -> None:
    for number, part in enumerate(PARTS):
        assert part.bus in {"", "pcie.0", *(earlier.id for earlier in PARTS[:number])}, part.id


def test_no_two_parts_are_one() -> None:
    addresses = [part.address for part in PARTS if part.at] + [PciAddress.parse(at) for at in CHIPSET]
    assert len(set(addresses)) == len(addresses)
    assert len(BY_ID) == len(PARTS)


def test_every_function_is_in_one_group() -> None:
    members = [address for group in topology.groups() for address in group]
    assert len(set(members)) == len(members)
    assert set(members) == {PciAddress.parse(at) for at in CHIPSET} | {
        address
        for part in PARTS
        if part.at
        for address in (part.address, *(part.vf(number) for number in range(part.vfs)))
    }


def test_ports_of_one_machine_differ_in_chassis_and_slot() -> None:
    ports = [argument for argument in topology.arguments() if "chassis=" in argument]
    numbers = [argument.partition("chassis=")[2] for argument in ports]
    assert len(ports) == len(set(numbers)) == sum(part.model in topology.PORTS for part in PARTS)


def test_a_network_card_has_a_network() -> None:
    arguments = topology.arguments()
    place = arguments.index("igb,id=igb0,bus=port-igb0,addr=0.0,netdev=igb0-network,romfile=")
    assert arguments[place - 3 : place] == ["-netdev", "hubport,id=igb0-network,hubid=0", "-device"]


@pytest.mark.parametrize(
    ("part", "number", "address"),
    [("igb0", 0, "41:10.0"), ("igb0", 3, "41:10.6"), ("igb1", 4, "81:11.0"), ("nvme0", 1, "42:00.2")],
)
def test_virtual_functions_are_where_the_capability_says(part: str, number: int, address: str) -> None:
    assert BY_ID[part].vf(number) == PciAddress.parse(address)


@pytest.mark.parametrize(("address", "node"), [("41:10.0", 0), ("86:00.0", 1), ("05:00.0", -1), ("00:10.0", -1)])
def test_the_node_is_that_of_the_host_bridge(address: str, node: int) -> None:
    assert topology.node_of(PciAddress.parse(address)) == node
