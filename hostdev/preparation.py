"""From a VM and what was gathered for it to what is wanted: the annotations' requests, or everything that was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from hostdev.allocation.values import Gathered
from hostdev.injection import Options, Wanted
from hostdev.request import Request
from hostdev.vmi.annotations import policy, requests
from hostdev.vmi.vmi import Vmi


class Prepared(NamedTuple):
    """Ready to be injected."""

    wanted: Wanted
    options: Options
    findings: tuple[Finding, ...] = ()


def resources(vmi: Vmi | None, extra: Sequence[Request] = ()) -> Mapping[str, int | None]:
    """The resources whose variables to look for, with counts where they are known."""
    asked: dict[str, int | None] = {request.resource: request.count for request in extra if request.resource}
    if vmi is not None:
        for request in requests(vmi) or ():
            if request.resource:
                asked[request.resource] = request.count
        asked.update(vmi.asked)
    return asked


def prepare(vmi: Vmi | None, extra: tuple[Request, ...], gathered: Gathered, options: Options) -> Prepared:
    """Without `passgate.dev/devices`, everything that was given is wanted; `extra` comes from a command line."""
    written = requests(vmi) if vmi is not None else None
    places: Mapping[str, PciAddress] = {}
    if vmi is not None:
        places = {interface.name: interface.guest for interface in vmi.interfaces if interface.guest is not None}
        options = options._replace(allowed=policy(vmi).allowed)
    wanted = Wanted((*(written or ()), *extra), written is None, gathered.allocations, places)
    return Prepared(wanted, options, gathered.findings)
