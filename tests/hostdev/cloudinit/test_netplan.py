"""The document for the guest: what is in it, and when there is none."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import Refused
from hostdev.cloudinit.netplan import Network
from tests.hostdev.cloudinit.build import ADDRESSED, BOND, DEFAULT, LEFT, RIGHT
from tests.hostdev.cloudinit.netplans import GOLDEN, network_of


def document(*interfaces: Any, **more: Any) -> Any:
    return json.loads(network_of(*interfaces, **more).text)


def without(interface: dict[str, Any], key: str = "macAddress") -> dict[str, Any]:
    return {name: value for name, value in interface.items() if name != key}


def test_golden() -> None:
    found = network_of(DEFAULT, LEFT, RIGHT, wanted=[BOND])

    assert found.text == GOLDEN
    assert found.interfaces == ("left", "right")
    assert found.findings == ()


def test_it_is_yaml_too() -> None:
    assert yaml.safe_load(GOLDEN) == json.loads(GOLDEN)


def test_nothing_is_written_for_a_vm_without_devices() -> None:
    assert network_of(DEFAULT, {"name": "other", "bridge": {}}) == Network()
    assert network_of() == Network()


def test_the_first_interface_keeps_its_dhcp() -> None:
    """Without network data cloud-init asks there; with network data it asks nowhere else than it says."""
    other = {"name": "other", "bridge": {}, "macAddress": "02:00:00:00:00:02"}
    for interfaces in ((LEFT, DEFAULT, other), (DEFAULT, other, LEFT)):
        found = document(*interfaces)["ethernets"]
        assert found["default-37a8"] == {"match": {"macaddress": DEFAULT["macAddress"]}, "dhcp4": True}
        assert set(found) == {"default-37a8", "left"}


def test_without_an_ordinary_interface_the_first_vf_has_dhcp() -> None:
    found = document(LEFT, RIGHT)["ethernets"]

    assert found["left"] == {"match": {"macaddress": "02:0a:c8:83:00:01"}, "set-name": "left", "dhcp4": True}
    assert "dhcp4" not in found["right"]


def test_a_bond_of_all_interfaces_asks_as_it_says() -> None:
    found = document(LEFT, RIGHT, wanted=[{**BOND, "dhcp4": True}])

    assert all("dhcp4" not in ethernet for ethernet in found["ethernets"].values())
    assert found["bonds"]["bond0"]["dhcp4"] is True


def test_nothing_is_written_that_takes_dhcp_from_the_first_interface() -> None:
    found = network_of(without(DEFAULT), LEFT)

    assert found.text == ""
    assert [(one.code, one.subject) for one in found.findings] == [("network-data-not-written", "default")]


def test_an_interface_without_an_address_is_left_out_and_told() -> None:
    found = network_of(DEFAULT, without(LEFT), RIGHT)

    assert found.interfaces == ("right",)
    assert [(one.code, one.subject) for one in found.findings] == [("interface-not-matched", "left")]


def test_nothing_is_written_when_no_address_is_known() -> None:
    found = network_of(DEFAULT, without(LEFT))

    assert (found.text, [one.code for one in found.findings]) == ("", ["interface-not-matched"])


def test_the_standby_of_a_vf_has_its_address_and_is_not_matched() -> None:
    standby = {"name": "standby", "bridge": {}, "macAddress": LEFT["macAddress"].lower()}
    found = network_of(DEFAULT, standby, LEFT, RIGHT)

    assert found.interfaces == ("right",)
    assert "another interface has its MAC address" in found.findings[0].message


def test_an_interface_of_a_binding_plugin_with_a_device() -> None:
    plug = {"name": "plug", "binding": {"name": "passgate"}}
    found = document(DEFAULT, plug, plugged=("plug",), told={"plug": "02:00:00:00:00:09"})

    assert found["ethernets"]["plug"]["match"] == {"macaddress": "02:00:00:00:00:09"}
    assert network_of(DEFAULT, plug).text == ""


def test_what_the_author_says_of_a_bond() -> None:
    wanted = {
        **BOND,
        "addresses": ["192.0.2.10/24"],
        "mtu": 9000,
        "routes": [{"to": "default", "via": "192.0.2.1"}],
        "nameservers": {"addresses": ["192.0.2.53"], "search": ["example.org"]},
        "parameters": {"primary": "right", "mii-monitor-interval": 50, "fail-over-mac-policy": "none"},
    }
    (found,) = document(DEFAULT, LEFT, RIGHT, wanted=[wanted])["bonds"].values()

    kept = {key: wanted[key] for key in ("addresses", "mtu", "routes", "nameservers")}
    assert found == {
        "interfaces": ["left", "right"],
        **kept,
        "parameters": {
            "mode": "active-backup",
            "mii-monitor-interval": 50,
            "fail-over-mac-policy": "none",
            "primary": "right",
        },
    }


def test_only_active_backup_follows_the_addresses_of_vfs() -> None:
    (found,) = document(DEFAULT, LEFT, RIGHT, wanted=[{**BOND, "mode": "balance-xor"}])["bonds"].values()

    assert found["parameters"] == {"mode": "balance-xor", "mii-monitor-interval": 100}


def test_an_ordinary_interface_may_be_in_a_bond() -> None:
    found = document(DEFAULT, LEFT, wanted=[{**BOND, "interfaces": ["default", "left"]}])

    assert found["bonds"]["bond0"]["interfaces"] == ["default-37a8", "left"]
    assert set(found["ethernets"]) == {"default-37a8", "left"}


@pytest.mark.parametrize(
    ("interfaces", "wanted", "says"),
    [
        (
            (DEFAULT, LEFT),
            BOND,
            "passgate.dev/bonds[0].interfaces[1]: the VM has no interface 'right': known: default, left",
        ),
        ((), BOND, "passgate.dev/bonds[0].interfaces[0]: the VM has no interface 'left': the VM has no interfaces"),
        (
            (DEFAULT, LEFT, without(RIGHT)),
            BOND,
            "passgate.dev/bonds[0]: the interface right: its MAC address is not known before the VM starts: give right",
        ),
        (
            (DEFAULT, LEFT, {**RIGHT, "macAddress": LEFT["macAddress"]}),
            BOND,
            "passgate.dev/bonds[0]: the interface left: another interface has its MAC address",
        ),
        (
            (DEFAULT, LEFT, RIGHT),
            {**BOND, "name": "left"},
            "passgate.dev/bonds[0].name: the bond is named left, as an interface of the VM is",
        ),
        (
            (without(DEFAULT), LEFT, RIGHT),
            BOND,
            "passgate.dev/bonds[0]: with network data, cloud-init would no longer configure the interface default",
        ),
    ],
)
def test_a_bond_that_cannot_be_made_is_refused(interfaces: tuple[Any, ...], wanted: Any, says: str) -> None:
    with pytest.raises(Refused) as failed:
        network_of(*interfaces, wanted=[wanted])

    assert str(failed.value).startswith(f"bond-not-possible: {says}")
    assert failed.value.hint


NAMES = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789-_", min_size=1, max_size=30)
ODD = st.sampled_from(["default", "eth0", "enp1s0", "all", "lo", "a" * 40, "a" * 39 + "b", "default-37a8"])


@given(st.lists(NAMES | ODD, min_size=2, max_size=8, unique=True))
def test_names_in_the_guest_are_possible_and_different(names: list[str]) -> None:
    interfaces = [
        {"name": name, "sriov": {}, "macAddress": f"02:00:00:00:00:{number:02x}"} for number, name in enumerate(names)
    ]
    found = document(*interfaces, wanted=[{"name": "bond0", "interfaces": names}] if "bond0" not in names else None)

    given_ = [ethernet["set-name"] for ethernet in found["ethernets"].values()]
    assert given_ == list(found["ethernets"])
    assert len(set(given_)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,14}", name) for name in given_)
    assert not {"default", "all", "lo", "eth0", "enp1s0"} & set(given_)
    if "bonds" in found:
        assert found["bonds"]["bond0"]["interfaces"] == given_


def test_an_interface_has_its_addresses_without_a_bond() -> None:
    routes = [{"to": "198.51.100.0/24", "via": "192.0.2.1"}]
    entry = {**ADDRESSED, "routes": routes, "metric": 500}
    found = document(DEFAULT, LEFT, RIGHT, addressed=[entry])

    assert found["ethernets"]["left"] == {
        "match": {"macaddress": "02:0a:c8:83:00:01"},
        "set-name": "left",
        "addresses": ["192.0.2.10/24"],
        "routes": [{"to": "198.51.100.0/24", "via": "192.0.2.1", "metric": 500}],
        "optional": True,
    }
    assert found["ethernets"]["default-37a8"]["dhcp4"]
    assert "addresses" not in found["ethernets"]["right"]
    assert "bonds" not in found


@pytest.mark.parametrize(
    ("entry", "dhcp"),
    [
        ({"addresses": ["192.0.2.10/24"]}, None),
        ({"mtu": 9000}, True),
        ({"dhcp4": False}, False),
        ({"dhcp6": True}, None),
    ],
)
def test_the_first_interface_gets_its_address_as_the_author_says(entry: dict[str, Any], dhcp: bool | None) -> None:  # noqa: FBT001
    found = document(DEFAULT, LEFT, addressed=[{"name": "default", **entry}])["ethernets"]["default-37a8"]

    assert found.get("dhcp4") is dhcp
    assert entry.items() <= found.items()


def test_an_ordinary_interface_may_have_addresses_alone() -> None:
    assert document(DEFAULT, addressed=[{**ADDRESSED, "name": "default"}])["ethernets"].keys() == {"default-37a8"}


@pytest.mark.parametrize(
    ("given", "bond", "says"),
    [
        ((DEFAULT, RIGHT), None, "passgate.dev/interfaces[0]: the VM has no interface 'left'"),
        ((DEFAULT, LEFT, RIGHT), [BOND], "passgate.dev/interfaces[0]: the interface left is a part of bond0"),
        (
            (DEFAULT, without(LEFT)),
            None,
            "passgate.dev/interfaces[0]: the interface left: its MAC address",
        ),
        ((without(DEFAULT), LEFT), None, "passgate.dev/interfaces[0]: with network data, cloud-init would no longer"),
    ],
)
def test_addresses_that_cannot_be_given_are_refused(given: tuple[Any, ...], bond: Any, says: str) -> None:
    with pytest.raises(Refused) as refused:
        network_of(*given, wanted=bond, addressed=[ADDRESSED])

    assert refused.value.code == "interface-not-possible"
    assert f"{refused.value.subject}: {refused.value.message}".startswith(says)


def test_a_name_that_comes_again_and_again_ends() -> None:
    """Four digits told so many apart that the search for another name came back to where it had begun."""
    again = {"name": "an-interface-of-this-name", "bridge": {}}

    assert document(LEFT, DEFAULT, *[again] * 2000)["ethernets"].keys() == {"left", "default-37a8"}


def test_more_names_alike_than_a_vm_has_interfaces_are_told_apart_all_the_same() -> None:
    alike = [{"name": f"{'a' * 20}-{number}", "bridge": {}} for number in range(3000)]

    assert "left" in document(LEFT, DEFAULT, *alike)["ethernets"]
