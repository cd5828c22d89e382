"""Names that an interface can have in the guest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostdev.vmi.bonds import guest_name, is_guest_name


@pytest.mark.parametrize("name", ["bond0", "sriov-net", "a", "A_b.c", "x" * 15, "enterprise", "ethernet", "wlan"])
def test_what_can_be_is_kept(name: str) -> None:
    assert is_guest_name(name)
    assert guest_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", "x" * 16, "1a", "-a", "a b", "a/b", "a:b", "é", "a\n", "all", "default", "lo", "bonding_masters"),
        *("eth0", "enp1s0", "ens3", "eno7", "wlp2s0"),
    ],
)
def test_what_cannot_be_gets_another(name: str) -> None:
    assert not is_guest_name(name)
    assert is_guest_name(guest_name(name))


@given(st.text())
def test_any_name_becomes_a_possible_one_and_always_the_same(name: str) -> None:
    assert is_guest_name(guest_name(name))
    assert guest_name(name) == guest_name(name)
    assert guest_name(guest_name(name)) == guest_name(name)


def test_long_names_that_begin_alike_stay_apart() -> None:
    assert guest_name("sriov-network-left") != guest_name("sriov-network-right")
