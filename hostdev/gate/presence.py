"""Is there a device at an address, and can libvirt say the address."""

from __future__ import annotations

from collections.abc import Iterator

from domxml.finding import Finding
from domxml.pciaddress import MAX_LIBVIRT_DOMAIN, PciAddress
from hostdev.catalogue.device import DEVICE_MISSING, DOMAIN_TOO_LARGE
from hostdev.gate import evidence, unread
from hostdev.machine import Machine, PciFunction


def find(machine: Machine, address: PciAddress) -> Iterator[Finding]:
    """What is wrong with an address before the device itself is looked at."""
    if address.domain > MAX_LIBVIRT_DOMAIN:
        yield DOMAIN_TOO_LARGE.found(str(address), f"domain {address.domain:x} does not fit into 16 bits")
    unseen = tuple(unread.of_device(machine, address))
    yield from unseen
    if address not in machine.functions and not unseen:
        near, hint = _near(machine, address)
        yield DEVICE_MISSING.found(
            str(address), f"no such host device{near}", hint=hint, evidence=(evidence.attribute(address, "", None),)
        )


def _near(machine: Machine, address: PciAddress) -> tuple[str, str | None]:
    """What is there instead, and a hint for it."""
    same_slot = [str(a) for a in sorted(machine.functions) if a.slot_address == address.slot_address]
    if same_slot:
        return f", in its slot there is {', '.join(same_slot)}", None
    idle = _pf_without_vfs(machine, address)
    if idle:
        vfs = f", but {idle.address} on its bus could have {idle.total_vfs} VFs and has none"
        return vfs, "if it was a VF, have the operator of the PF create its VFs again"
    elsewhere = [a for a in sorted(machine.functions) if _position(a) == _position(address)]
    return (f", did you mean {elsewhere[0]}" if elsewhere else ""), None


def _pf_without_vfs(machine: Machine, address: PciAddress) -> PciFunction | None:
    on_bus = (f for a, f in sorted(machine.functions.items()) if (a.domain, a.bus) == (address.domain, address.bus))
    return next((function for function in on_bus if function.total_vfs and not function.num_vfs), None)


def _position(address: PciAddress) -> tuple[int, int, int]:
    return address.bus, address.slot, address.function
