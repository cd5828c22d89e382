"""From grants to devices: the plugin's variables, then its names, then its nodes; and what is no device of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from domxml.source import Mdev as MdevSource
from hostdev.holders import grants
from hostdev.holders.grants import Joined
from hostdev.inventory.machine import Machine, Mdev
from hostdev.kubelet.checkpoint import Grant
from tests.hostdev.gate.build import AUDIO, GPU, at, bridge, function, machine, with_group
from tests.hostdev.holders.grants import UUID, grant

A, B, C = "0000:3d:02.1", "0000:3d:02.2", "0000:65:00.0"
HOST = machine(
    function(A, group=43, vfio_dev="vfio3"),
    function(B, group=44),
    function(C, group=50, class_code=GPU),
    function("0000:65:00.1", group=50, class_code=AUDIO),
    bridge("0000:64:00.0", group=51),
)
MDEV = Mdev(UUID, "nvidia-222", at(C), 77)
WITH_MDEV = replace(with_group(HOST, 50), mdevs={UUID: MDEV})


def exact(*addresses: str, by: str) -> tuple[Joined, ...]:
    return tuple(Joined(at(address), by) for address in addresses)


QAT = grant("x", env={"QAT0": A, "QAT1": B}, resource="qat.intel.com/generic")
CASES: Mapping[str, tuple[Grant, tuple[Joined, ...]]] = {
    "each numbered variable": (QAT, (Joined(at(A), "environment QAT0"), Joined(at(B), "environment QAT1"))),
    "KubeVirt names groups, its variable the device": (
        grant("44", env={"PCI_RESOURCE_A_B_C": B}, nodes=("/dev/vfio/vfio", "/dev/vfio/44")),
        exact(B, by="environment PCI_RESOURCE_A_B_C"),
    ),
    "a mediated device": (
        grant("77", env={"MDEV_PCI_RESOURCE_A_B_C": UUID}),
        (Joined(MdevSource(UUID), "environment MDEV_PCI_RESOURCE_A_B_C"),),
    ),
    "an address for a name": (grant(B, nodes=("/dev/vfio/44",)), exact(B, by=f"device ID {B}")),
    "a variable that tells of the last one only": (
        grant("43", "44", env={"PCI_RESOURCE_A_B_C": B}, nodes=("/dev/vfio/43", "/dev/vfio/44")),
        (Joined(at(B), "environment PCI_RESOURCE_A_B_C"), Joined(at(A), "/dev/vfio/43")),
    ),
    "a variable that tells of fewer than there are names": (
        grant(A, B, env={"PCI_RESOURCE_A_B_C": B}),
        (Joined(at(B), "environment PCI_RESOURCE_A_B_C"), Joined(at(A), f"device ID {A}")),
    ),
    "a card of which the variable names one function": (
        grant("50", env={"PCI_RESOURCE_A_B_C": C}, nodes=("/dev/vfio/50",)),
        exact(C, by="environment PCI_RESOURCE_A_B_C"),
    ),
    "a UUID for a name": (grant(UUID), (Joined(MdevSource(UUID), f"device ID {UUID}"),)),
    "a name that tells nothing, and a node": (grant("gpu-1", nodes=("/dev/vfio/43",)), exact(A, by="/dev/vfio/43")),
    "a group of two": (
        grant("50", nodes=("/dev/vfio/50",)),
        tuple(Joined(at(address), "/dev/vfio/50", exact=False) for address in (C, "0000:65:00.1")),
    ),
    "a node of the device's own": (
        grant("x", nodes=("/dev/vfio/devices/vfio3",)),
        exact(A, by="/dev/vfio/devices/vfio3"),
    ),
    "the node of a mediated device": (grant("x", nodes=("/dev/vfio/77",)), (Joined(MdevSource(UUID), "/dev/vfio/77"),)),
    "a device that is gone": (grant("0000:99:00.0"), exact("0000:99:00.0", by="device ID 0000:99:00.0")),
    "numbers without a node": (grant("43", "44"), ()),
    "a bridge's group": (grant("x", nodes=("/dev/vfio/51",)), ()),
    "kvm": (grant("kvm7", nodes=("/dev/kvm",), resource="devices.kubevirt.io/kvm"), ()),
    "a GPU of containers": (grant(f"GPU-{UUID}", env={"NVIDIA_VISIBLE_DEVICES": f"GPU-{UUID}"}), ()),
}


@pytest.mark.parametrize("case", CASES)
def test_a_grant(case: str) -> None:
    given_, expected = CASES[case]

    assert grants.devices_of_grant(given_, WITH_MDEV) == expected


def test_names_alone() -> None:
    """Without a grant only the names are there: a number is a group if VFIO has all of it."""
    assert grants.devices_of_ids(["43", "44"], HOST) == (Joined(at(A), "device ID 43"), Joined(at(B), "device ID 44"))
    assert grants.devices_of_ids([A], HOST) == exact(A, by=f"device ID {A}")
    assert [one.exact for one in grants.devices_of_ids(["50"], HOST)] == [False, False]


@pytest.mark.parametrize("ids", [["43", "45"], ["0", "1", "2"], ["43", "60"]])
def test_plugins_that_count_their_devices_are_not_taken_for_groups(ids: list[str]) -> None:
    host = machine(*HOST.functions.values(), function("0000:70:00.0", group=60, driver="ixgbe"))

    assert grants.devices_of_ids(ids, host) == ()


@given(some.lists(some.text(max_size=20)), some.dictionaries(some.text(max_size=20), some.text(max_size=40)))
def test_whatever_a_plugin_says(ids: list[str], env: dict[str, str]) -> None:
    found = grants.devices_of_grant(grant(*ids, env=env, nodes=tuple(ids)), WITH_MDEV)

    assert len({one.device for one in found}) == len(found)


def test_an_empty_host() -> None:
    assert grants.devices_of_grant(grant("43", nodes=("/dev/vfio/43",)), Machine()) == ()
