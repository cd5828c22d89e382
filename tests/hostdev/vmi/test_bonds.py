"""`passgate.dev/bonds`: what can be said, and what is said of mistakes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import BadInput
from hostdev.vmi.annotations import bonds
from hostdev.vmi.bonds import BONDS, KEYS, MODES, PARAMETERS, Bond, read_bonds
from hostdev.vmi.vmi import Vmi
from tests.hostdev.vmi.jsonvalues import JSON

PLAIN = {"name": "bond0", "interfaces": ["a", "b"]}
FULL = {
    **PLAIN,
    "mode": "802.3ad",
    "parameters": {
        "mii-monitor-interval": 50,
        "up-delay": "200",
        "down-delay": 0,
        "primary": "b",
        "primary-reselect-policy": "better",
        "fail-over-mac-policy": "follow",
        "lacp-rate": "fast",
        "min-links": 1,
        "transmit-hash-policy": "layer3+4",
        "ad-select": "bandwidth",
    },
    "addresses": ["192.0.2.10/24", "2001:db8::10/64"],
    "dhcp4": False,
    "dhcp6": True,
    "mtu": 9000,
    "nameservers": {"addresses": ["192.0.2.53"], "search": ["example.org"]},
    "routes": [{"to": "default", "via": "192.0.2.1", "metric": 10}, {"to": "2001:db8:1::/48", "via": "2001:db8::1"}],
}


def read(*entries: Any) -> tuple[Bond, ...]:
    return bonds(Vmi(annotations={BONDS: json.dumps(list(entries))}))


def test_without_the_annotation_there_are_none() -> None:
    assert bonds(Vmi()) == read() == ()


def test_the_least_and_the_most_that_can_be_said() -> None:
    least, most = read(PLAIN, {**FULL, "name": "bond1", "interfaces": ["c", "b2"], "parameters": {"primary": "c"}})
    (full,) = read(FULL)

    assert least == Bond(f"{BONDS}[0]", "bond0", ("a", "b"))
    assert least.mode == "active-backup"
    assert (most.name, most.parameters) == ("bond1", {"primary": "c"})
    assert full.parameters == {**FULL["parameters"], "up-delay": 200}  # type: ignore[dict-item]
    assert full.settings == {key: FULL[key] for key in full.settings}
    assert set(full.settings) == set(KEYS) - {"name", "interfaces", "mode", "parameters"}
    assert set(full.parameters) == set(PARAMETERS)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_known(mode: str) -> None:
    assert read({**PLAIN, "mode": mode})[0].mode == mode


AT = f"{BONDS}[0]"
MISTAKES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"nmae": 1}, f'{AT}: there is no key "nmae": did you mean name?'),
    ({"name": None}, f"{AT}.name: must not be null"),
    ({"name": 1}, f"{AT}.name: must be text, is 1"),
    ({"name": "bond-of-two-ports"}, f'{AT}.name: "bond-of-two-ports" cannot be an interface\'s name: up to 15'),
    ({"name": "eth0"}, f'{AT}.name: "eth0" cannot be an interface\'s name'),
    ({"name": "bonding_masters"}, f'{AT}.name: "bonding_masters" cannot be an interface\'s name'),
    ({"interfaces": "a,b"}, f'{AT}.interfaces: must be a list, is "a,b"'),
    ({"interfaces": ["a", 1]}, f"{AT}.interfaces[1]: must be text, is 1"),
    ({"interfaces": ["a"]}, f"{AT}.interfaces: names one interface: a bond is made of two or more"),
    ({"interfaces": []}, f"{AT}.interfaces: names none: a bond is made of two or more"),
    ({"interfaces": ["a", "b", "a"]}, f'{AT}.interfaces: names "a" twice'),
    ({"mode": "active_backup"}, f"{AT}.mode: must be one of balance-rr, active-backup, "),
    ({"mode": 1}, f"{AT}.mode: must be text, is 1"),
    ({"parameters": []}, f"{AT}.parameters: must be an object, is a list"),
    ({"parameters": {"miimon": 1}}, f'{AT}.parameters: there is no key "miimon"'),
    ({"parameters": {"mii-monitor": 1}}, "did you mean mii-monitor-interval?"),
    ({"parameters": {"up-delay": -1}}, f"{AT}.parameters.up-delay: must be a whole number, is -1"),
    ({"parameters": {"up-delay": "1s"}}, f'{AT}.parameters.up-delay: must be a whole number, is "1s"'),
    ({"parameters": {"up-delay": True}}, f"{AT}.parameters.up-delay: must be text, is true"),
    ({"parameters": {"lacp-rate": "quick"}}, f'{AT}.parameters.lacp-rate: must be one of slow, fast, is "quick"'),
    (
        {"parameters": {"transmit-hash-policy": "layer4"}},
        f"{AT}.parameters.transmit-hash-policy: must be one of layer2, layer3+4, layer2+3, encap2+3, encap3+4, is",
    ),
    ({"parameters": {"primary": "c"}}, f'{AT}.parameters.primary: must be one of the bond\'s interfaces, is "c"'),
    ({"dhcp4": "yes"}, f'{AT}.dhcp4: must be true or false, is "yes"'),
    ({"mtu": 67}, f"{AT}.mtu: must be between 68 and 65535, is 67"),
    ({"addresses": ["192.0.2.10"]}, f'{AT}.addresses[0]: must be an address with its prefix, is "192.0.2.10"'),
    ({"addresses": ["192.0.2.300/24"]}, f"{AT}.addresses[0]: must be an address with its prefix"),
    ({"addresses": ["fe80::1%eth0/64"]}, f"{AT}.addresses[0]: must be an address with its prefix"),
    ({"nameservers": {"address": []}}, f'{AT}.nameservers: there is no key "address": did you mean addresses?'),
    ({"nameservers": {"addresses": ["192.0.2.1/24"]}}, f"{AT}.nameservers.addresses[0]: must be an address, is"),
    ({"nameservers": {"search": ["a b"]}}, f'{AT}.nameservers.search[0]: must be a domain, is "a b"'),
    ({"routes": {}}, f"{AT}.routes: must be a list of objects"),
    ({"routes": [{"to": "default"}]}, f"{AT}.routes[0].via: is missing"),
    ({"routes": [{"to": "192.0.2.0", "via": "192.0.2.1"}]}, f"{AT}.routes[0].to: must be an address with its prefix"),
    ({"routes": [{"to": "default", "via": "gw"}]}, f'{AT}.routes[0].via: must be an address, is "gw"'),
    ({"routes": [{"to": "default", "via": "192.0.2.1", "metric": -1}]}, f"{AT}.routes[0].metric: must be between"),
)


@pytest.mark.parametrize(("changes", "says"), MISTAKES, ids=[says for _, says in MISTAKES])
def test_a_mistake_is_told_with_its_place(changes: dict[str, Any], says: str) -> None:
    found, errors = read_bonds(json.dumps([{**PLAIN, **changes}]))

    assert found == ()
    assert any(says in str(error) for error in errors), [str(error) for error in errors]
    with pytest.raises(BadInput):
        read({**PLAIN, **changes})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", f"{BONDS}: is empty"),
        ("bond0", f"{BONDS}: is not JSON"),
        ("{}", f"{BONDS}: must be a list of objects, is an object"),
        ("[1]", f"{BONDS}[0]: must be an object, is 1"),
        ("[{}]", f"{BONDS}[0].name: is missing"),
        (json.dumps([PLAIN] * 65), f"{BONDS}: has 65 entries, at most 64 are read"),
        (json.dumps([PLAIN, {**PLAIN, "interfaces": ["c", "d"]}]), f"{BONDS}[1]: is named bond0, and so is {BONDS}[0]"),
        (
            json.dumps([PLAIN, {"name": "bond1", "interfaces": ["c", "a"]}]),
            f'{BONDS}[1].interfaces: has "a", which {BONDS}[0] has already',
        ),
    ],
)
def test_what_is_wrong_with_the_whole(text: str, says: str) -> None:
    _, errors = read_bonds(text)

    assert any(says in str(error) for error in errors), [str(error) for error in errors]


@given(st.dictionaries(st.sampled_from([*KEYS, "x"]), JSON))
def test_whatever_stands_there_is_read_or_told(entry: dict[str, Any]) -> None:
    found, errors = read_bonds(json.dumps([entry]))

    assert bool(found) != bool(errors)
