"""The core that joins it all: requests, allocations and the host's picture become domain XML. Pure, deterministic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from domxml.document import Domain
from domxml.finding import Finding
from domxml.guestslot import GuestSlot
from domxml.pciaddress import PciAddress
from domxml.transform import Transformed, transform
from domxml.version import OLDEST, LibvirtVersion
from hostdev.inject.match import Chosen, match
from hostdev.inject.slots import Named, wishes
from hostdev.vmi.request import Request

if TYPE_CHECKING:
    # An offline run has no machine, and need not load it.
    from hostdev.allocation.allocation import Allocation
    from hostdev.inventory.machine import Machine


class Injection(NamedTuple):
    """A domain with its devices in it, and everything that was noticed on the way."""

    result: Transformed
    findings: tuple[Finding, ...]
    origins: Mapping[str, Chosen]
    """Why each device is here, by the name of its wish."""


class Wanted(NamedTuple):
    """What shall be in the guest, and what was given for it."""

    requests: tuple[Request, ...] = ()
    everything: bool = False
    """Nobody said what is wanted: all that was allocated is."""
    allocations: tuple[Allocation, ...] = ()
    places: Mapping[str, PciAddress] = MappingProxyType({})
    """Guest addresses that the VM's spec itself asks for, by the name of the interface."""


class Options(NamedTuple):
    """How to go about it."""

    libvirt: LibvirtVersion = OLDEST
    prune: bool = False
    allowed: frozenset[str] = frozenset()
    """Findings of the gate that the VM's author takes upon himself; they are told all the same."""


def inject(domain: Domain, wanted: Wanted, machine: Machine | None, options: Options = Options()) -> Injection:  # noqa: B008
    """Put the wanted devices into the domain; without a machine nothing of the host is known, or checked."""
    held = domain.host_devices
    matched = match(wanted.requests, wanted.allocations, held, wanted.places, everything=wanted.everything)
    given = frozenset(one.device for one in wanted.allocations)
    wished, named, findings = wishes(matched.chosen, domain, held, machine, given)
    gate = _gate(machine, wished, options.allowed) if machine is not None and wished else ()
    result = transform(domain, wished, libvirt=options.libvirt, prune=options.prune)
    return Injection(result, (*matched.findings, *findings, *gate, *result.findings), _origins(named))


def _origins(named: Sequence[Named]) -> dict[str, Chosen]:
    return {one.name: one.chosen for one in named}


def _gate(machine: Machine, wished: Sequence[GuestSlot], allowed: frozenset[str]) -> tuple[Finding, ...]:
    from hostdev.gate.check import enforce  # noqa: PLC0415  an offline run has no gate

    return enforce(machine, (member.device for wish in wished for member in wish.functions), allowed=allowed)
