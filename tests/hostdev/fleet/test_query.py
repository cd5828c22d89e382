"""What is asked of a fleet, and where an expression cannot be read."""

from __future__ import annotations

import pytest

from domxml.pciaddress import PciAddress
from hostdev.fleet.node import Node
from hostdev.fleet.query import LONGEST, BadExpression, parse_expression
from hostdev.inventory import pciids
from tests.hostdev.machines.fixtures import picture

HELD = PciAddress.parse("0000:1a:00.0")
GPUS = Node("gpu-1", picture("hgx-h100"), held={HELD: "enable is 1"})
CARD = Node("desk-1", picture("nvme-in-gpu-group"))


def found(*words: str, node: Node = GPUS) -> list[str]:
    return [str(one.function.address) for one in parse_expression(words).find(node, pciids.namer(None, live=False))]


def test_words_that_are_quoted_together_are_the_same() -> None:
    assert found("class=gpu ready numa=0") == found("class=gpu", "ready", "numa=0") != []


def test_ready_is_free_as_well() -> None:
    gpus = found("class=gpu")

    assert (len(gpus), len(found("class=gpu", "ready")), len(found("class=gpu", "free"))) == (8, 7, 7)
    assert found("class=gpu", "held") == found("class=gpu", "not-ready") == [str(HELD)]
    assert found("class=gpu", "passthrough=yes") == gpus, "a VM could have it"


@pytest.mark.parametrize(
    "word", ["host=gpu-*", "on=gpu-1", "kernel=*", "0000:1a:00.0", "id=10de:*", "state=held,ready"]
)
def test_what_fits_this_node(word: str) -> None:
    assert str(HELD) in found(word)
    assert str(HELD) not in found("class=gpu", "host!=gpu-1")


def test_what_shares_its_group_is_blocked_with_it() -> None:
    assert found("blocked", "reason=host-root-disk", node=CARD) == found(node=CARD) != []


@pytest.mark.parametrize(
    ("text", "at", "what"),
    [
        ("class=gpu colour=red", 10, "no selector 'colour'"),
        ("class=gpu  class=gppu", 17, "class cannot be 'gppu'"),
        ("ready numa=x", 11, "numa cannot be 'x'"),
        ("ready redy", 6, "'redy' is no selector"),
        ("not-nothing", 0, "is no selector"),
        ("class=", 6, "has no value"),
        ("ready \x1b[31m", 6, "is no selector"),
        ("state=gone", 6, "state cannot be 'gone'"),
        ("x" * (LONGEST + 1), 0, "is longer than"),
    ],
)
def test_what_cannot_be_read_has_its_place(text: str, at: int, what: str) -> None:
    with pytest.raises(BadExpression, match="bad-expression") as refused:
        parse_expression([text])

    assert (refused.value.at, what in refused.value.message) == (at, True)
    assert refused.value.hint
    assert "\x1b" not in refused.value.sentence()
