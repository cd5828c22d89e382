"""What is asked of the guest: addresses, functions, settings, names, and a bond of interfaces."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domxml.errors import PassgateError
from domxml.pciaddress import PciAddress
from hostdev.cloudinit.netplan import macs, network
from hostdev.manifest.guestnetwork import ARGUMENTS
from hostdev.vmi.annotations import DEVICES, bonds
from tests.hostdev.gate.build import function, machine, vf
from tests.hostdev.manifest.making import complaints, made, said, vm

CARD = ("01:00.0", "01:00.1", "01:00.2", "01:00.3")
GPU = "tu102-geforce-rtx-2080-ti"


def entries(documents: Any) -> Any:
    return json.loads(vm(documents).vmi.annotations[DEVICES])


def guests(*texts: str) -> tuple[PciAddress, ...]:
    return tuple(map(PciAddress.parse, texts))


@pytest.mark.parametrize(
    ("named", "functions"), [((0, 1), "0+1"), ((1, 0), "0+1"), ((0, 2, 3), "0+2+3"), ((0, 1, 2, 3), "all")]
)
def test_functions_that_were_not_named_do_not_come_along(named: tuple[int, ...], functions: str) -> None:
    documents = made("consumer-gpu", *(CARD[number] for number in named))

    assert entries(documents) == [{"device": GPU, "functions": functions}]
    assert len(vm(documents).vmi.devices) == len(named)


def test_without_function_0_each_is_a_device_of_its_own() -> None:
    found = entries(made("consumer-gpu", "01:00.1", "01:00.2"))

    assert [entry.keys() for entry in found] == [{"device"}, {"device"}]


@pytest.mark.parametrize("words", [("01:00.0,functions=0+1",), ("01:00.1,functions=0+1",), ("01:00.0", "01:00.1")])
def test_functions_of_a_card_by_a_setting(words: tuple[str, ...]) -> None:
    documents = made("consumer-gpu", *words)

    assert entries(documents) == [{"device": GPU, "functions": "0+1"}]
    assert len(vm(documents).vmi.devices) == 2


def test_all_functions_of_a_card_by_a_setting() -> None:
    assert made("consumer-gpu", "01:00.0", functions="all").parts == made("consumer-gpu", *CARD).parts


def test_functions_of_a_kind_come_along_by_their_group() -> None:
    documents = made("consumer-gpu", "10de:1e04,functions=0+1")

    assert entries(documents) == [{"device": GPU, "functions": "0+1"}]
    assert len(vm(documents).vmi.devices) == 1


def test_the_guest_address_goes_to_the_device() -> None:
    assert entries(made("qat", "8086:37c9", guests=guests("10:00.0")))[0]["guestAddress"] == "0000:10:00.0"
    assert entries(made("qat", "8086:37c9,guest=10:00.0"))[0]["guestAddress"] == "0000:10:00.0"


def test_guest_addresses_are_in_the_order_of_the_words() -> None:
    """Of two kinds in turns, and of interfaces."""
    words = ("19:00.0", "3b:00.0", "1a:00.0")
    kinds = [
        function(f"0000:{word}", device=device, group=group)
        for group, (word, device) in enumerate(zip(words, (1, 2, 1), strict=True))
    ]
    found = entries(made(machine(*kinds), *words, guests=guests("10:00.0", "11:00.0", "12:00.0")))

    assert [entry["guestAddress"] for entry in found] == ["0000:10:00.0", "0000:12:00.0", "0000:11:00.0"]


def test_devices_of_one_resource_have_a_list_of_addresses() -> None:
    (entry,) = entries(made("qat", "3d:02.2", "3d:02.3", guests=guests("10:00.0", "11:00.0")))

    assert (entry["count"], entry["guestAddress"]) == (2, ["0000:10:00.0", "0000:11:00.0"])


@pytest.mark.parametrize(
    ("guest", "code"), [("04:00.0", "guest-address-crowded"), ("10:00.3", "function-zero-missing")]
)
def test_what_lint_has_against_the_vm_is_told_once(guest: str, code: str) -> None:
    assert said(made("qat", "3d:02.2", guests=guests(guest))).count(code) == 1


def test_a_card_has_one_guest_address() -> None:
    documents = made("consumer-gpu", "01:00.0", "01:00.1", guests=guests("10:00.0"))

    assert entries(documents) == [{"device": GPU, "functions": "0+1", "guestAddress": "0000:10:00.0"}]


def test_settings_are_written_as_the_annotation_has_them() -> None:
    documents = made("hgx-h100", "19:00.0,name=gpu,rom.bar=off,numa=host,guest=10:00.0", "1a:00.0")
    first, second = entries(documents)

    assert first == {"device": "gpu", "numa": "host", "rom": {"bar": "off"}, "guestAddress": "0000:10:00.0"}
    assert second.keys() == {"device"}
    assert next(device.name for device in vm(documents).vmi.devices) == "gpu"
    assert complaints(documents) == {"numa-not-possible"} <= set(said(documents))
    assert (
        entries(made("qat", "8086:37c9,bootOrder=2,name=crypt"))[0].items() >= {"bootOrder": 2, "name": "crypt"}.items()
    )


def test_a_name_of_the_user_is_no_other_devices() -> None:
    documents = made("qat", "6b:00.1,name=qat-4xxx-vf", "3d:02.2,name=4941", by="kubevirt")

    names = [device.name for device in vm(documents).vmi.devices]
    assert sorted(names) == ["4941", "qat-4xxx-vf"]


def test_a_bond_is_written_by_the_sidecar() -> None:
    """What the sidecar makes of the VM is netplan's, and nothing of the MAC addresses is missing."""
    documents = made("two-socket-x710", "3b:00.0", "af:00.0", bond=True)
    vmi = vm(documents).vmi
    written = network(vmi, bonds(vmi), macs(vmi, {}), frozenset())

    assert json.loads(written.text)["bonds"]["bond0"]["interfaces"] == ["ens1f0-vfio", "ens2f0-vfio"]
    assert written.findings == ()
    (sidecar,) = json.loads(vmi.annotations["hooks.kubevirt.io/hookSidecars"])
    assert sidecar["args"] == list(ARGUMENTS)
    assert complaints(documents) == set()
    assert len({interface.mac for interface in vmi.interfaces}) == 3
    assert all(int(interface.mac[:2], 16) & 3 == 2 for interface in vmi.interfaces)


def test_two_vfs_of_one_port_are_told() -> None:
    notes = made("two-socket-x710", "3b:02.0", "3b:02.1", bond=True).notes

    assert any("0000:3b:00.0" in note and "one port" in note for note in notes)
    assert not any("one port" in note for note in made("two-socket-x710", "3b:00.0", "af:00.0", bond=True).notes)


def test_what_intels_plugins_hand_out_is_theirs() -> None:
    documents = made("qat", "8086:37c9")

    assert vm(documents).vmi.limits == {"qat.intel.com/generic": 1}
    assert documents == made("qat", "8086:37c9", by="plugin")._replace(notes=documents.notes)
    assert any("--by kubevirt" in note for note in documents.notes)
    assert vm(made("qat", "8086:37c9", resource="acme.com/qat")).vmi.limits == {}


@pytest.mark.parametrize(
    ("host", "words", "wanted", "text"),
    [
        ("qat", ["8086:37c9"], {"guests": guests("10:00.0", "11:00.0")}, "once for each of 8086:37c9"),
        ("qat", ["3d:02.2", "3d:02.3"], {"guests": guests("10:00.0")}, "the devices of the guest are 2"),
        ("qat", ["3d:02.2,guest=11:00.0"], {"guests": guests("10:00.0")}, "one way"),
        ("qat", ["3d:02.2,guest=x"], {}, "PCI address"),
        ("qat", ["3d:02.2,gest=10:00.0"], {}, "did you mean guest?"),
        ("qat", ["3d:02.2,bootOrder=first"], {}, "bootOrder"),
        ("qat", ["3d:02.2,name=QAT"], {}, "small letters"),
        ("qat", ["3d:02.2,functions=0+1"], {}, "is a VF"),
        ("qat", ["3d:02.2"], {"functions": "all"}, "is a VF"),
        ("qat", ["3d:02.2"], {"functions": "two"}, "--functions cannot be 'two'"),
        ("qat", ["3d:02.2,rom.bar=off", "3d:02.3"], {}, "different ways"),
        ("qat", ["3d:02.2,numa=host", "3d:02.2,numa=0"], {}, "one device"),
        ("qat", ["3d:02.2"], {"bond": True}, "the VM has 0"),
        ("two-socket-x710", ["3b:00.0"], {"bond": True}, "the VM has 1"),
        ("hgx-h100", ["19:00.0,name=a", "1a:00.0,name=a"], {}, "two devices are named a"),
        ("consumer-gpu", ["01:00.0,functions=0+7"], {}, "has no function 7"),
        ("consumer-gpu", ["01:00.1,functions=1+2"], {}, "without function 0"),
        ("consumer-gpu", ["01:00.0,rom.bar=off", "01:00.1,rom.bar=on"], {}, "one device in the guest"),
        ("tesla-t4", ["nvidia-222"], {"functions": "0+1"}, "one function"),
    ],
)
def test_what_cannot_be_wished(host: str, words: list[str], wanted: dict[str, Any], text: str) -> None:
    with pytest.raises(PassgateError) as refused:
        made(host, *words, **wanted)

    assert text in f"{refused.value.message} {refused.value.hint}"


def test_functions_of_other_groups_are_named_by_their_addresses() -> None:
    card = [function("0000:3d:00.0", device=1, group=1), function("0000:3d:00.1", device=2, group=2)]

    with pytest.raises(PassgateError, match="another IOMMU group"):
        made(machine(*card), "8086:0001,functions=0+1")
    assert entries(made(machine(*card), "3d:00.0,functions=0+1"))[0]["functions"] == "all"


def test_a_vf_is_no_part_of_its_cards_functions() -> None:
    port = function("0000:3d:00.0", device=1)
    virtual = vf("0000:3d:00.1", "0000:3d:00.0", group=2)

    assert entries(made(machine(port, virtual), "3d:00.0,functions=all")) == [{"device": "0001", "functions": "all"}]
