"""What an entry finds its device by."""

from __future__ import annotations

import pytest

from hostdev.binding.drift import Places
from hostdev.binding.state import Match
from tests.hostdev.cli.running import machine as recorded
from tests.hostdev.gate.build import at, bridge, function, machine, pf, vf

PORT = bridge("0000:3a:00.0", root="pci0000:3a")
CARD = pf("0000:3b:00.0", parent=PORT.address, root="pci0000:3a", num_vfs=2, virtfns=(at("3b:02.0"), at("3b:02.1")))
VFS = tuple(vf(f"0000:3b:02.{n}", "0000:3b:00.0", parent=PORT.address, root="pci0000:3a") for n in (0, 1))
HOST = machine(PORT, CARD, *VFS)


def test_a_path_goes_from_the_host_bridge_over_bridges() -> None:
    assert Places(HOST).paths.get(CARD.address) == "pci0000:3a/00.0/00.0"


def test_a_vf_is_a_part_of_its_pf() -> None:
    assert [Places(HOST).paths.get(one.address) for one in VFS] == [
        "pci0000:3a/00.0/00.0/vf0",
        "pci0000:3a/00.0/00.0/vf1",
    ]


def test_another_bus_number_does_not_change_a_path() -> None:
    port = bridge("0000:3a:00.0", root="pci0000:3a")
    moved = pf("0000:41:00.0", parent=port.address, root="pci0000:3a")

    assert Places(machine(port, moved)).paths.get(moved.address) == Places(HOST).paths.get(CARD.address)


def test_what_is_not_known_has_no_path() -> None:
    orphan = vf("0000:3b:02.5", "0000:3b:00.0")

    assert Places(machine(CARD, orphan)).paths.get(orphan.address) is None
    assert Places(machine(orphan)).paths.get(orphan.address) is None
    assert Places(machine(function("0000:00:02.0"))).paths.get(at("00:02.0")) is None


@pytest.mark.parametrize("name", ["qat", "vmd", "kunpeng", "hgx-h100", "real-q35-sriov", "consumer-gpu"])
def test_every_function_of_a_recorded_machine_has_a_path_of_its_own(name: str) -> None:
    places = Places(recorded(name))

    assert places.paths.keys() == places.machine.functions.keys()
    assert len(set(places.paths.values())) == len(places.paths)
    for address, path in places.paths.items():
        assert places.at(Match(path=path)) == places.machine.functions[address]


@pytest.mark.parametrize(
    ("match", "said"),
    [
        (Match(address=at("3b:00.0"), id=(0x8086, 0x1572)), []),
        (Match(address=at("3b:00.1")), ["is at 0000:3b:00.0 and not at 0000:3b:00.1"]),
        (Match(path="pci0000:3a/00.1"), ["is at pci0000:3a/00.0/00.0 and not at pci0000:3a/00.1"]),
        (Match(id=(0x8086, 0x1889)), ["is 8086:1572 and not 8086:1889"]),
        (Match(subsystem=(0x8086, 0x0007)), ["its subsystem is not known and not 8086:0007"]),
        (Match(class_name="nvme"), ["is of class ethernet (020000) and not nvme"]),
        (Match(numa=1), ["is on NUMA node 0 and not on 1"]),
        (Match(driver="i40e"), ["is on ice and not on i40e"]),
        *((Match(class_name=name), []) for name in ("network", "ethernet", "02", "0200", "020000")),
        (Match(driver="ice", numa=0), []),
    ],
)
def test_what_differs_is_said(match: Match, said: list[str]) -> None:
    assert list(Places(HOST).differences(CARD, match)) == said


def test_a_device_that_an_entry_took_is_still_meant() -> None:
    """After the bind its driver is no longer the one by which it was found."""
    taken = function("0000:3b:00.0", driver="vfio-pci")

    assert Places(machine(taken)).fits(taken, Match(driver="ice"), "vfio_pci")
    assert Places(machine(taken)).fits(taken, Match(driver="ice"), "auto")
    assert not Places(machine(taken)).fits(taken, Match(driver="ice"), "igb")
