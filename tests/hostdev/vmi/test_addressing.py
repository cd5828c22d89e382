"""`passgate.dev/interfaces`: what can be said, and what is said of mistakes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import BadInput
from hostdev.vmi.addressing import INTERFACES, KEYS, GuestInterface, read_interfaces
from hostdev.vmi.annotations import interfaces
from hostdev.vmi.vmi import Vmi
from tests.hostdev.vmi.jsonvalues import JSON
from tests.house import ROOT

PLAIN = {"name": "fast", "addresses": ["192.0.2.10/24"]}
AT = f"{INTERFACES}[0]"


def read(*entries: Any) -> tuple[GuestInterface, ...]:
    return interfaces(Vmi(annotations={INTERFACES: json.dumps(list(entries))}))


def test_what_is_not_said_is_not_there() -> None:
    assert read(PLAIN) == (GuestInterface(AT, "fast", {"addresses": ["192.0.2.10/24"]}),)
    assert interfaces(Vmi()) == ()


def test_the_metric_is_that_of_every_route() -> None:
    routes = [{"to": "default", "via": "192.0.2.1"}, {"to": "198.51.100.0/24", "via": "192.0.2.1", "metric": 7}]
    (one,) = read({**PLAIN, "dhcp4": True, "dhcp6": False, "routes": routes, "metric": 500})

    assert [route["metric"] for route in one.settings["routes"]] == [500, 7]
    assert one.settings["dhcp4-overrides"] == {"route-metric": 500}
    assert "dhcp6-overrides" not in one.settings


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", f"{INTERFACES}: is empty"),
        ("{}", f"{INTERFACES}: must be a list of objects, is an object"),
        ("[{}]", f"{AT}.name: is missing"),
        ('[{"name": "a"}]', f"{AT}: asks for nothing"),
        ('[{"name": " "}]', f"{AT}.name: must be the name of an interface"),
        (json.dumps([PLAIN, PLAIN]), f'{INTERFACES}[1]: is about "fast", as {AT} is'),
        (json.dumps([PLAIN] * 257), f"{INTERFACES}: has 257 entries, at most 256 are read"),
        (json.dumps([{**PLAIN, "address": "x"}]), f'{AT}: there is no key "address"'),
        (json.dumps([{**PLAIN, "metric": 5}]), f"{AT}.metric: is for routes, and there are none"),
        (json.dumps([{**PLAIN, "metric": "5", "dhcp4": True}]), f"{AT}.metric: must be a whole number"),
        (json.dumps([{"name": "a", "addresses": ["192.0.2.10"]}]), f"{AT}.addresses[0]: must be an address with"),
        (json.dumps([{"name": "a", "routes": [{"to": "default"}]}]), f"{AT}.routes[0].via: is missing"),
        (json.dumps([{"name": "a", "routes": [{"to": "x", "via": "192.0.2.1"}]}]), f"{AT}.routes[0].to: must be an"),
        (json.dumps([{"name": "a", "mtu": 9}]), f"{AT}.mtu: must be"),
        (json.dumps([{"name": "a", "dhcp4": "yes"}]), f"{AT}.dhcp4: must be"),
    ],
)
def test_mistakes(text: str, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        interfaces(Vmi(annotations={INTERFACES: text}))

    assert f"{refused.value.subject}: {refused.value.message}".startswith(says)


@given(st.lists(JSON, max_size=3))
def test_anything_is_read_or_told(value: Any) -> None:
    found, errors = read_interfaces(json.dumps(value))

    assert len(found) + bool(errors) >= bool(value)


def test_the_page_has_every_key() -> None:
    page = (ROOT / "docs/annotations.md").read_text()
    section = page.partition(f"## `{INTERFACES}`")[2].partition("\n## ")[0]

    assert {key for key in KEYS if f"| `{key}` |" not in section} == set()
