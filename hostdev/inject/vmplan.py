"""From a VM and what was gathered for it to what is wanted: the annotations' requests, or everything that was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from domxml import alias as aliases
from domxml.document import Domain
from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.allocation.allocation import Gathered
from hostdev.findings.allocation import NETWORK_WITHOUT_DEVICE
from hostdev.inject.guards import guards
from hostdev.inject.plan import Injection, Options, Wanted, inject
from hostdev.vmi.annotations import policy, requests
from hostdev.vmi.request import Request
from hostdev.vmi.vmi import Vmi

if TYPE_CHECKING:
    from hostdev.inventory.machine import Machine


class Prepared(NamedTuple):
    """Ready to be injected."""

    wanted: Wanted
    options: Options
    vmi: Vmi | None = None
    findings: tuple[Finding, ...] = ()


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


def prepare(vmi: Vmi | None, extra: tuple[Request, ...], gathered: Gathered, options: Options) -> Prepared:
    """Without `passgate.dev/devices`, everything that was given is wanted; `extra` comes from a command line."""
    written = requests(vmi) if vmi is not None else None
    places: Mapping[str, PciAddress] = {}
    if vmi is not None:
        places = {interface.name: interface.guest for interface in vmi.interfaces if interface.guest is not None}
        options = options._replace(allowed=policy(vmi).allowed)
    wanted = Wanted((*(written or ()), *extra), written is None, gathered.allocations, places)
    return Prepared(wanted, options, vmi, gathered.findings)


def carry_out(domain: Domain, prepared: Prepared, machine: Machine | None) -> Injection:
    """Inject what was prepared; what is told includes what was noticed before, and what KubeVirt will not know."""
    if prepared.wanted.requests or prepared.wanted.allocations:
        refuse_doubt(prepared)
    injection = inject(domain, prepared.wanted, machine, prepared.options)
    ours = sum(aliases.is_ours(change.alias) for change in injection.result.changes)
    guarded = guards(prepared.vmi, ours) if prepared.vmi is not None else ()
    return injection._replace(findings=(*prepared.findings, *injection.findings, *guarded))


def refuse_doubt(prepared: Prepared) -> None:
    """Channels that contradict each other, cannot be read, or name no device do not say which device to give."""
    for finding in prepared.findings:
        doubtful = finding.severity is Severity.ERROR or _is_network_asked_for(finding, prepared)
        if doubtful and finding.code not in prepared.options.allowed:
            raise finding.refusal()


def _is_network_asked_for(finding: Finding, prepared: Prepared) -> bool:
    """Whether a request refers to a binding plugin's interface whose network has no device, perhaps not yet."""
    if finding.code != NETWORK_WITHOUT_DEVICE.code or prepared.vmi is None:
        return False
    plugged = {interface.name for interface in prepared.vmi.interfaces if interface.plugin}
    return finding.subject in plugged & {request.device for request in prepared.wanted.requests}
