"""Which devices are meant by words such as `class=gpu`, `driver!=nvidia`, `8086:`, `ready`: what can be asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple, Protocol, TypeVar

from domxml.errors import BadInput
from domxml.text import did_you_mean, listed, nearest, printable
from hostdev.inventory import pciids
from hostdev.inventory.devicewords import class_codes, class_words, known_words, vendor_words
from hostdev.inventory.machine import PciFunction, Role, Use

NONE = "none"
"""Of a driver, a group, a NUMA node: there is none."""
NOT = "not-"


class Judged(Protocol):
    """A device with its names and its verdict."""

    @property
    def function(self) -> PciFunction: ...
    @property
    def title(self) -> str: ...
    @property
    def name(self) -> pciids.Name: ...
    @property
    def reasons(self) -> tuple[str, ...]: ...
    @property
    def word(self) -> str: ...


D = TypeVar("D", bound=Judged)


class Key(NamedTuple):
    """Something that can be asked about a device."""

    names: tuple[str, ...]
    help: str
    words: Callable[[Judged], Iterable[str]]
    """What a value must be one of, in lower case."""
    values: Callable[[], tuple[str, ...]] = tuple
    """All values there are, where that is known."""
    number: bool = False


def _or_none(value: object) -> tuple[str, ...]:
    return (NONE if value is None else str(value).lower(),)


def _class(device: Judged) -> frozenset[str]:
    return class_words(device.function) | class_codes(device.function)


def _address(device: Judged) -> tuple[str, ...]:
    return (str(device.function.address),)


def _attached(device: Judged) -> list[str]:
    function = device.function
    return [*(net.name.lower() for net in function.netdevs), *(block.name.lower() for block in function.blocks)]


def _reset(device: Judged) -> tuple[str, ...]:
    methods = device.function.reset_methods
    return ("unknown",) if methods is None else methods or (NONE,)


def _vendor_words(device: Judged) -> frozenset[str]:
    return vendor_words(device.function.vendor, device.name.vendor)


def _codes() -> tuple[str, ...]:
    from hostdev.findings.registry import ALL  # noqa: PLC0415  a list needs no list of all findings

    return tuple(sorted(ALL))


KEYS = (
    Key(("class",), "what it is: gpu, nic, nvme, …, or a class code", _class, known_words),
    Key(("vendor",), "who made it: intel, or 8086", _vendor_words),
    Key(("ids", "id"), "vendor and device: 8086:37c9, or 8086:", lambda d: (pciids.ids(d.function),)),
    Key(("name",), "a part of its name", lambda d: (d.title.lower(),)),
    Key(("driver",), "its driver, or none", lambda d: _or_none(d.function.driver)),
    Key(("numa", "node"), "its NUMA node, or none", lambda d: _or_none(d.function.numa_node), number=True),
    Key(("group",), "its IOMMU group, or none", lambda d: _or_none(d.function.group), number=True),
    Key(("role",), "its part in SR-IOV", lambda d: (str(d.function.role),), lambda: tuple(map(str, Role))),
    Key(("use",), "whether the host uses it", lambda d: (str(d.function.use.value),), lambda: tuple(map(str, Use))),
    Key(("passthrough",), "whether a VM can have it", lambda d: (d.word,), lambda: ("yes", "no", "unknown")),
    Key(("reason",), "the code of what stands in the way", lambda d: d.reasons, _codes),
    Key(("address", "slot"), "its address, or the beginning of one: 3d:", _address),
    Key(("pf",), "the address of its PF", lambda d: _or_none(d.function.physfn)),
    Key(("has",), "an interface or a disk of it", _attached),
    Key(("reset",), "a way to reset it: flr, bus, …, or none", _reset),
)
"""Any value may hold `*` and `?`, and several are separated by commas."""

FLAGS = {
    "ready": ("passthrough", "yes"),
    "passable": ("passthrough", "yes"),
    "vf": ("role", "vf"),
    "vfs": ("role", "vf"),
    "pf": ("role", "pf"),
    "pfs": ("role", "pf"),
    "used": ("use", "used"),
    "unused": ("use", "unused"),
    "unbound": ("driver", NONE),
}
"""Words for what is asked most."""

_WITH_KEY = re.compile(r"([A-Za-z_]+)(!=|==?)(.*)")
_IDS = re.compile(r"(?:0x)?([0-9a-f]{4}|\*):(?:0x)?([0-9a-f]{4}|\*?)", re.ASCII)
_PART = re.compile(
    r"(?:0{4}:|[0-9a-f]{5,8}:|[0-9a-f]{4,8}:(?:[0-9a-f]{2}|\*):|(?:[0-9a-f]{2}|\*):)(?:[01][0-9a-f]|\*)?(?:\.(?:[0-7]|\*))?",
    re.ASCII,
)
_DOMAIN = re.compile(r"(?:0{4}|[0-9a-f]{5,8}):", re.ASCII)
"""No vendor has the number 0, and none has more than four digits."""


@dataclass(frozen=True, slots=True)
class Selector:
    """One word: a device fits when one of its words for the key fits one of the patterns."""

    text: str
    key: Key
    patterns: tuple[str, ...]
    negated: bool = False

    def fits(self, device: Judged) -> bool:
        words = tuple(self.key.words(device))
        return self.negated != any(fnmatchcase(word, pattern) for pattern in self.patterns for word in words)


class Language(NamedTuple):
    """What can be asked where: the keys, and the words for what is asked most."""

    keys: tuple[Key, ...]
    flags: Mapping[str, tuple[str, str]]

    def key(self, name: str) -> Key | None:
        return next((key for key in self.keys if name in key.names), None)


ABOUT_DEVICES = Language(KEYS, FLAGS)


def parse(word: str, language: Language = ABOUT_DEVICES) -> Selector | None:
    """Read a word as a selector; None where it is none, and may be the name of a device."""
    found = _WITH_KEY.fullmatch(word)
    if found:
        return _of_key(word, found[1].lower().replace("_", "-"), found[3].lower(), language, negated=found[2] == "!=")
    plain = word.lower()
    negated = plain.startswith((NOT, "!"))
    plain = plain.removeprefix("!" if plain.startswith("!") else NOT) if negated else plain
    asked = _of_word(plain, language, negated=negated)
    if asked is None and negated:
        known = (*language.flags, *CLASS_WORDS)
        raise _bad(f"{printable(word)!r} is no selector", did_you_mean(plain, known, f"such as {NOT}ready"))
    key = asked and language.key(asked[0])
    return Selector(word, key, (asked[1],), negated) if asked and key else None


def value_offset(word: str) -> int:
    """Where the value of a selector with a key begins."""
    found = _WITH_KEY.fullmatch(word)
    return found.start(3) if found else 0


def _of_word(plain: str, language: Language, *, negated: bool) -> tuple[str, str] | None:
    """The key that a word without one is about, and the pattern."""
    if plain in language.flags:
        return language.flags[plain]
    if plain in CLASS_WORDS:
        return "class", CLASS_WORDS[plain]
    if _IDS.fullmatch(plain) and not _DOMAIN.fullmatch(plain):
        return "ids", _ids(plain)
    # A whole address or slot is the name of a device, which must be there.
    partly = negated or plain.endswith(":") or "*" in plain
    return ("address", _part(plain)) if partly and _PART.fullmatch(plain) else None


CLASS_WORDS = {word: word for word in known_words()} | {f"{word}s": word for word in known_words() if word[-1] != "s"}


def choose(devices: Sequence[D], selectors: Sequence[Selector]) -> list[D]:
    """Those that fit: of selectors for one key that are not negated one is enough, of different keys all count."""
    asked: dict[tuple[str, bool], list[Selector]] = {}
    for number, selector in enumerate(selectors):
        own = f"{selector.key.names[0]}{number}" if selector.negated else selector.key.names[0]
        asked.setdefault((own, selector.negated), []).append(selector)
    return [d for d in devices if all(any(one.fits(d) for one in same) for same in asked.values())]


def explain_nothing(devices: Sequence[Judged], selectors: Sequence[Selector]) -> str:
    """Say why nothing fits: the selector that fits nothing and what there is, or how many fit each."""
    counts = [(selector, sum(selector.fits(device) for device in devices)) for selector in selectors]
    alone = next((selector for selector, count in counts if not count), None)
    if alone is None or alone.negated or not devices:
        told = ", ".join(f"{selector.text} ({count})" for selector, count in counts)
        return f"no device fits {' and '.join(one.text for one in selectors)}; by itself each fits: {told}"
    there = sorted({_shown(alone.key, device) for device in devices} - {""})
    near = nearest(alone.patterns[0], there)
    hint = f"did you mean {alone.key.names[0]}={near}? " if near else ""
    return f"no device fits {alone.text}; {hint}there is {listed(there, 12) or 'nothing of the kind'}"


def _shown(key: Key, device: Judged) -> str:
    """What a device has for a key, in one word."""
    if key.names[0] == "class":
        return pciids.class_name(device.function.class_code)
    return min(key.words(device), key=lambda word: (word[:1].isdigit(), -len(word)), default="")


def _of_key(word: str, name: str, value: str, language: Language, *, negated: bool) -> Selector:
    key = language.key(name)
    if key is None:
        known = [one.names[0] for one in language.keys]
        raise _bad(f"there is no selector {printable(name)!r}", did_you_mean(name, known))
    # Only * and ? stand for something; names have brackets.
    patterns = tuple(_pattern(key, part.strip()).replace("[", "[[]") for part in value.split(","))
    return Selector(word, key, patterns, negated)


def _pattern(key: Key, value: str) -> str:
    name = key.names[0]
    if not value:
        raise _bad(f"{name}= has no value", f"such as {name}={_example(key)}")
    if name == "class" and re.fullmatch(r"(?:0x)?(?:[0-9a-f]{2}){1,3}", value):
        return value
    if name == "class":
        value = CLASS_WORDS.get(value, value)
    # The kernel says -1 where there is no NUMA node.
    if key.number and value == "-1":
        return NONE
    if key.number and value != NONE and not re.fullmatch(r"[0-9*?]+", value):
        raise _bad(f"{name} cannot be {printable(value)!r}", f"it is a number, or {NONE}")
    values = key.values()
    if values and not {"*", "?"} & set(value) and value not in values:
        raise _bad(f"{name} cannot be {printable(value)!r}", _known(value, values))
    return _FORMS.get(name, _unchanged)(value)


def _known(value: str, values: Collection[str]) -> str:
    return did_you_mean(value, values, f"it is one of {', '.join(values)}" if len(values) < 40 else None, cutoff=0.5)


def _example(key: Key) -> str:
    return next(iter(key.values()), "") or {"numa": "0", "group": "43", "driver": "vfio-pci"}.get(key.names[0], "…")


def _ids(value: str) -> str:
    found = _IDS.fullmatch(value)
    if found:
        return f"{found[1]}:{found[2] or '*'}"
    return f"{value}:*" if re.fullmatch(r"[0-9a-f]{4}", value) else value


def _part(value: str) -> str:
    """An address of which the end, or the domain, is left out."""
    if _DOMAIN.fullmatch(value):
        return f"{value}*"
    if not _PART.fullmatch(value):
        return value
    anywhere = value if value.count(":") == 2 else f"*:{value}"
    return anywhere if "." in anywhere else f"{anywhere.removesuffix('*')}*"


def _contained(value: str) -> str:
    return value if "*" in value else f"*{value}*"


def _vendor(value: str) -> str:
    return value.removeprefix("0x").rstrip(":")


def _unchanged(value: str) -> str:
    return value


_FORMS: dict[str, Callable[[str], str]] = {
    "ids": _ids,
    "address": _part,
    "pf": _part,
    "name": _contained,
    "vendor": _vendor,
}


def _bad(what: str, hint: str) -> BadInput:
    return BadInput("bad-selector", what, hint=hint)
