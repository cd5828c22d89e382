"""What `--by passgate` makes: the unit by the rule that is written down, and a NodeState that our own readers take."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from domxml.errors import BadInput, PassgateError
from domxml.pciaddress import PciAddress
from hostdev.binding.statefile import read_states, state_for
from hostdev.inventory import pciids
from hostdev.inventory.machine import Machine
from hostdev.manifest.make import Made
from hostdev.offer.compose import compose_offer
from hostdev.offer.pool import Offer
from hostdev.vmi.annotations import DEVICES
from tests.hostdev.cli.running import MACHINES, machine
from tests.hostdev.gate.build import function, pf, vf
from tests.hostdev.gate.build import machine as built
from tests.hostdev.manifest.making import complaints, made, said, vm

EVERY = sorted(file.stem for file in MACHINES.glob("*.toml"))
AUDIO, USB, NVME = 0x040300, 0x0C0330, 0x010802


def by_passgate(host: str | Machine, *selections: str, **wanted: Any) -> Made:
    return made(host, *selections, by="passgate", **wanted)


def state(documents: Made) -> Any:
    (found,) = documents.parts["node"]
    return found


def offered(host: str | Machine, documents: Made, node: str | None = None) -> Offer:
    """What the agent of the machine would make of the file."""
    seen = machine(host) if isinstance(host, str) else host
    declared = state_for(read_states(json.dumps(state(documents)).encode(), "x"), seen, node)
    assert declared is not None
    return compose_offer(declared, seen)


def card(*groups: int, slot: str = "0000:3d:00", device: int = 0x1E04) -> list[Any]:
    """A graphics card: its functions' groups."""
    classes = (0x030000, AUDIO, USB)
    return [
        function(f"{slot}.{number}", vendor=0x10DE, device=device + number, class_code=classes[number], group=group)
        for number, group in enumerate(groups)
    ]


@pytest.mark.parametrize(
    ("functions", "selections", "unit", "members"),
    [
        (card(43), ["10de:1e04"], "function", 1),
        (card(43), ["3d:00.0"], "function", 1),
        (card(43, 43), ["10de:1e04"], "group", 2),
        (card(43, 43, 43), ["3d:00.0"], "group", 3),
        (card(43, 43), ["3d:00.1"], "group", 2),
        ([*card(43, 43), function("0000:3e:00.0", class_code=NVME, group=43)], ["3d:00.0"], "group", 3),
        (card(43, 44), ["10de:1e04"], "function", 1),
        (card(43, 44), ["10de:1e04,functions=all"], "slot", 2),
        (card(43, 44), ["3d:00.0", "3d:00.1"], "slot", 2),
        ([*card(43), *card(44, 44, slot="0000:3e:00")], ["10de:1e04"], "group", 2),
    ],
    ids=[
        *("alone", "alone, by address", "audio in the group", "audio and USB", "named by its audio", "a disk in it"),
        *("audio apart", "audio apart, all of it", "audio apart, both named", "one card with audio, one without"),
    ],
)
def test_the_unit_is_chosen_by_the_rule(functions: list[Any], selections: list[str], unit: str, members: int) -> None:
    host = built(*functions)
    documents = by_passgate(host, *selections)

    (entry,) = state(documents)["spec"]["offer"]
    (pool,) = offered(host, documents).pools
    assert (entry["unit"], max(len(one.unit.functions) for one in pool.units if one.unit)) == (unit, members)
    assert offered(host, documents).findings == ()
    assert all(one.unit.primary.function == 0 for one in pool.units if one.unit)
    assert len(vm(documents).vmi.devices) == 1
    assert complaints(documents) == set()


@pytest.mark.parametrize(("groups", "functions"), [((43, 43), {"functions": "all"}), ((43,), {})])
def test_what_is_in_the_slot_comes_into_the_guest(groups: tuple[int, ...], functions: dict[str, str]) -> None:
    documents = by_passgate(built(*card(*groups)), "10de:1e04")
    (device,) = vm(documents).vmi.devices

    assert json.loads(vm(documents).vmi.annotations[DEVICES]) == [{"device": device.name, **functions}]


def test_functions_that_were_chosen_stay_chosen() -> None:
    documents = by_passgate(built(*card(43, 43, 43)), "10de:1e04,functions=0+1")

    assert json.loads(vm(documents).vmi.annotations[DEVICES])[0]["functions"] == "0+1"
    assert state(documents)["spec"]["offer"][0]["unit"] == "group"


def test_what_no_guest_gets_is_told() -> None:
    host = built(*card(43), function("0000:3e:00.0", class_code=NVME, group=43))

    assert any("0000:3e:00.0 comes along" in note for note in by_passgate(host, "3d:00.0").notes)
    assert any(
        "0000:01:00.1 is in the unit of 0000:01:00.0" in note for note in by_passgate("consumer-gpu", "01:00.1").notes
    )


def test_kubevirt_leaves_the_resource_to_the_agent() -> None:
    documents = by_passgate("consumer-gpu", "10de:1e04", resource="example.com/GPU")
    (kubevirt,) = documents.parts["cluster"]

    assert kubevirt["spec"]["configuration"]["permittedHostDevices"]["pciHostDevices"] == [
        {"pciVendorSelector": "10DE:1E04", "resourceName": "example.com/GPU", "externalResourceProvider": True}
    ]
    assert [device.resource for device in vm(documents).vmi.devices] == ["example.com/GPU"]
    assert state(documents)["spec"]["offer"][0]["resource"] == "example.com/GPU"


def test_all_of_a_kind_is_bound_and_offered_by_its_numbers() -> None:
    found = state(by_passgate("consumer-gpu", "10de:1e04"))

    assert found["metadata"]["nodes"]["has"] == [{"id": f"10de:{n}"} for n in ("1e04", "10f7", "1ad6", "1ad7")]
    assert [entry["match"] for entry in found["spec"]["devices"]] == found["metadata"]["nodes"]["has"]
    assert {entry["driver"] for entry in found["spec"]["devices"]} == {"vfio-pci"}
    assert found["spec"]["offer"][0]["match"] == {"id": "10de:1e04"}


def test_one_card_is_meant_by_its_place_and_what_is_there() -> None:
    found = state(by_passgate("hgx-h100", "19:00.0"))

    place = {"address": "0000:19:00.0", "id": "10de:2330"}
    assert found["spec"] == {
        "devices": [{"match": place, "driver": "vfio-pci"}],
        "offer": [{"resource": "nvidia.com/GH100_H100_SXM5_80GB", "match": place, "unit": "function"}],
    }


def test_two_places_of_one_resource_are_refused() -> None:
    with pytest.raises(BadInput, match="one entry for a resource") as refused:
        by_passgate("hgx-h100", "19:00.0", "1a:00.0")

    assert "--resource" in str(refused.value.hint)


def test_what_the_host_needs_is_left_out_of_its_kind() -> None:
    """The host's own disk is of the same model as those for VMs."""
    disks = [function(f"0000:{bus}:00.0", class_code=NVME, group=group) for bus, group in (("3d", 51), ("3e", 52))]
    (root,) = (one for one in machine("kunpeng").functions.values() if one.blocks)
    own = replace(root, vendor=disks[0].vendor, device=disks[0].device)

    found = state(by_passgate(built(*disks, own), pciids.ids(own)))

    assert [entry["match"].get("address") for entry in found["spec"]["devices"]] == ["0000:3d:00.0", "0000:3e:00.0"]
    assert found["spec"]["offer"][0]["match"] == {"id": pciids.ids(own), "driver": "vfio-pci"}


def test_vfs_are_made_by_what_is_there_before_them() -> None:
    found = state(by_passgate("qat", "8086:37c9"))

    assert found["metadata"]["nodes"] == {"has": [{"id": "8086:37c8"}]}
    assert found["spec"]["virtualFunctions"] == [{"match": {"id": "8086:37c8"}, "count": 16, "driver": "vfio-pci"}]
    assert "devices" not in found["spec"]
    assert found["spec"]["offer"][0]["match"] == {"id": "8086:37c9"}


def test_vfs_on_several_vfio_drivers_keep_them() -> None:
    assert state(by_passgate("qat", "8086:4941"))["spec"]["virtualFunctions"][0]["driver"] == "auto"


def test_one_vf_leaves_the_others_as_they_are() -> None:
    spec = state(by_passgate("qat", "3d:02.2"))["spec"]

    assert spec["virtualFunctions"] == [{"match": {"address": "0000:3d:00.0", "id": "8086:37c8"}, "count": 16}]
    assert spec["devices"] == [{"match": {"address": "0000:3d:02.2", "id": "8086:37c9"}, "driver": "vfio-pci"}]


def test_the_number_of_vfs_is_what_was_asked_for() -> None:
    port = pf(
        "0000:3b:00.0", class_code=0x0B4000, device=0x37C8, virtfns=(PciAddress.parse("0000:3b:02.0"),), num_vfs=1
    )
    host = built(port, vf("0000:3b:02.0", "0000:3b:00.0", class_code=0x0B4000, device=0x37C9))

    assert state(by_passgate(host, "3b:02.0", vfs=4))["spec"]["virtualFunctions"][0]["count"] == 4


def test_a_node_that_is_named_is_the_one() -> None:
    found = state(by_passgate("qat", "8086:37c9", node="worker-1"))

    assert found["metadata"] == {"name": "worker-1", "nodes": {"names": ["worker-1"]}}


@pytest.mark.parametrize(
    ("host", "selection", "text"),
    [
        ("tesla-t4", "nvidia-222", "no unit"),
        ("two-socket-x710", "3b:00.0", "would vanish"),
        ("qat", "pci-bridge", "bridges"),
    ],
)
def test_what_is_in_no_unit_is_refused(host: str, selection: str, text: str) -> None:
    with pytest.raises(PassgateError, match=text):
        by_passgate(host, selection)


def test_nobody_else_writes_a_node_state() -> None:
    assert made("qat", "8086:37c9").parts["node"] == ()


def test_a_unit_that_the_host_cannot_do_without_is_told() -> None:
    assert "host-root-disk" in said(by_passgate("nvme-in-gpu-group", "10de:2571"))
    assert said(by_passgate("consumer-gpu", "10de:1e04")) == []


@pytest.mark.parametrize("host", EVERY)
def test_every_device_of_every_machine_is_offered_as_it_was_named(host: str) -> None:
    seen = machine(host)
    others = {vf for one in seen.functions.values() for vf in one.virtfns[1:]}
    for address, one in seen.functions.items():
        if address in others or one.bridge:
            continue
        with suppress(PassgateError):
            offer = offered(host, by_passgate(host, str(address)))
            (pool,) = offer.pools
            (unit,) = pool.units
            assert unit.unit is not None
            assert address in unit.unit.functions
            assert offer.findings == ()
