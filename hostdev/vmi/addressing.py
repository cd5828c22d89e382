"""What a guest's interface may be given: addresses, routes and name servers; `passgate.dev/interfaces` gives it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from domxml.errors import BadInput
from hostdev.jsontext import Format, parse_json
from hostdev.jsonutil import JsonObject, list_of_objects, show_value
from hostdev.vmi.entry import CODE, MAX_BYTES, Entry, match_pattern

INTERFACES = "passgate.dev/interfaces"
SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "addresses": "addresses with their prefix, such as 192.0.2.10/24",
        "dhcp4": "whether it gets an IPv4 address by DHCP",
        "dhcp6": "whether it gets an IPv6 address by DHCP",
        "mtu": "the size of its frames",
        "nameservers": "an object with addresses and search",
        "routes": "a list of objects with to, via and metric",
    }
)
KEYS: Mapping[str, str] = MappingProxyType(
    {
        "name": "an interface of the VM's spec",
        **SETTINGS,
        "metric": "a number: that of its routes, where they have none, and of those that DHCP brings",
    }
)
"""What an entry may hold, and what it means."""
NAMESERVERS: Mapping[str, str] = MappingProxyType({"addresses": "a list of addresses", "search": "a list of domains"})
ROUTE: Mapping[str, str] = MappingProxyType(
    {"to": "a network such as 198.51.100.0/24, or default", "via": "a gateway's address", "metric": "a number"}
)
MOST_INTERFACES = 256
MOST_METRIC = 0xFFFFFFFF
_DOMAIN = re.compile(r"[A-Za-z0-9_.-]{1,253}", re.ASCII)
_INTERFACE = re.compile(r"\S.{0,252}")


class GuestInterface(NamedTuple):
    """One interface, as the VM's author wants it in the guest."""

    place: str
    name: str
    """Its name in the VM's spec."""
    settings: Mapping[str, Any] = MappingProxyType({})
    """Addresses and the like, under netplan's names."""


def read_interfaces(text: str) -> tuple[tuple[GuestInterface, ...], tuple[BadInput, ...]]:
    """Read the annotation: the interfaces that can be read, and everything that is wrong with it."""
    try:
        entries = list_of_objects(parse_json(text, Format(INTERFACES, CODE, MAX_BYTES, INTERFACES)), INTERFACES, CODE)
    except BadInput as error:
        return (), (error,)
    if len(entries) > MOST_INTERFACES:
        what = f"has {len(entries)} entries, at most {MOST_INTERFACES} are read"
        return (), (BadInput(CODE, what, subject=INTERFACES),)
    errors: list[BadInput] = []
    found: dict[str, GuestInterface] = {}
    for entry in entries:
        one = _interface(Entry(entry, errors))
        if one is not None and one.name in found:
            what = f"is about {show_value(one.name)}, as {found[one.name].place} is"
            errors.append(BadInput(CODE, what, subject=one.place, hint="make one entry of both"))
        elif one is not None:
            found[one.name] = one
    return tuple(found.values()), tuple(errors)


def _interface(entry: Entry) -> GuestInterface | None:
    before = len(entry.errors)
    entry.check_keys(KEYS)
    if "name" not in entry.entry.fields:
        entry.errors.append(entry.entry.refused("name", "is missing", hint=f"name: {KEYS['name']}"))
    name = entry.take("name", match_pattern(_INTERFACE, "the name of an interface"), "")
    settings = read_settings(entry)
    metric = entry.take("metric", lambda one, key: one.get_int(key, 0, MOST_METRIC), None)
    if metric is not None and not {"routes", "dhcp4", "dhcp6"} & {key for key, value in settings.items() if value}:
        hint = "add routes, dhcp4 or dhcp6, or leave metric out"
        entry.errors.append(entry.entry.refused("metric", "is for routes, and there are none", hint=hint))
    elif metric is not None:
        settings = _with_metric(settings, metric)
    if not settings and len(entry.errors) == before:
        hint = f"write one of {', '.join(SETTINGS)}, or leave the entry out"
        entry.errors.append(BadInput(CODE, "asks for nothing", subject=entry.entry.path, hint=hint))
    return GuestInterface(entry.entry.path, name, MappingProxyType(settings)) if len(entry.errors) == before else None


def _with_metric(settings: Mapping[str, Any], metric: int) -> dict[str, Any]:
    """The metric as netplan has it: at each route, and at what DHCP brings."""
    found = dict(settings)
    if "routes" in found:
        found["routes"] = [{"metric": metric, **route} for route in found["routes"]]
    for dhcp in ("dhcp4", "dhcp6"):
        if found.get(dhcp):
            found[f"{dhcp}-overrides"] = {"route-metric": metric}
    return found


def read_settings(entry: Entry) -> dict[str, Any]:
    """Read what an entry says of addresses, under netplan's names; what is not said is left out."""
    addresses: list[str] = entry.take("addresses", _addresses, [])
    routes: list[dict[str, str | int]] = entry.take("routes", _routes(entry.errors), [])
    read: dict[str, Any] = {
        "dhcp4": entry.take("dhcp4", JsonObject.get_bool, None),
        "dhcp6": entry.take("dhcp6", JsonObject.get_bool, None),
        "addresses": addresses,
        "mtu": entry.take("mtu", lambda one, key: one.get_int(key, 68, 65535), None),
        "nameservers": _nameservers(entry),
        "routes": routes,
    }
    return {key: value for key, value in read.items() if value not in (None, [], {})}


def _addresses(entry: JsonObject, key: str) -> list[str]:
    for index, text in enumerate(entry.get_strings(key)):
        _check_address(text, f"{entry.place(key)}[{index}]", prefix=True)
    return list(entry.get_strings(key))


def _nameservers(entry: Entry) -> dict[str, list[str]]:
    given = Entry(entry.take("nameservers", JsonObject.get_object, JsonObject({}, "", CODE)), entry.errors)
    given.check_keys(NAMESERVERS)
    servers: list[str] = given.take("addresses", _servers, [])
    search: list[str] = given.take("search", _search, [])
    return {key: found for key, found in (("addresses", servers), ("search", search)) if found}


def _servers(entry: JsonObject, key: str) -> list[str]:
    for index, text in enumerate(entry.get_strings(key)):
        _check_address(text, f"{entry.place(key)}[{index}]", prefix=False)
    return list(entry.get_strings(key))


def _search(entry: JsonObject, key: str) -> list[str]:
    for index, text in enumerate(entry.get_strings(key)):
        if not _DOMAIN.fullmatch(text):
            place = f"{entry.place(key)}[{index}]"
            raise BadInput(
                CODE, f"must be a domain, is {show_value(text)}", subject=place, hint="write it as example.org"
            )
    return list(entry.get_strings(key))


def _routes(errors: list[BadInput]) -> Callable[[JsonObject, str], list[dict[str, str | int]]]:
    return lambda entry, key: [_route(Entry(route, errors)) for route in entry.get_objects(key)]


def _route(entry: Entry) -> dict[str, str | int]:
    entry.check_keys(ROUTE)
    for key in ("to", "via"):
        if key not in entry.entry.fields:
            entry.errors.append(entry.entry.refused(key, "is missing", hint=f"{key}: {ROUTE[key]}"))
    read = {
        "to": entry.take("to", _destination, ""),
        "via": entry.take("via", _gateway, ""),
        "metric": entry.take("metric", lambda one, key: one.get_int(key, 0, 0xFFFFFFFF), None),
    }
    return {key: value for key, value in read.items() if value is not None}


def _destination(entry: JsonObject, key: str) -> str:
    text = entry.get_str(key) or ""
    if text != "default":
        _check_address(text, entry.place(key), prefix=True)
    return text


def _gateway(entry: JsonObject, key: str) -> str:
    text = entry.get_str(key) or ""
    _check_address(text, entry.place(key), prefix=False)
    return text


def _check_address(text: str, place: str, *, prefix: bool) -> None:
    import ipaddress  # noqa: PLC0415  few bonds have addresses, and it costs a start 4 ms

    hint = "write it as 192.0.2.10/24 or 2001:db8::10/64" if prefix else "write it as 192.0.2.1 or 2001:db8::1"
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        found = None
    if found is None or ("/" in text) != prefix or "%" in text:
        what = "an address with its prefix" if prefix else "an address"
        raise BadInput(CODE, f"must be {what}, is {show_value(text)}", subject=place, hint=hint)
