"""`passgate.dev/bonds`: bonds of the guest's interfaces, and the names a Linux guest takes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from domxml.errors import BadInput
from hostdev.jsontext import Format, parse_json
from hostdev.jsonutil import JsonObject, list_of_objects, show_value
from hostdev.vmi.addressing import SETTINGS, read_settings
from hostdev.vmi.entry import CODE, MAX_BYTES, Entry, match_pattern

MOST_BYTES = 15
RESERVED = frozenset({"all", "default", "lo", "bonding_masters"})
"""The kernel has files of these names where each interface has one."""
REASON = (
    "up to 15 letters, digits, - _ and ., beginning with a letter; not all, default, lo or what a kernel names eth0"
)

_LEGAL = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}", re.ASCII)
_BY_THE_GUEST = re.compile(r"eth[0-9]+|en[bopsvx][0-9A-Fa-f][A-Za-z0-9]*|wl[bopsvx]?[0-9][A-Za-z0-9]*", re.ASCII)
"""Names that a guest gives by itself, to whatever interface it finds."""


def is_guest_name(name: str) -> bool:
    """An interface can be given this name, and no other will have it."""
    return bool(_LEGAL.fullmatch(name)) and name not in RESERVED and not _BY_THE_GUEST.fullmatch(name)


def guest_name(name: str) -> str:
    """A name of the VM's spec as the guest can have it: the same, or its beginning and four digits for it all."""
    if is_guest_name(name):
        return name
    import hashlib  # noqa: PLC0415  most names are possible

    kept = re.sub(r"[^A-Za-z0-9_]", "-", name)
    head = (kept if kept[:1].isalpha() else f"if-{kept}")[: MOST_BYTES - 5].rstrip("-")
    digits = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:4]
    return f"{head}-{digits}"


BONDS = "passgate.dev/bonds"
MODES = ("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb")
DEFAULT_MODE = "active-backup"
"""It asks nothing of the switch."""
KEYS: Mapping[str, str] = MappingProxyType(
    {
        "name": "the bond's name in the guest, such as bond0",
        "interfaces": "names of the VM's interfaces, at least two",
        "mode": "how the bond works, such as active-backup",
        "parameters": "netplan's parameters of a bond",
        **SETTINGS,
    }
)
"""What an entry may hold, and what it means."""
MILLISECONDS = "0|[1-9][0-9]{0,5}"
PARAMETERS: Mapping[str, str] = MappingProxyType(
    {
        "mii-monitor-interval": MILLISECONDS,
        "up-delay": MILLISECONDS,
        "down-delay": MILLISECONDS,
        "primary": "",
        "primary-reselect-policy": "always|better|failure",
        "fail-over-mac-policy": "none|active|follow",
        "lacp-rate": "slow|fast",
        "min-links": "[0-9]{1,3}",
        "transmit-hash-policy": r"layer2|layer3\+4|layer2\+3|encap2\+3|encap3\+4",
        "ad-select": "stable|bandwidth|count",
    }
)
"""Parameters that both netplan and cloud-init know, with what they may be; `primary` is one of the interfaces."""
MOST_BONDS = 64


class Bond(NamedTuple):
    """One bond, as the VM's author wants it."""

    place: str
    name: str
    interfaces: tuple[str, ...]
    """By their names in the VM's spec."""
    mode: str = DEFAULT_MODE
    parameters: Mapping[str, str | int] = MappingProxyType({})
    settings: Mapping[str, Any] = MappingProxyType({})
    """Addresses and the like, under netplan's names."""


def read_bonds(text: str) -> tuple[tuple[Bond, ...], tuple[BadInput, ...]]:
    """Read the annotation: the bonds that can be read, and everything that is wrong with it."""
    try:
        entries = list_of_objects(parse_json(text, Format(BONDS, CODE, MAX_BYTES, BONDS)), BONDS, CODE)
    except BadInput as error:
        return (), (error,)
    if len(entries) > MOST_BONDS:
        return (), (BadInput(CODE, f"has {len(entries)} entries, at most {MOST_BONDS} are read", subject=BONDS),)
    errors: list[BadInput] = []
    read = [bond for entry in entries if (bond := _bond(Entry(entry, errors))) is not None]
    return tuple(read), (*errors, *_together(read))


def _bond(entry: Entry) -> Bond | None:
    before = len(entry.errors)
    entry.check_keys(KEYS)
    for key in ("name", "interfaces"):
        if key not in entry.entry.fields:
            entry.errors.append(entry.entry.refused(key, "is missing", hint=f"{key}: {KEYS[key]}"))
    modes = match_pattern(re.compile("|".join(map(re.escape, MODES))), f"one of {', '.join(MODES)}")
    interfaces: tuple[str, ...] = entry.take("interfaces", _interfaces, ())
    bond = Bond(
        entry.entry.path,
        entry.take("name", _name, ""),
        interfaces,
        entry.take("mode", modes, DEFAULT_MODE),
        MappingProxyType(_parameters(entry, interfaces)),
        MappingProxyType(read_settings(entry)),
    )
    return bond if len(entry.errors) == before else None


def _name(entry: JsonObject, key: str) -> str:
    name = entry.get_str(key) or ""
    if not is_guest_name(name):
        raise entry.refused(key, f"{show_value(name)} cannot be an interface's name", hint=REASON)
    return name


def _interfaces(entry: JsonObject, key: str) -> tuple[str, ...]:
    names = entry.get_strings(key)
    if len(set(names)) < len(names):
        raise entry.refused(key, f"names {show_value(Counter(names).most_common(1)[0][0])} twice", hint="name it once")
    if len(names) < 2:
        count = "one interface" if names else "none"
        raise entry.refused(key, f"names {count}: a bond is made of two or more", hint="add one, or leave the bond out")
    return names


def _parameters(entry: Entry, interfaces: Sequence[str]) -> dict[str, str | int]:
    given = Entry(entry.take("parameters", JsonObject.get_object, JsonObject({}, "", CODE)), entry.errors)
    given.check_keys(PARAMETERS)
    read: dict[str, str | int] = {}
    for name, legal in PARAMETERS.items():
        if (value := given.take(name, _parameter(legal, interfaces), None)) is not None:
            read[name] = value
    return read


def _parameter(legal: str, interfaces: Sequence[str]) -> Callable[[JsonObject, str], str | int | None]:
    def read(entry: JsonObject, key: str) -> str | int | None:
        value = entry.fields[key]
        if not legal:
            if value not in interfaces:
                raise entry.wrong(key, "one of the bond's interfaces")
            return str(value)
        written = str(value) if isinstance(value, int) and not isinstance(value, bool) else entry.get_str(key) or ""
        if not re.fullmatch(legal, written, re.ASCII):
            wanted = "a whole number" if "[0-9]" in legal else f"one of {', '.join(legal.split('|'))}".replace("\\", "")
            raise entry.wrong(key, wanted)
        return int(written) if written.isdigit() else written

    return read


def _together(bonds: Sequence[Bond]) -> Iterator[BadInput]:
    """Check what no bond can know alone."""
    names: dict[str, Bond] = {}
    owners: dict[str, Bond] = {}
    for bond in bonds:
        if bond.name in names:
            what = f"is named {bond.name}, and so is {names[bond.name].place}"
            yield BadInput(CODE, what, subject=bond.place, hint="give each bond a name of its own")
        names.setdefault(bond.name, bond)
        for interface in bond.interfaces:
            if interface in owners:
                what = f"has {show_value(interface)}, which {owners[interface].place} has already"
                hint = "an interface can be in one bond"
                yield BadInput(CODE, what, subject=f"{bond.place}.interfaces", hint=hint)
            owners.setdefault(interface, bond)
