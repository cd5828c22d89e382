"""The words that name devices, with their settings, and the functions of a card that they ask for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from domxml.attributes import ATTRIBUTES
from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from hostdev.findings.device import DEVICE_MISSING
from hostdev.inventory.machine import Machine, PciFunction, Role
from hostdev.manifest.pool import OFFERED, By, Word
from hostdev.manifest.selection import Selected, select
from hostdev.vmi.request import FUNCTIONS, Request, split_settings

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


class Named(NamedTuple):
    """Functions of the machine, and the word that means them."""

    selected: Selected
    word: Word


def read_words(texts: Iterable[str], functions: str = "") -> tuple[Word, ...]:
    """Read words with their settings; `functions` is for those that say nothing of it."""
    if functions and not FUNCTIONS.fullmatch(functions):
        hint = "write one, all, or numbers such as 0+1"
        raise BadInput("bad-usage", f"--functions cannot be {functions[:40]!r}", hint=hint)
    return tuple(_word(number, text, functions or "one") for number, text in enumerate(texts))


def _word(number: int, text: str, functions: str) -> Word:
    head, request = split_settings(text)
    if request.name and not _LABEL.fullmatch(request.name):
        what, hint = (
            f"name={request.name[:70]!r} cannot be a device's name in a VM",
            "write small letters, digits and -",
        )
        raise BadInput("bad-device", what, subject=text[:80], hint=hint)
    for key, value in request.attributes.items():
        if not re.fullmatch(ATTRIBUTES[key].legal, value, re.ASCII):
            what, hint = f"{key}={value[:60]!r} is not possible", f"{key}: {ATTRIBUTES[key].meaning}"
            raise BadInput("bad-device", what, subject=text[:80], hint=hint)
    if "functions=" not in text:
        request = request._replace(functions=functions)
    return Word(number, head, request)


def find_functions(machine: Machine, words: Sequence[Word], by: By | None) -> tuple[Named, ...]:
    """Find what the words mean, with the functions of the same card that they ask for."""
    found: list[Named] = []
    for word in words:
        selected = select(machine, word.text, by)
        found.append(Named(selected, word))
        if word.request.functions == "one":
            continue
        if selected.mdev is not None:
            raise BadInput(
                "functions-not-possible",
                "a mediated device has one function",
                subject=word.text,
                hint="leave functions out",
            )
        found += _companions(machine, selected, word, apart=by in OFFERED)
    return tuple(found)


def _companions(machine: Machine, selected: Selected, word: Word, *, apart: bool) -> Iterator[Named]:
    """Named by its address, each of them is asked for; of a kind it is not known which card the VM will get.

    With `apart` they may be in IOMMU groups of their own.
    """
    bare = Request()
    for function in selected.functions:
        wanted = _of_card(machine, function, word)
        if selected.outright:
            for one in wanted:
                yield Named(Selected((one,), outright=True), word._replace(request=bare))
            continue
        for one in wanted:
            if one.group != function.group and not apart:
                what = f"{one.address} is in another IOMMU group than {function.address}, and no VM is given it along"
                hint = f"name the functions of one card by their addresses: {function.address} {one.address}"
                raise BadInput("bad-usage", what, subject=word.text, hint=hint)


def _of_card(machine: Machine, function: PciFunction, word: Word) -> list[PciFunction]:
    """The other functions of a card that its word asks for."""
    if word.request.functions != "one" and function.role is Role.VF:
        what, hint = "is a VF: its neighbours in the slot are other devices", "leave functions out"
        raise BadInput("functions-not-possible", what, subject=str(function.address), hint=hint)
    slot = {one.address: one for one in of_slot(machine, function.address) if one != function}
    if word.request.functions == "all":
        return [*slot.values()]
    found = []
    for number in dict.fromkeys(map(int, word.request.functions.split("+"))):
        address = function.address.with_function(number)
        if address == function.address:
            continue
        if address not in slot:
            what, hint = f"{word.text} has no function {number} on {machine.source}", _there(slot)
            raise DEVICE_MISSING.refused(str(address), what, hint)
        found.append(slot[address])
    return found


def of_slot(machine: Machine, address: PciAddress) -> list[PciFunction]:
    """The functions of a card: its VFs may be in the slot, and are devices of their own."""
    every = (one for _, one in sorted(machine.functions.items()) if one.address.slot_address == address.slot_address)
    return [one for one in every if not one.bridge and one.role is not Role.VF]


def _there(slot: Iterable[PciAddress]) -> str:
    there = ", ".join(map(str, slot))
    return f"beside it there are {there}" if there else "it is alone in its slot: leave functions out"
