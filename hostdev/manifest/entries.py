"""The entries of `passgate.dev/devices`: one a device of the guest, with what was asked for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from hostdev.inventory.machine import Machine, Role
from hostdev.manifest.pool import Document, Pool, Word
from hostdev.manifest.words import of_slot
from hostdev.vmi.request import Request


class Entry(NamedTuple):
    """One entry, and the words that name its devices."""

    words: tuple[Word, ...]
    fields: Document


class Device(NamedTuple):
    """One device of the VM's spec."""

    name: str
    pool: Pool
    word: Word


def devices(pools: Iterable[Pool]) -> Iterator[Device]:
    """The devices that the spec names, each by a name of its own."""
    for pool in pools:
        if pool.in_spec or pool.port is not None:
            for name, word in zip(pool.devices, pool.words, strict=True):
                yield Device(name, pool, word)


def entries(machine: Machine, pools: Sequence[Pool], guests: Sequence[PciAddress] = ()) -> tuple[Document, ...]:
    """What is asked of Passgate; `guests` are addresses for the guest's devices, in the order of the words."""
    made = [*_of_resources(pools), *_of_spec(machine, pools)]
    given = _given(made, guests)
    return tuple({**one.fields, **_places(places)} for one, places in zip(made, given, strict=True))


def _of_resources(pools: Iterable[Pool]) -> Iterator[Entry]:
    """What the limits ask for is referred to by its resource."""
    for pool in pools:
        if pool.in_spec or pool.port is not None:
            continue
        settings = [_settings(word.request, word.request.functions) for word in pool.words]
        if any(one != settings[0] for one in settings):
            what = f"the devices of {pool.resource} cannot be told apart, and are asked for in different ways"
            raise BadInput("bad-device", what, hint="write the same settings at each; guest addresses may differ")
        names = {word.request.name for word in pool.words} - {""}
        name = names.pop() if len(names) == 1 else pool.name
        yield Entry(pool.words, {"resource": pool.resource, "name": name, "count": pool.wanted, **settings[0]})


def _of_spec(machine: Machine, pools: Iterable[Pool]) -> Iterator[Entry]:
    """A device that KubeVirt puts in is referred to by its name; functions of one card are one device."""
    pools = tuple(pools)
    cards = {slot: card for slot, card in _cards(pools).items() if _has_first(card)}
    for device in devices(pools):
        card = cards.get(_slot(device.pool), ())
        if not card:
            functions = _whole(device) if device.pool.units else _lone(machine, device)
            yield Entry((device.word,), {"device": device.name, **_settings(device.word.request, functions)})
        elif card[0] == device.pool:
            word = _speaker(card)
            yield Entry((word,), {"device": device.name, **_settings(word.request, _functions(machine, card))})


def _speaker(card: Sequence[Pool]) -> Word:
    """The word that says how the card is wanted; the others only name its functions."""
    words = [pool.words[0] for pool in card]
    asking = [word for word in words if word.request._replace(name="", functions="one") != Request()]
    if len(asking) > 1 and any(word.number != asking[0].number for word in asking):
        what = f"{asking[0].text} and {asking[1].text} are one device in the guest, and both have settings"
        raise BadInput("bad-device", what, subject=asking[1].text, hint="write the settings at one of them")
    return (asking or words)[0]._replace(number=min(word.number for word in words))


def _whole(device: Device) -> str:
    """The functions of a unit that are in one slot, which come with it; what else it has stays on vfio, unused."""
    slots = [[one.slot_address for one in unit.functions] for unit in device.pool.units]
    asked = device.word.request.functions
    return "all" if asked == "one" and any(slot.count(slot[0]) > 1 for slot in slots) else asked


def _lone(machine: Machine, device: Device) -> str:
    """The functions of a device whose other functions no word names."""
    functions = device.word.request.functions
    if not device.pool.outright or functions == "one":
        return functions
    first = device.pool.functions[0].address
    alone = not [one for one in of_slot(machine, first) if one.address != first]
    if functions != str(first.function) and not (functions == "all" and alone):
        what = "functions of one card that are alike, or without function 0, cannot be one device"
        hint = "leave functions out: each is a device of its own then"
        raise BadInput("functions-not-possible", what, subject=device.word.text, hint=hint)
    return functions


def _cards(pools: Iterable[Pool]) -> dict[PciAddress | None, tuple[Pool, ...]]:
    """Slots of the host of which several functions were named: in the guest they are one device again."""
    slots: dict[PciAddress | None, tuple[Pool, ...]] = {}
    for pool in sorted(pools, key=_first_address):
        slots[_slot(pool)] = (*slots.get(_slot(pool), ()), pool)
    return {slot: found for slot, found in slots.items() if slot is not None and len(found) > 1}


def _has_first(card: Sequence[Pool]) -> bool:
    # No guest looks for a device's other functions where there is no function 0.
    return card[0].functions[0].address.function == 0


def _first_address(pool: Pool) -> PciAddress:
    return pool.functions[0].address if pool.functions else PciAddress(0, 0, 0, 0)


def _slot(pool: Pool) -> PciAddress | None:
    one = pool.functions[0] if pool.outright and pool.in_spec and pool.wanted == 1 else None
    return None if one is None or one.role is Role.VF else one.address.slot_address


def _functions(machine: Machine, card: Sequence[Pool]) -> str:
    """`all` where every function of the slot was named: anything less is written out."""
    named = [pool.functions[0].address for pool in card]
    return (
        "all" if len(of_slot(machine, named[0])) == len(named) else "+".join(str(address.function) for address in named)
    )


def _given(made: Sequence[Entry], guests: Sequence[PciAddress]) -> list[list[PciAddress | None]]:
    """The guest address of each device of each entry."""
    leading = sorted(
        ((place, word) for place, one in enumerate(made) for word in one.words), key=lambda found: found[1].number
    )
    _check_once([word for _, word in leading])
    addresses = [word.request.guests[0] if word.request.guests else None for _, word in leading]
    if guests:
        _check_guests([word for _, word in leading], addresses, guests)
        addresses = list(guests)
    found: list[list[PciAddress | None]] = [[] for _ in made]
    for (place, _), address in zip(leading, addresses, strict=True):
        found[place].append(address)
    return found


def _check_guests(leading: Sequence[Word], own: Sequence[PciAddress | None], guests: Sequence[PciAddress]) -> None:
    if any(own):
        what = "guest addresses are given by --guest, and at a device too"
        raise BadInput("bad-usage", what, hint="write them one way: --guest, or DEVICE,guest=ADDRESS")
    if len(guests) != len(leading):
        times = "once" if len(guests) == 1 else f"{len(guests)} times"
        what = f"--guest is given {times}, and the devices of the guest are {len(leading)}"
        named = ", ".join(word.text for word in leading[:8])
        raise BadInput("bad-usage", what, hint=f"give it once for each of {named}, or write DEVICE,guest=ADDRESS")


def _check_once(leading: Sequence[Word]) -> None:
    """A word that means several devices has no address for them."""
    numbers = [word.number for word in leading]
    for word in leading:
        if word.request.guests and numbers.count(word.number) > 1:
            what, hint = "means several devices, and has one guest address", "name each device by its address"
            raise BadInput("bad-device", what, subject=word.text, hint=hint)


def _places(guests: Sequence[PciAddress | None]) -> Document:
    written = [str(guest) for guest in guests if guest is not None]
    if not written:
        return {}
    return {"guestAddress": written[0] if len(written) == 1 else written}


def _settings(request: Request, functions: str) -> Document:
    """The settings of a word, as the annotation writes them."""
    found: Document = {}
    if functions != "one":
        found["functions"] = functions
    if request.numa:
        found["numa"] = request.numa
    for key, value in request.attributes.items():
        place: dict[str, Any] = found.setdefault("rom", {}) if key.startswith("rom.") else found
        place[key.removeprefix("rom.")] = int(value) if value.isdigit() else value
    return found
