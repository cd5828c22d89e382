"""The annotations `passgate.dev/…`: devices and policy, read strictly."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from domxml.attributes import ATTRIBUTES, KEEP, NUMBER, Attribute
from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice, parse_host_device
from domxml.text import did_you_mean, listed, printable
from hostdev.jsontext import Format, parse_json
from hostdev.jsonutil import JsonObject, as_object, list_of_objects, parse_text, show_value
from hostdev.vmi.addressing import INTERFACES, GuestInterface, read_interfaces
from hostdev.vmi.bonds import BONDS, Bond, read_bonds
from hostdev.vmi.entry import CODE, MAX_BYTES, Entry, match_pattern
from hostdev.vmi.request import FUNCTIONS, NAME, NUMA, Request
from hostdev.vmi.settings import SETTINGS, Setting
from hostdev.vmi.vmi import Vmi

POLICY = "passgate.dev/policy"
POLICY_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "unsafe": "refuse, or warn: go on in spite of every finding, and say it loudly",
        "allow": "a list of codes: findings that are told but refuse nothing",
        "refuse": "a list of codes: findings that refuse the VM, though they are no errors",
        "ignore": "a list of resources of the limits that are no devices for the guest, such as a license",
    }
)


class Policy(NamedTuple):
    """How to act on what the gate finds at severity error."""

    unsafe: str = "refuse"
    """`refuse` or `warn`."""
    allow: frozenset[str] = frozenset()
    refuse: frozenset[str] = frozenset()
    """The codes that refuse whatever their severity is."""
    ignore: frozenset[str] = frozenset()
    """Resources for which no device is looked for."""

    @property
    def allowed(self) -> frozenset[str]:
        """The codes that refuse nothing."""
        if self.unsafe == "refuse":
            return self.allow
        from hostdev.findings.registry import ALL  # noqa: PLC0415  rarely asked for

        return frozenset(ALL)


def read_policy(text: str) -> tuple[Policy, tuple[BadInput, ...]]:
    """Read the annotation, and everything that is wrong with it."""
    errors: list[BadInput] = []
    try:
        fields = as_object(parse_json(text, Format(POLICY, CODE, MAX_BYTES, POLICY)), POLICY, CODE)
    except BadInput as error:
        return Policy(), (error,)
    entry = Entry(fields, errors)
    entry.check_keys(POLICY_KEYS)
    unsafe = match_pattern(re.compile("refuse|warn"), '"refuse" or "warn"')
    read = Policy(
        entry.take("unsafe", unsafe, "refuse"),
        entry.take("allow", _codes, frozenset()),
        entry.take("refuse", _codes, frozenset()),
        entry.take("ignore", _ignore, frozenset()),
    )
    both = sorted(read.allow & read.refuse)
    if both:
        what = f"{listed(both)} cannot be allowed and refused at once"
        errors.append(BadInput(CODE, what, subject=POLICY, hint="leave it in one of the lists"))
    return read, tuple(errors)


def _codes(entry: JsonObject, key: str) -> frozenset[str]:
    from hostdev.findings.registry import kind  # noqa: PLC0415  rarely asked for

    codes = enumerate(entry.get_strings(key))
    return frozenset(parse_text(code, kind, f"{entry.place(key)}[{index}]", CODE).code for index, code in codes)


def _ignore(entry: JsonObject, key: str) -> frozenset[str]:
    names = entry.get_strings(key)
    for index, name in enumerate(names):
        if "/" not in name:
            what = f"{show_value(name)} is no name of an extended resource"
            raise BadInput(
                CODE, what, subject=f"{entry.place(key)}[{index}]", hint="write DOMAIN/NAME, as in the limits"
            )
    return frozenset(names)


DEVICES = "passgate.dev/devices"
MOST_DEVICES = 256
"""A guest has no more buses than that."""

WHICH = ("resource", "device", "address")
"""What says which devices are meant; each entry has exactly one of them."""
ROM = "rom"
"""An object in which the settings of the ROM may stand together."""
DEVICE_KEYS: Mapping[str, str] = MappingProxyType(
    {
        **{name: row.meaning for row in SETTINGS.values() for name in row.names},
        ROM: "an object with bar, file or enabled",
    }
)
"""What an entry may hold, and what it means."""
ROM_KEYS: Mapping[str, str] = MappingProxyType(
    {key.removeprefix("rom."): row.meaning for key, row in SETTINGS.items() if key.startswith("rom.")}
)
"""What the object `rom` may hold."""

_RESOURCE = re.compile(r"[a-z0-9]([a-z0-9.-]{0,252})/[A-Za-z0-9]([A-Za-z0-9._-]{0,62})", re.ASCII)
_DEVICE = re.compile(r"\S.{0,252}")
_SWITCHES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"on|off": ("on", "off"), "yes|no": ("yes", "no"), f"yes|no|{KEEP}": ("yes", "no")}
)


class Devices(NamedTuple):
    """The annotation's content: a request an entry, None for one that cannot be read, and every mistake."""

    entries: tuple[Request | None, ...] = ()
    errors: tuple[BadInput, ...] = ()


def read_devices(text: str) -> Devices:
    """Read the annotation as far as it can be read."""
    try:
        entries = list_of_objects(parse_json(text, Format(DEVICES, CODE, MAX_BYTES, DEVICES)), DEVICES, CODE)
    except BadInput as error:
        return Devices((), (error,))
    if len(entries) > MOST_DEVICES:
        what = f"has {len(entries)} entries, a VM can have {MOST_DEVICES}"
        return Devices((), (BadInput(CODE, what, subject=DEVICES, hint="use `count` for devices of one resource"),))
    errors: list[BadInput] = []
    read = tuple(_request(Entry(entry, errors)) for entry in entries)
    return Devices(read, (*errors, *_repeated(read)))


def _request(entry: Entry) -> Request | None:
    before = len(entry.errors)
    entry.check_keys(DEVICE_KEYS)
    keys = {name: _written(entry, row) for name, row in SETTINGS.items()}
    request = Request(
        address=entry.take("address", _address, None),
        resource=entry.take(
            "resource", match_pattern(_RESOURCE, "a resource's name, such as qat.intel.com/generic"), ""
        ),
        device=entry.take("device", match_pattern(_DEVICE, "a name in the VM's spec"), ""),
        name=entry.take("name", match_pattern(NAME, "made of letters, digits, - and _, at most 63"), ""),
        quantity=entry.take("count", _count, None),
        guests=entry.take(keys["guest"], _guests, ()),
        guest_key=keys["guest"],
        functions=entry.take("functions", match_pattern(FUNCTIONS, DEVICE_KEYS["functions"]), "one"),
        numa=entry.take("numa", _numa, ""),
        attributes=MappingProxyType(_attributes(entry, keys)),
    )
    _check_together(entry, request)
    return request if len(entry.errors) == before else None


def _written(entry: Entry, row: Setting) -> str:
    """By which of its names a setting is there; it may be there once."""
    names = [name for name in row.names if entry.entry.has(name)] or [row.names[-1]]
    for name in names[1:]:
        what = f"is what {names[0]} says too"
        entry.errors.append(entry.entry.refused(name, what, hint="leave one of them out"))
    return names[0]


def _attributes(entry: Entry, keys: Mapping[str, str]) -> dict[str, str]:
    rom = Entry(entry.take(ROM, JsonObject.get_object, JsonObject({}, "", CODE)), entry.errors)
    rom.check_keys(ROM_KEYS)
    read: dict[str, str] = {}
    for key, row in ATTRIBUTES.items():
        inner = key.removeprefix(f"{ROM}.")
        if inner != key and rom.entry.has(inner):
            if entry.entry.has(key):
                what = f"is what {ROM} says too"
                entry.errors.append(entry.entry.refused(key, what, hint="leave one of them out"))
            value = rom.take(inner, _attribute(row), "")
        else:
            value = entry.take(keys[key], _attribute(row), "")
        if value:
            read[key] = value
    return read


def _check_together(entry: Entry, request: Request) -> None:
    which = [key for key in WHICH if entry.entry.has(key)]
    if len(which) != 1:
        what = f"has {' and '.join(which)}" if which else f"says not which devices: {', '.join(WHICH)}"
        hint = "make an entry for each" if which else f"write one of {', '.join(WHICH)}"
        entry.errors.append(BadInput(CODE, what, subject=entry.entry.path, hint=hint))
        return
    most = request.quantity if which == ["resource"] else 1
    if which != ["resource"] and request.quantity not in {None, 1}:
        hint = f"a {which[0]} is one device; leave count out"
        entry.errors.append(entry.entry.refused("count", f"must be 1 for a {which[0]}", hint=hint))
    elif most is not None and len(request.guests) > most:
        what = f"has {len(request.guests)} addresses for {most} device{'s' if most > 1 else ''}"
        entry.errors.append(entry.entry.refused(request.guest_key, what, hint="write one address a device"))


def _repeated(entries: tuple[Request | None, ...]) -> list[BadInput]:
    """Entries that ask for one and the same device."""
    first: dict[object, int] = {}
    errors = []
    for index, entry in enumerate(entries):
        which = entry and (entry.address or entry.device)
        if which and which in first:
            what = f"asks for {which}, as {DEVICES}[{first[which]}] does"
            errors.append(BadInput(CODE, what, subject=f"{DEVICES}[{index}]", hint="make one entry of both"))
        first.setdefault(which, index)
    return errors


def _attribute(row: Attribute) -> Callable[[JsonObject, str], str]:
    def read(entry: JsonObject, key: str) -> str:
        switch = _SWITCHES.get(row.legal)
        value = entry.fields[key]
        if switch and isinstance(value, bool):
            return switch[0] if value else switch[1]
        if row.legal == NUMBER:
            return str(entry.get_int(key, 1, 99999))
        text = entry.get_str(key) or ""
        if not re.fullmatch(row.legal, text, re.ASCII):
            words = " or ".join(f'"{word}"' for word in row.legal.split("|"))
            wanted = words if switch else f"text like {row.legal}"
            raise entry.wrong(key, wanted, hint=f"{key}: {row.meaning}")
        return text

    return read


def _count(entry: JsonObject, key: str) -> int | None:
    return entry.get_int(key, 1, MOST_DEVICES)


def _numa(entry: JsonObject, key: str) -> str:
    if isinstance(entry.fields[key], str):
        return match_pattern(NUMA, DEVICE_KEYS[key])(entry, key)
    return str(entry.get_int(key, 0, 9999))


def _address(entry: JsonObject, key: str) -> HostDevice | None:
    return entry.get_parsed(key, parse_host_device)


def _guests(entry: JsonObject, key: str) -> tuple[PciAddress, ...]:
    if isinstance(entry.fields[key], str):
        guest = entry.get_parsed(key, PciAddress.parse)
        return () if guest is None else (guest,)
    if not isinstance(entry.fields[key], list):
        raise entry.wrong(key, "an address, or a list of addresses")
    texts = entry.get_strings(key)
    if not texts:
        raise entry.refused(key, "is an empty list", hint=f"leave {key} out")
    return tuple(
        parse_text(text, PciAddress.parse, f"{entry.place(key)}[{index}]", CODE) for index, text in enumerate(texts)
    )


PREFIX = "passgate.dev/"
KNOWN: Mapping[str, str] = MappingProxyType(
    {
        DEVICES: "which devices",
        POLICY: "what to do about findings",
        BONDS: "interfaces that belong together",
        INTERFACES: "addresses of interfaces in the guest",
    }
)
"""Every annotation of ours, and what it is about."""


def check_names(vmi: Vmi) -> None:
    """Refuse an annotation that looks like ours and is none: without it the VM would start, and miss a device."""
    for name in sorted(vmi.annotations):
        if name.startswith(PREFIX) and name not in KNOWN:
            from hostdev.findings.spec import UNKNOWN_ANNOTATION  # noqa: PLC0415  only a mistake needs it

            place = vmi.at(f"metadata.annotations[{printable(name)}]")
            raise UNKNOWN_ANNOTATION.refused(place, "there is no such annotation", hint=did_you_mean(name, KNOWN))


def check_own_annotations(kind: str, annotations: Mapping[str, str]) -> None:
    """Refuse annotations of ours at a VM itself: KubeVirt makes the VMI of its template, and nothing reads them."""
    for name in sorted(annotations):
        if name.startswith(PREFIX):
            from hostdev.findings.spec import ANNOTATION_MISPLACED  # noqa: PLC0415  only a mistake needs it

            what = f"stands at the {kind}, where nothing reads it"
            raise ANNOTATION_MISPLACED.refused(f"metadata.annotations[{printable(name)}]", what)


def requests(vmi: Vmi) -> tuple[Request, ...] | None:
    """Read what the VM's author asks for; None: nothing is said, and everything that was allocated is meant."""
    text = vmi.annotations.get(DEVICES)
    if text is None:
        return None
    read = read_devices(text)
    if read.errors:
        raise read.errors[0]
    return tuple(request for request in read.entries if request is not None)


def policy(vmi: Vmi) -> Policy:
    """The findings that the VM's author accepts; none, unless it is said."""
    text = vmi.annotations.get(POLICY)
    if text is None:
        return Policy()
    read, errors = read_policy(text)
    if errors:
        raise errors[0]
    return read


def bonds(vmi: Vmi) -> tuple[Bond, ...]:
    """The interfaces that the VM's author wants to be one."""
    text = vmi.annotations.get(BONDS)
    if text is None:
        return ()
    read, errors = read_bonds(text)
    if errors:
        raise errors[0]
    return read


def interfaces(vmi: Vmi) -> tuple[GuestInterface, ...]:
    """The addresses that the VM's author gives to interfaces."""
    text = vmi.annotations.get(INTERFACES)
    if text is None:
        return ()
    read, errors = read_interfaces(text)
    if errors:
        raise errors[0]
    return read
