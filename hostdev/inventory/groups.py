"""IOMMU groups: who is in them, and what the kernel says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from domxml.pciaddress import PciAddress
from hostdev.host import Host
from hostdev.inventory.addresses import Addresses
from hostdev.inventory.platform import GROUPS
from hostdev.machine import IommuGroup, PciFunction, ReservedRegion


def read_group(host: Host, addresses: Addresses, group: int) -> IommuGroup | None:
    """One group, read in full; None if it is not there."""
    directory = f"{GROUPS}/{group}"
    names = host.names(f"{directory}/devices")
    if names is None:
        return None
    members = {name: addresses.of(name) for name in names}
    return IommuGroup(
        group,
        tuple(sorted(address for address in members.values() if address is not None)),
        tuple(name for name, address in members.items() if address is None),
        host.read(f"{directory}/type"),
        host.read(f"{directory}/name"),
        tuple(_regions(host, f"{directory}/reserved_regions")),
    )


def each_group(host: Host, addresses: Addresses, functions: Mapping[PciAddress, PciFunction]) -> dict[int, IommuGroup]:
    """All groups of the host; of the groups that VFs of one PF have to themselves, the first is read in full."""
    linked: dict[int | None, list[PciFunction]] = {}
    for function in functions.values():
        linked.setdefault(function.group, []).append(function)
    found: dict[int, IommuGroup] = {}
    first: dict[PciAddress, IommuGroup] = {}
    for group_number in sorted(int(name) for name in host.names(GROUPS) or () if name.isdecimal()):
        members = linked.get(group_number, [])
        pf = members[0].physfn if len(members) == 1 else None
        alike = first.get(pf) if pf else None
        if alike:
            lone = (members[0].address,)
            found[group_number] = IommuGroup(group_number, lone, (), alike.type, alike.name, alike.reserved)
            continue
        group = read_group(host, addresses, group_number)
        if group is not None:
            found[group_number] = group
            if pf is not None:
                first[pf] = group
    return found


def _regions(host: Host, file: str) -> Iterator[ReservedRegion]:
    for line in (host.read(file) or "").splitlines():
        try:
            start, end, kind = line.split()
            yield ReservedRegion(int(start, 16), int(end, 16), kind)
        except ValueError:
            host.tell(file, f"not a region: {line!r}")
