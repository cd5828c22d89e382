"""What is asked of a fleet: the selectors of `passgate node list`, and what only many nodes have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, cast

from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from domxml.text import did_you_mean, printable
from hostdev.findings.driver import NOT_BOUND_TO_VFIO
from hostdev.fleet.node import Node, State
from hostdev.gate import selection
from hostdev.gate.selection import FLAGS, KEYS, Judged, Key, Language, Selector
from hostdev.inventory import pciids
from hostdev.inventory.machine import PciFunction
from hostdev.inventory.pciids import Namer
from hostdev.units.unit import Unit

LONGEST = 10_000


@dataclass(frozen=True)
class Found:
    """A device of a node, in its unit."""

    node: Node
    unit: Unit
    function: PciFunction
    namer: Namer

    @cached_property
    def name(self) -> pciids.Name:
        """Vendor and device by name, where they are known."""
        return self.namer(self.function)

    @property
    def title(self) -> str:
        """Vendor and device for people."""
        return pciids.title(self.function, self.name)

    @cached_property
    def state(self) -> State:
        """That of its unit."""
        return self.node.state_of(self.unit)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The codes of what keeps its unit from a VM."""
        return tuple(sorted(self.unit.blockers, key=lambda code: code == NOT_BOUND_TO_VFIO.code))

    @property
    def word(self) -> str:
        """Whether a VM can have it once nothing else holds it."""
        return {State.BLOCKED: "no", State.UNKNOWN: "unknown"}.get(self.state, "yes")


def _node(device: Judged) -> tuple[str, ...]:
    return (cast("Found", device).node.name.lower(),)


def _kernel(device: Judged) -> tuple[str, ...]:
    return (cast("Found", device).node.machine.kernel.release.lower() or selection.NONE,)


def _state(device: Judged) -> tuple[str, ...]:
    return (str(cast("Found", device).state),)


FLEET = Language(
    (
        *KEYS,
        Key(("host", "on"), "the name of its node", _node),
        Key(("kernel",), "the kernel of its node", _kernel),
        Key(("state",), "what its unit is", _state, lambda: tuple(map(str, State))),
    ),
    {**FLAGS, **{str(state): ("state", str(state)) for state in State}, "free": ("state", "ready")},
)
"""`ready` is free as well here: on one node who holds what is asked otherwise."""


class Expression(NamedTuple):
    """Selectors that a device must fit: one of each key, and all that are negated."""

    selectors: tuple[Selector, ...]

    def find(self, node: Node, namer: Namer) -> list[Found]:
        """The devices of a node that fit, by address."""
        return selection.choose(sorted(devices_of(node, namer), key=lambda one: one.function.address), self.selectors)


def devices_of(node: Node, namer: Namer) -> Iterator[Found]:
    """All devices that a guest could have."""
    for unit in node.units:
        for address in unit.functions:
            yield Found(node, unit, node.machine.functions[address], namer)


class BadExpression(BadInput):
    """An expression that cannot be read, and the place where that begins."""

    def __init__(self, text: str, at: int, error: BadInput) -> None:
        super().__init__("bad-expression", f"at {at + 1}: {error.message}", hint=error.hint)
        self.text = text
        self.at = at


def parse_expression(words: Sequence[str]) -> Expression:
    """Read selectors that are separated by blanks, in one word or in several."""
    text = " ".join(words)
    if len(text) > LONGEST:
        raise BadExpression(text[:60], 0, _bad(f"is longer than {LONGEST} characters", "write fewer selectors"))
    return Expression(tuple(_selector(text, part.start(), part[0]) for part in re.finditer(r"\S+", text)))


def _selector(text: str, at: int, word: str) -> Selector:
    try:
        found = selection.parse(word, FLEET)
    except BadInput as error:
        known = FLEET.key(re.split("[!=]", word.lower())[0].replace("_", "-"))
        raise BadExpression(text, at + (selection.value_offset(word) if known else 0), error) from None
    if found is None:
        found = selection.parse(f"address={word}", FLEET) if _is_address(word) else None
    if found is None:
        hint = did_you_mean(
            word.lower(), [*FLEET.flags, *selection.CLASS_WORDS], "docs/fleet.md lists what can be asked"
        )
        raise BadExpression(text, at, _bad(f"{printable(word, 60)!r} is no selector", hint))
    return found


def _is_address(word: str) -> bool:
    try:
        PciAddress.parse(word)
    except BadInput:
        return False
    return True


def _bad(what: str, hint: str) -> BadInput:
    return BadInput("bad-expression", what, hint=hint)
