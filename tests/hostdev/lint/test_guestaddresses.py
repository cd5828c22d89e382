"""Guest addresses that are asked for, in machines of every kind."""

from __future__ import annotations

from typing import Any

import pytest

from domxml.document import Domain
from domxml.errors import Refused
from domxml.guestslot import GuestFunction, GuestSlot
from domxml.pciaddress import PciAddress
from domxml.transform import transform
from tests.hostdev.lint.build import QAT, told

SOURCE = PciAddress(0, 0x3D, 2, 2)
ARCHITECTURES = {"q35": "x86_64", "pc-i440fx-8.2": "x86_64", "virt": "aarch64", "s390-ccw-virtio": "s390x"}
IMPOSSIBLE = "guest-address-impossible"
TAKEN = "guest-address-taken"
NO_ZERO = "function-zero-missing"

CASES = [
    ("q35", "0000:09:00.0", ""),
    ("q35", "0000:00:05.0", ""),
    ("q35", "0001:09:00.0", IMPOSSIBLE),
    ("q35", "0000:00:00.0", IMPOSSIBLE),
    ("q35", "0000:09:01.0", IMPOSSIBLE),
    ("q35", "0000:00:1f.0", TAKEN),
    ("q35", "0000:00:1b.0", ""),
    ("q35", "0000:09:00.1", NO_ZERO),
    ("pc-i440fx-8.2", "0000:00:1e.0", ""),
    ("pc-i440fx-8.2", "0000:01:05.0", ""),
    ("pc-i440fx-8.2", "0000:01:00.0", IMPOSSIBLE),
    ("pc-i440fx-8.2", "0000:00:01.0", TAKEN),
    ("virt", "0000:00:1f.0", ""),
    ("virt", "0000:09:01.0", IMPOSSIBLE),
    ("s390-ccw-virtio", "0000:00:05.0", ""),
    ("s390-ccw-virtio", "0000:01:00.0", IMPOSSIBLE),
]


@pytest.mark.parametrize(("machine", "address", "code"), CASES)
def test_an_address_in_a_machine(machine: str, address: str, code: str) -> None:
    lines = told([{"resource": QAT, "guestAddress": address}], domain={"machine": {"type": machine}})

    assert [line.split()[:3] for line in lines] == (
        [["error", code, "passgate.dev/devices[0].guestAddress:"]] if code else []
    )


@pytest.mark.parametrize(("machine", "address", "code"), CASES)
def test_injection_is_of_the_same_mind(machine: str, address: str, code: str) -> None:
    """What lint says of a manifest is what the hook would say of the domain."""
    xml = (
        f"<domain type='kvm'><name>vm</name><memory>1</memory><os><type arch='{ARCHITECTURES[machine]}' "
        f"machine='{machine}'>hvm</type></os><devices/></domain>"
    )
    guest = PciAddress.parse(address)
    wish = GuestSlot("qat", (GuestFunction(SOURCE, "ua-passgate-qat", guest.function),), guest)
    if not code:
        transform(Domain.parse(xml.encode()), [wish])
        return
    with pytest.raises(Refused) as refused:
        transform(Domain.parse(xml.encode()), [wish])
    assert refused.value.code == code


@pytest.mark.parametrize(("guest", "code"), [("10:00.0", ""), ("10:00.1", ""), ("10:00.2", IMPOSSIBLE)])
def test_the_address_of_a_card_is_that_of_its_first_function_or_of_the_one_that_is_named(guest: str, code: str) -> None:
    card = {"address": "0000:65:00.1", "functions": "0+1", "guestAddress": f"0000:{guest}"}
    lines = [line for line in told([{"resource": QAT}, card]) if "guestAddress" in line]

    assert [line.split()[1] for line in lines] == ([code] if code else [])


@pytest.mark.parametrize(
    ("architecture", "code"), [("amd64", TAKEN), ("", TAKEN), ("arm64", ""), ("s390x", ""), ("riscv64", "")]
)
def test_a_machine_that_is_not_named(architecture: str, code: str) -> None:
    lines = told(
        [{"resource": QAT, "guestAddress": "0000:00:1f.0"}],
        domain={"machine": None},
        spec={"architecture": architecture},
    )

    assert bool(lines) == bool(code)


def test_a_machine_that_is_not_known_allows_what_may_be() -> None:
    odd = {"machine": {"type": "microvm"}}

    assert told([{"resource": QAT, "guestAddress": "0000:09:05.0"}], domain=odd) == []
    assert told([{"resource": QAT, "guestAddress": "0001:09:00.0"}], domain=odd)[0].startswith(f"error {IMPOSSIBLE}")


def two(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    devices = [{"address": "3d:02.0", "name": "a", **first}, {"address": "3e:02.0", "name": "b", **second}]
    return told(devices)


def test_an_address_that_two_entries_want() -> None:
    assert two({"guestAddress": "0000:09:00.0"}, {"guestAddress": "09:00.0"}) == [
        (
            f"error {TAKEN} passgate.dev/devices[1].guestAddress: passgate.dev/devices[0] asks for guest address "
            "0000:09:00.0 too"
        )
    ]
    assert two({"guestAddress": "0000:09:00.0"}, {"guestAddress": "0a:00.0"}) == []


def test_an_address_that_one_entry_wants_twice() -> None:
    (line,) = told([{"resource": QAT, "guestAddress": ["09:00.0", "09:00.0"]}], limits={QAT: 2})

    assert line.startswith(f"error {TAKEN} passgate.dev/devices[0].guestAddress[1]: passgate.dev/devices[0] asks for")


def test_functions_of_one_slot() -> None:
    assert two({"guestAddress": "09:00.0"}, {"guestAddress": "09:00.1"}) == []
    assert two({"guestAddress": "09:00.0", "functions": "all"}, {"guestAddress": "09:00.1"})[0].startswith(
        f"error {TAKEN}"
    )
    assert two({"guestAddress": "09:00.1"}, {"guestAddress": "0a:00.0"})[0].startswith(f"error {NO_ZERO}")
    assert two({"guestAddress": "09:00.1", "functions": "0+1"}, {})[0].startswith(f"error {IMPOSSIBLE}")


DEVICES = {
    "disks": [{"name": "root", "disk": {"bus": "virtio", "pciAddress": "0000:05:00.0"}}],
    "interfaces": [
        {"name": "a", "sriov": {}, "pciAddress": "0000:06:00.0"},
        {"name": "b", "sriov": {}, "pciAddress": "0000:06:00.0"},
    ],
}


@pytest.mark.parametrize(
    ("entry", "owner"),
    [
        ({"resource": QAT, "guestAddress": "0000:05:00.0"}, "the disk root"),
        ({"resource": QAT, "guestAddress": "0000:06:00.0"}, "the interface a"),
        ({"device": "a", "guestAddress": "0000:05:00.0"}, "the disk root"),
    ],
)
def test_an_address_that_the_spec_gives_away(entry: dict[str, Any], owner: str) -> None:
    lines = told([entry, {"resource": QAT}] if "device" in entry else [entry], domain={"devices": DEVICES})

    address = entry["guestAddress"]
    assert lines == [
        f"error {TAKEN} passgate.dev/devices[0].guestAddress: {owner} asks for guest address {address} too"
    ]


def test_an_interface_at_its_own_address() -> None:
    one = {"devices": {"interfaces": DEVICES["interfaces"][:1]}}

    assert told([{"device": "a", "guestAddress": "0000:06:00.0"}, {"resource": QAT}], domain=one) == []


@pytest.mark.parametrize("address", ["0000:06:01.0", "0000:06:00.1", "0000:00:1f.0"])
def test_what_the_spec_itself_asks_for_is_left_to_kubevirt(address: str) -> None:
    one = {"devices": {"interfaces": [{"name": "a", "sriov": {}, "pciAddress": address}]}}

    assert told(domain=one) == []
