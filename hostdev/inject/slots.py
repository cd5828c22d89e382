"""From matches to guest slots: names that are unique and stable, functions that belong together, guest NUMA nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from domxml import alias as aliases
from domxml import numa
from domxml.document import Domain, DomainDevice
from domxml.errors import Refused
from domxml.finding import Finding
from domxml.guestfindings import NUMA_NOT_POSSIBLE
from domxml.guestslot import GuestFunction, GuestSlot
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice, Mdev
from hostdev.inject.match import Match

if TYPE_CHECKING:
    # An offline run has no machine, and need not load it.
    from hostdev.inventory.machine import Machine

DEFAULT_NAME = "device"


def guest_slots(
    matches: Sequence[Match], domain: Domain, machine: Machine | None, given: frozenset[object]
) -> tuple[tuple[GuestSlot, ...], dict[str, Match], list[Finding]]:
    """Make the slots; also tell which match is behind each name. `given` is all that is known to be allocated."""
    findings: list[Finding] = []
    named = _named(_one_per_slot(matches), domain.host_devices)
    slots = tuple(_slot(name, one, domain, machine, given, findings) for name, one in named.items())
    return slots, named, findings


def _one_per_slot(matches: Sequence[Match]) -> list[Match]:
    """Devices of one request that are functions of one host slot and shall be one guest device: one speaks for all."""
    kept: list[Match] = []
    slots: set[tuple[int, PciAddress]] = set()
    for one in sorted(matches, key=lambda one: str(one.device)):
        if one.request.functions == "all" and isinstance(one.device, PciAddress):
            key = (id(one.request), one.device.slot_address)
            if key in slots:
                continue
            slots.add(key)
        kept.append(one)
    return kept


def _named(matches: Sequence[Match], held: Mapping[HostDevice, DomainDevice]) -> dict[str, Match]:
    """A name that several share is numbered, in the order of their sources, beside the names already there."""
    kept = {source: name for source, holder in held.items() if (name := _our_name(holder))}
    counts = Counter(one.name or DEFAULT_NAME for one in matches)
    taken = {name for source, name in kept.items() if source not in {one.device for one in matches}}
    named: dict[str, Match] = {}
    for one in matches:
        base = one.name or DEFAULT_NAME
        alone = counts[base] == 1 and base not in taken
        name = "" if one.request.name else kept.get(one.device, "")
        if not name or name in taken:
            name = base if alone else _numbered(base, taken)
        taken.add(name)
        named[name] = one
    return named


def _our_name(holder: DomainDevice) -> str:
    return holder.alias.removeprefix(aliases.PREFIX) if aliases.is_ours(holder.alias) else ""


def _numbered(base: str, taken: set[str]) -> str:
    return next(name for number in range(1, len(taken) + 2) if (name := f"{base}-{number}") not in taken)


def _slot(  # noqa: PLR0913, PLR0917  all that decides about a slot
    name: str,
    one: Match,
    domain: Domain,
    machine: Machine | None,
    given: frozenset[object],
    findings: list[Finding],
) -> GuestSlot:
    devices = _functions(name, one, machine, given)
    alone = len(devices) == 1
    functions = []
    for device in devices:
        number = device.function if not alone and isinstance(device, PciAddress) else 0
        if alone and one.guest is not None:
            number = one.guest.function
        speaks = device == one.device
        alias = aliases.alias_for(name if speaks else f"{name}-{number}")
        renames = speaks and bool(one.request.name) and one.request.address is not None
        functions.append(GuestFunction(device, alias, number, one.request.attributes if speaks else {}, renames))
    guest = one.guest
    if guest is not None and isinstance(one.device, PciAddress) and guest.function == one.device.function and not alone:
        guest = guest.slot_address
    return GuestSlot(name, tuple(functions), guest, _node(name, one, domain, machine, findings))


def _functions(name: str, one: Match, machine: Machine | None, given: frozenset[object]) -> tuple[HostDevice, ...]:
    """The host functions that make up the guest device."""
    functions, source = one.request.functions, one.device
    if functions == "one":
        return (source,)
    if isinstance(source, Mdev):
        raise Refused("functions-not-possible", "a mediated device has one function", subject=name, hint="leave it out")
    if functions != "all":
        numbers = sorted({*map(int, functions.split("+")), source.function})
        return tuple(source.with_function(number) for number in numbers)
    if machine is None:
        raise Refused(
            "functions-need-host",
            "functions=all asks which functions the host slot has, and no host was given",
            subject=str(source),
            hint="give --host, or write the functions out: functions=0+1",
        )
    function = machine.functions.get(source)
    if function is not None and function.physfn is not None:
        raise Refused(
            "functions-not-possible",
            "this is a virtual function: its neighbours in the slot are other devices",
            subject=str(source),
            hint="leave functions out; a VF is a whole device",
        )
    slot = source.slot_address
    same_slot = sorted(a for a, f in machine.functions.items() if a.slot_address == slot and not f.bridge)
    _check_companions(source, same_slot, machine, given)
    return tuple(same_slot) or (source,)


def _check_companions(
    source: PciAddress, functions: Sequence[PciAddress], machine: Machine, given: frozenset[object]
) -> None:
    """A function of another IOMMU group comes along only if the pod was given it: else QEMU could not open it."""
    group = machine.functions[source].group if source in machine.functions else None
    for function in functions:
        if given and function not in given and machine.functions[function].group != group:
            raise Refused(
                "companion-not-allocated",
                f"{function} is in another IOMMU group and was not allocated to this pod",
                subject=str(source),
                hint="request it too, or leave functions out",
            )


def _node(name: str, one: Match, domain: Domain, machine: Machine | None, findings: list[Finding]) -> int | None:
    wanted, source = one.request.numa, one.device
    if wanted != "host":
        return int(wanted) if wanted else None
    function = machine.functions.get(source) if machine and isinstance(source, PciAddress) else None
    # What the host itself shows goes before what a driver published.
    host_node = function.numa_node if function and function.numa_node is not None else one.numa
    if host_node is None:
        findings.append(NUMA_NOT_POSSIBLE.found(name, "the device's host node is not known"))
        return None
    node = numa.guest_node(domain, host_node, machine.node_cpus if machine else {})
    if node is None:
        reason = f"no guest node has its memory, or its CPUs, on host node {host_node} alone"
        findings.append(NUMA_NOT_POSSIBLE.found(name, reason))
    return node
