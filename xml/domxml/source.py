"""A device of the host: a PCI function or a mediated device."""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

from domxml.errors import BadInput
from domxml.pciaddress import PciAddress

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)

_MDEV_TYPE = re.compile(r"(?:nvidia|i915|mtty|mbochs|mdpy|vfio_ap|vfio_ccw|amdgpu|xe)-[A-Za-z0-9_]+", re.ASCII)
"""As drivers call them: their own name, and what they make."""


class Mdev(NamedTuple):
    """A mediated device, by its UUID in lower case."""

    uuid: str

    def __str__(self) -> str:
        return self.uuid

    @classmethod
    def parse(cls, text: str) -> Mdev:
        """Read a UUID in the form the kernel prints."""
        if not _UUID.fullmatch(text):
            raise BadInput(
                "bad-uuid", f"{text[:60]!r} is not the UUID of a mediated device", hint="see /sys/bus/mdev/devices"
            )
        return cls(text.lower())


HostDevice: TypeAlias = PciAddress | Mdev


def parse_host_device(text: str) -> HostDevice:
    """Read a device as a user names it: a PCI address or a mediated device's UUID."""
    if _MDEV_TYPE.fullmatch(text):
        raise BadInput(
            "bad-address",
            f"{text[:60]!r} is a type of mediated devices; a device has a UUID",
            hint="`mdevctl list` and `passgate node show PARENT` tell the UUIDs of those there are; "
            f"`mdevctl start -p PARENT -t {text[:60]}` makes one and prints its UUID",
        )
    return Mdev.parse(text) if text.count("-") == 4 else PciAddress.parse(text)
