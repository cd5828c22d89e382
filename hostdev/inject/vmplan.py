"""From a VM and what was gathered for it to the inputs of its plan: what is asked for, or all that was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hostdev.allocation.allocation import Gathered
from hostdev.inject.plan import Inputs
from hostdev.vmi.annotations import policy, requests
from hostdev.vmi.request import Request
from hostdev.vmi.vmi import Vmi


def resources(vmi: Vmi | None, extra: Sequence[Request] = ()) -> Mapping[str, int | None]:
    """The resources whose variables to look for, with counts where they are known."""
    asked: dict[str, int | None] = {request.resource: request.quantity for request in extra if request.resource}
    if vmi is not None:
        for request in requests(vmi) or ():
            if request.resource:
                asked[request.resource] = request.quantity
        asked.update(vmi.asked)
    return asked


def waits_for_file(vmi: Vmi) -> bool:
    """Whether the VM wants devices that only an allocation file, or the environment, can name."""
    written = requests(vmi)
    return bool(vmi.limits) if written is None else any(request.resource for request in written)


def vm_inputs(vmi: Vmi | None, named: tuple[Request, ...], gathered: Gathered) -> Inputs:
    """What a VM asks for, and was given; `named` comes from a command line."""
    if vmi is None:
        return Inputs(None, named, gathered.allocations, findings=gathered.findings)
    guests = {interface.name: interface.guest for interface in vmi.interfaces if interface.guest is not None}
    return Inputs(requests(vmi), named, gathered.allocations, guests, vmi, gathered.findings, policy(vmi).allowed)
