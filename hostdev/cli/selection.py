"""The devices that the words of a command line mean: names of some, and selectors that all must fit."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from domxml.text import nearest
from hostdev.cli.devices import Device, accept, list_devices, select
from hostdev.gate import selection
from hostdev.gate.selection import FLAGS, KEYS, Selector
from hostdev.inventory.devicenames import FORMS, Calling, find_called, is_plain_word
from hostdev.inventory.devicewords import known_words, vendor_words
from hostdev.inventory.machine import Machine
from hostdev.inventory.pciids import Namer
from hostdev.printing import output

OPTIONS = ("class", "vendor", "driver", "numa", "ids")
"""Selectors that are options too, for those who know them from lspci."""


class Words(NamedTuple):
    """A command line, sorted."""

    names: tuple[str, ...]
    selectors: tuple[Selector, ...]


def read_words(words: Iterable[str], arguments: argparse.Namespace) -> Words:
    """Tell selectors from names of devices."""
    asked = [f"{key}={value}" for key in OPTIONS for value in getattr(arguments, key, ())]
    read = [(word, selection.parse(word)) for word in (*words, *asked)]
    selectors = tuple(selector for _, selector in read if selector is not None)
    return Words(tuple(word for word, selector in read if selector is None), selectors)


def choose(
    machine: Machine, namer: Namer, words: Words, despite: Sequence[str] = ()
) -> tuple[Sequence[Device], tuple[PciAddress, ...] | None]:
    """The devices that are meant, and the addresses of those that were named."""
    named = _named(machine, words.names)
    devices = list_devices(machine, namer, named, accept(despite, named))
    if not words.selectors:
        return devices, named
    chosen = selection.choose(devices, words.selectors)
    if not chosen and devices:
        output.note(f"note: {selection.explain_nothing(devices, words.selectors)}")
    return chosen, named


class Meant(NamedTuple):
    """The devices that words mean, and whether they are one device by its own name: then there is one document."""

    devices: Sequence[Device]
    single: bool


def find_meant(machine: Machine, namer: Namer, words: Words, despite: Sequence[str] = ()) -> Meant:
    """Find the devices; of a group or a slot without its bridges, where there is something else in it."""
    if not (words.names or words.selectors):
        hint = f"a device is named by {FORMS}; docs/selectors.md has the selectors"
        raise BadInput("no-device-named", "no device is named", hint=hint)
    devices, _ = choose(machine, namer, words, despite)
    callings = {name: find_called(machine, name) for name in words.names}
    outright = {
        f.address for called in callings.values() if called.calling is Calling.ADDRESS for f in called.functions
    }
    kept = [one for one in devices if not one.function.bridge or one.function.address in outright]
    several = {Calling.GROUP, Calling.SLOT}.intersection(called.calling for called in callings.values())
    return Meant(kept or devices, len(words.names) == 1 and not (words.selectors or several))


def _named(machine: Machine, names: Sequence[str]) -> tuple[PciAddress, ...] | None:
    for name in names:
        if is_plain_word(machine, name):
            _refuse(machine, name)
    return select(machine, names)


def _refuse(machine: Machine, word: str) -> None:
    """Refuse a word that is no selector either, and say what is near; the resolver refuses what is near a name."""
    functions = machine.functions.values()
    plain = word.lower()
    if plain in {function.driver for function in functions}:
        raise _unknown(machine, word, f"did you mean driver={plain}?")
    if any(plain in vendor_words(function.vendor, None) for function in functions):
        raise _unknown(machine, word, f"did you mean vendor={plain}?")
    near = nearest(plain, [*FLAGS, *known_words()], cutoff=0.7)
    if near:
        raise _unknown(machine, word, f"did you mean {near}?")
    keys = [key.names[0] for key in KEYS]
    if plain in keys:
        raise _unknown(machine, word, f"a selector has a value: {plain}=…")


def _unknown(machine: Machine, word: str, hint: str) -> BadInput:
    return BadInput("nothing-selected", f"{word!r} names no device on {machine.source}, and is no selector", hint=hint)
