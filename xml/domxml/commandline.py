"""What <qemu:commandline> takes behind libvirt's back: host devices, and addresses in the guest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from domxml.document import Domain
from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice, parse_host_device
from domxml.text import printable

_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"
_ARGUMENTS = f"{_QEMU}commandline/{_QEMU}arg"
_BUS = re.compile(r"pcie?\.(\d{1,3})", re.ASCII)
_SLOT = re.compile(r"(?:0x)?([0-9a-f]{1,2})(?:\.([0-7]))?", re.ASCII | re.IGNORECASE)


class CommandLineDevice(NamedTuple):
    """One `-device` that libvirt hands to QEMU as it is."""

    driver: str
    device: HostDevice | None = None
    """What it takes of the host."""
    address: PciAddress | None = None
    """Where it sits, if that is written; QEMU puts the others into what is free in the end."""

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"-device {self.driver} of <qemu:commandline>"


def command_line_devices(domain: Domain) -> tuple[CommandLineDevice, ...]:
    """Every device of the command line."""
    return tuple(map(_device, _specifications(domain)))


def option_values(domain: Domain, name: str) -> Iterator[str]:
    """Every value that the command line gives an option."""
    option = ""
    for element in domain.root.iterfind(_ARGUMENTS):
        value = element.get("value", "")
        if option in {name, f"-{name}"}:
            yield value
            option = ""
        else:
            option = value


def _specifications(domain: Domain) -> Iterator[Mapping[str, str]]:
    yield from map(_settings, option_values(domain, "-device"))


def _settings(text: str) -> Mapping[str, str]:
    if text.lstrip().startswith("{"):
        import json  # noqa: PLC0415  few domains have such a device

        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
    driver, *others = text.replace(",,", "\0").split(",")
    pairs = (other.partition("=") for other in others)
    return {"driver": driver.removeprefix("driver=")} | {key: value.replace("\0", ",") for key, _, value in pairs}


def _device(settings: Mapping[str, str]) -> CommandLineDevice:
    path = settings.get("sysfsdev", "").rstrip("/").rpartition("/")[2]
    return CommandLineDevice(
        printable(settings.get("driver", ""), 40), _host_device(settings.get("host", path)), _where(settings)
    )


def _host_device(text: str) -> HostDevice | None:
    try:
        return parse_host_device(text) if text else None
    except BadInput:
        return None


def _where(settings: Mapping[str, str]) -> PciAddress | None:
    bus, slot = _BUS.fullmatch(settings.get("bus", "pci.0")), _SLOT.fullmatch(settings.get("addr", ""))
    if bus is None or slot is None or int(bus[1]) > 0xFF or int(slot[1], 16) > 0x1F:
        return None
    return PciAddress(0, int(bus[1]), int(slot[1], 16), int(slot[2] or 0))
