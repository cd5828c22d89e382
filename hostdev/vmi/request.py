"""A request: one thing that the VM's author, or a command line, wants to see in the guest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice, parse_host_device
from domxml.text import did_you_mean
from hostdev.vmi.settings import NAMES, SETTINGS

FUNCTIONS = re.compile(r"one|all|[0-7](\+[0-7])*", re.ASCII)
NUMA = re.compile(r"host|[0-9]{1,4}", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9_-]{1,63}", re.ASCII)


class Request(NamedTuple):
    """One wish: the devices of a resource, a device of the VM's spec, or one host device said outright."""

    address: HostDevice | None = None
    """A host address or mediated device, said outright."""
    resource: str = ""
    """A device-plugin resource: whatever was allocated for it."""
    device: str = ""
    """A name in the VM's spec: the hostdev that KubeVirt made is enriched."""
    name: str = ""
    """Empty: the plan makes one, in an order that does not depend on host addresses being written anywhere."""
    quantity: int | None = None
    """How many devices must be there; None: all, and at least as many as `least`."""
    least: int = 1
    """What the limits of the VM promise, where they are known."""
    guests: tuple[PciAddress, ...] = ()
    """Guest addresses asked for, one a device."""
    guest_key: str = "guestAddress"
    """By which of its names they are asked for, for messages."""
    functions: str = "one"
    numa: str = ""
    attributes: Mapping[str, str] = MappingProxyType({})


def parse_device(spec: str, find: Callable[[str], HostDevice] = parse_host_device) -> Request:
    """Read `0000:3d:02.2[,name=…][,guest=…][,functions=all][,numa=host]…`, or the same with what else `find` knows."""
    head, request = split_settings(spec)
    return request._replace(address=find(head))


def split_settings(spec: str) -> tuple[str, Request]:
    """Read `WORD[,key=value]…`: the word as it stands, and what the settings ask for."""
    head, *settings = spec.removeprefix("address=").split(",")
    values: dict[str, str] = {}
    for setting in settings:
        written, equals, value = setting.partition("=")
        key = NAMES.get(written)
        if not equals:
            known = ", ".join(row.name for row in SETTINGS.values() if not row.which)
            raise _bad(spec, f"{setting[:40]!r} is not key=value", f"known: {known}")
        if key is None:
            names = [name for name, first in NAMES.items() if not SETTINGS[first].which]
            raise _bad(spec, f"there is no setting {written[:40]!r}", did_you_mean(written, names))
        if SETTINGS[key].which:
            hint = "one --device is one device of the host; a VM's annotations are read with --vmi"
            raise _bad(spec, f"{written} says which device is meant, and that stands at the beginning", hint)
        if key in values:
            raise _bad(spec, f"{key} is given twice", "give it once")
        if not value:
            raise _bad(spec, f"{written} has no value", f"{SETTINGS[key].meaning}: {SETTINGS[key].example}")
        values[key] = value
    return head, _request(spec, values)


def _request(spec: str, values: dict[str, str]) -> Request:
    guest = values.pop("guest", None)
    name = values.pop("name", "")
    functions = values.pop("functions", "one")
    numa = values.pop("numa", "")
    if name and not NAME.fullmatch(name):
        raise _bad(spec, f"name={name[:70]!r} is not possible", "libvirt keeps letters, digits, - and _ only")
    if not FUNCTIONS.fullmatch(functions):
        raise _bad(spec, f"functions={functions[:40]!r} is not possible", SETTINGS["functions"].meaning)
    if numa and not NUMA.fullmatch(numa):
        raise _bad(spec, f"numa={numa[:40]!r} is not possible", SETTINGS["numa"].meaning)
    guests = () if guest is None else (PciAddress.parse(guest),)
    return Request(name=name, guests=guests, functions=functions, numa=numa, attributes=values)


def _bad(spec: str, what: str, hint: str) -> BadInput:
    return BadInput("bad-device", what, subject=spec[:80], hint=hint)
