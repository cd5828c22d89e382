"""What is wanted: host devices that must be in the guest, each with a name that decides its place."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice


class GuestFunction(NamedTuple):
    """One host function, and the function it becomes in its guest slot."""

    device: HostDevice
    alias: str
    number: int = 0
    attributes: Mapping[str, str] = MappingProxyType({})
    renames: bool = False
    """An alias that the device has already gives way to this one."""

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"hostdev {self.alias}"


class GuestSlot(NamedTuple):
    """One guest slot: a device, or all functions of a host slot as one multifunction device."""

    name: str
    functions: tuple[GuestFunction, ...]
    guest: PciAddress | None = None
    """The address asked for; its function is the first member's."""
    node: int | None = None
    """The guest NUMA node to sit on."""

    def check(self) -> None:
        """Refuse functions that no guest device could have."""
        functions = [member.number for member in self.functions]
        if len(set(functions)) != len(functions) or (len(functions) > 1 and 0 not in functions):
            raise BadInput(
                "bad-functions",
                f"functions {functions} cannot form one guest device",
                subject=self.name,
                hint="a multifunction device needs distinct functions, and function 0 among them",
            )
        if self.guest is not None and self.guest.function != functions[0]:
            raise BadInput(
                "bad-functions",
                f"guest address {self.guest} is that of function {self.guest.function}, and the functions are "
                f"{functions}, of which the first is there",
                subject=self.name,
                hint=f"ask for {self.guest.with_function(functions[0])}",
            )

    def address_of(self, member: GuestFunction, slot: PciAddress) -> PciAddress:
        """Where a member sits when the wish sits in `slot`."""
        return slot.with_function(member.number)
