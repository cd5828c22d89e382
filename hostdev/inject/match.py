"""Match what is wanted to what was given: each request finds its devices, or is refused with what was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, cast

from domxml import alias as aliases
from domxml.document import DomainDevice
from domxml.errors import Refused
from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice, Mdev
from hostdev.findings.matching import ADDRESS_NOT_ALLOCATED, ALLOCATION_MISSING, ALLOCATION_SURPLUS, DEVICE_NOT_FOUND
from hostdev.vmi.request import Request

if TYPE_CHECKING:
    from hostdev.allocation.allocation import Allocation


class Match(NamedTuple):
    """One host device that goes to the guest, why it is this one, and what was asked of it."""

    device: HostDevice
    request: Request
    name: str
    """The request's name, or one made for the device; not yet unique."""
    guest: PciAddress | None = None
    resource: str = ""
    told_by: tuple[str, ...] = ()
    numa: int | None = None
    """The host's NUMA node, where who gave the device knows it."""


def match(  # noqa: PLR0913  what was asked, given and is there
    requests: Sequence[Request],
    allocations: Sequence[Allocation],
    held: Mapping[HostDevice, DomainDevice],
    guests: Mapping[str, PciAddress],
    *,
    everything: bool,
    claimed: Mapping[str, str] = MappingProxyType({}),
) -> tuple[list[Match], list[Finding]]:
    """Find the devices of every request; with `everything`, also all that was given and not asked for by name.

    `guests` are addresses that the VM's spec asks for, by the name of the interface; `claimed` are devices of the spec
    that come from a resource claim: the claim and its request, by the name of the device.
    """
    matcher = _Matcher(allocations, held, guests, claimed)
    # A request that says exactly which device it means goes first, wherever it stands in the list.
    turns = sorted(range(len(requests)), key=lambda turn: (not requests[turn].address, not requests[turn].device))
    found = {turn: matcher.of(requests[turn]) for turn in turns}
    matches = [one for turn in range(len(requests)) for one in found[turn]]
    if everything:
        matches += matcher.everything()
    return matches, matcher.findings


class _Matcher:
    """Hands out allocations; what one request has is not there for the next."""

    def __init__(
        self,
        allocations: Sequence[Allocation],
        held: Mapping[HostDevice, DomainDevice],
        guests: Mapping[str, PciAddress],
        claimed: Mapping[str, str],
    ) -> None:
        self.claimed = claimed
        self.given = [one for one in allocations if isinstance(one.device, PciAddress | Mdev)]
        self.held = held
        self.guests = guests
        self.by_alias = {holder.alias: source for source, holder in held.items() if holder.is_hostdev}
        self.taken: set[HostDevice] = set()
        self.findings: list[Finding] = []

    def everything(self) -> list[Match]:
        """Each device that reached us, unless KubeVirt has put it into the domain under a name of the VM's spec."""
        return [
            self._match(
                Request(resource=allocation.resource), allocation, allocation.label, self.guests.get(allocation.name)
            )
            for allocation in sorted(self.given, key=_by_device)
            if _source(allocation) not in self.taken and self._is_ours(_source(allocation))
        ]

    def _is_ours(self, source: HostDevice) -> bool:
        holder = self.held.get(source)
        return holder is None or aliases.is_ours(holder.alias)

    def of(self, request: Request) -> list[Match]:
        if request.address is not None:
            return [self._outright(request, request.address)]
        return [self._by_name(request)] if request.device else self._by_resource(request)

    def _outright(self, request: Request, address: HostDevice) -> Match:
        allocation = next((one for one in self.given if one.device == address), None)
        self.taken.add(address)
        guest = request.guests[0] if request.guests else None
        if allocation is not None:
            return self._match(request, allocation, request.name or allocation.label, guest)
        if self.given and address not in self.held:
            seen = ", ".join(str(one.device) for one in self.given)
            self.findings.append(ADDRESS_NOT_ALLOCATED.found(str(address), f"allocated to this pod are: {seen}"))
        return Match(address, request, request.name, guest, told_by=("named outright",))

    def _by_name(self, request: Request) -> Match:
        guest = request.guests[0] if request.guests else self.guests.get(request.device)
        for prefix in aliases.KUBEVIRT_PREFIXES:
            source = self.by_alias.get(prefix + request.device)
            if source is not None:
                self.taken.add(source)
                given = next((one for one in self.given if one.device == source), None)
                told = (
                    (given.resource, given.told_by, given.numa)
                    if given
                    else ("", (f"domain {prefix}{request.device}",))
                )
                return Match(source, request, request.name or request.device, guest, *told)
        allocation = next((one for one in self.given if one.name == request.device), None)
        if allocation is None:
            claim = self.claimed.get(request.device)
            of_claim = (
                f"; its spec takes it from the request {claim}, for which KubeVirt has put no device in"
                if claim
                else ""
            )
            what = f"the VM's domain has no host device of that name, and no channel names it{of_claim}"
            raise DEVICE_NOT_FOUND.refused(request.device, what, f"names there are: {self._names()}")
        return self._match(request, allocation, request.name or request.device, guest)

    def _names(self) -> str:
        prefixed = [(alias, prefix) for alias in self.by_alias for prefix in aliases.KUBEVIRT_PREFIXES]
        names = [alias.removeprefix(prefix) for alias, prefix in prefixed if alias.startswith(prefix)]
        return ", ".join(sorted({*names, *(one.name for one in self.given if one.name)})) or "none"

    def _by_resource(self, request: Request) -> list[Match]:
        exact = [one for one in self.given if one.resource == request.resource]
        family = [one for one in self.given if one.family and request.resource.startswith(f"{one.family}/")]
        found = [one for one in (exact or family) if _source(one) not in self.taken]
        wanted = request.quantity
        if len(found) < _least(request):
            raise self._too_few(request, found)
        if wanted is not None and len(found) > wanted:
            text = f"{len(found)} devices are there, {wanted} wanted; the first in the plugin's order are taken"
            self.findings.append(ALLOCATION_SURPLUS.found(request.resource, text))
            found = found[:wanted]
        name = request.name or aliases.name_from(request.resource)
        ordered = sorted(found, key=_by_device)
        guests = (*request.guests, *(None for _ in ordered))
        return [self._match(request, one, name, guest) for one, guest in zip(ordered, guests, strict=False)]

    def _too_few(self, request: Request, found: Sequence[Allocation]) -> Refused:
        seen = ", ".join(f"{one.device} ({one.told_by[0]})" for one in found) or "nothing"
        wanted = request.quantity or f"at least {_least(request)}"
        return ALLOCATION_MISSING.refused(request.resource, f"{wanted} wanted, allocated and seen: {seen}")

    def _match(self, request: Request, allocation: Allocation, name: str, guest: PciAddress | None = None) -> Match:
        source = _source(allocation)
        self.taken.add(source)
        resource = allocation.resource or request.resource
        return Match(source, request, aliases.name_from(name), guest, resource, allocation.told_by, allocation.numa)


def _least(request: Request) -> int:
    return request.quantity or max(request.least, len(request.guests))


def _source(allocation: Allocation) -> HostDevice:
    return cast("HostDevice", allocation.device)


def _by_device(allocation: Allocation) -> tuple[str, str]:
    return type(allocation.device).__name__, str(allocation.device)
