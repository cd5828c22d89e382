"""The core that joins the two: requests and the host's picture become wishes, and wishes become domain XML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from domxml import alias as aliases
from domxml.document import Domain
from domxml.errors import Refused
from domxml.finding import Finding, Severity
from domxml.findings import NUMA_NOT_POSSIBLE
from domxml.pciaddress import PciAddress
from domxml.source import Mdev, Source, holders
from domxml.transform import Transformed, transform
from domxml.version import OLDEST, LibvirtVersion
from domxml.wish import Member, Wish
from hostdev import numa
from hostdev.request import Request

if TYPE_CHECKING:
    # A third of the start of an offline run, which has no machine.
    from hostdev.machine import Machine

DEFAULT_NAME = "device"


class Injection(NamedTuple):
    """A domain with its devices in it, and everything that was noticed on the way."""

    result: Transformed
    findings: tuple[Finding, ...]


def inject(
    domain: Domain,
    requests: Sequence[Request],
    machine: Machine | None,
    *,
    libvirt: LibvirtVersion = OLDEST,
    prune: bool = False,
) -> Injection:
    """Put the requested devices into the domain; without a machine nothing of the host is known, or checked."""
    named = _named(requests, domain)
    findings: list[Finding] = []
    wishes = [_wish(name, request, domain, machine, findings) for name, request in named]
    if machine is not None:
        findings += _gate(machine, [member.source for wish in wishes for member in wish.members])
    result = transform(domain, wishes, libvirt=libvirt, prune=prune)
    return Injection(result, (*findings, *result.findings))


def _gate(machine: Machine, sources: Sequence[Source]) -> tuple[Finding, ...]:
    """Refuse for the first error; the rest is told."""
    from hostdev.gate import check  # noqa: PLC0415  an offline run has no gate

    addresses = [source for source in sources if isinstance(source, PciAddress)]
    mdevs = [source.uuid for source in sources if isinstance(source, Mdev)]
    findings = check(machine, addresses, mdevs=mdevs)
    for finding in findings:
        if finding.severity is Severity.ERROR:
            raise Refused(finding.code, finding.message, subject=finding.subject, hint=finding.hint)
    return findings


def _named(requests: Sequence[Request], domain: Domain) -> list[tuple[str, Request]]:
    """Give every request a name. Unnamed ones are numbered, in the order of their sources, beside what is there."""
    unnamed = sorted((r for r in requests if not r.name), key=lambda request: str(request.address))
    held = holders(domain) if unnamed else {}
    kept: dict[Source, str] = {}
    taken = {request.name for request in requests if request.name}
    for source, holder in held.items():
        found = holder.element.find("alias")
        alias = "" if found is None else found.get("name", "")
        if aliases.is_ours(alias):
            kept[source] = alias.removeprefix(aliases.PREFIX)
            taken.add(kept[source])
    named = [(request.name, request) for request in requests if request.name]
    for request in unnamed:
        name = kept.get(request.address) or _free_name(taken, alone=len(unnamed) == 1)
        taken.add(name)
        named.append((name, request))
    return named


def _free_name(taken: set[str], *, alone: bool) -> str:
    if alone and DEFAULT_NAME not in taken:
        return DEFAULT_NAME
    return next(name for number in range(1, len(taken) + 2) if (name := f"{DEFAULT_NAME}-{number}") not in taken)


def _wish(name: str, request: Request, domain: Domain, machine: Machine | None, findings: list[Finding]) -> Wish:
    sources = _functions(name, request, machine)
    members = []
    for source in sources:
        function = source.function if len(sources) > 1 and isinstance(source, PciAddress) else 0
        if len(sources) == 1 and request.guest is not None:
            function = request.guest.function
        alias = aliases.alias_for(name if source == request.address else f"{name}-{function}")
        members.append(Member(source, alias, function, request.attributes if source == request.address else {}))
    guest = request.guest if len(sources) == 1 or request.guest is None else request.guest.slot_address
    return Wish(name, tuple(members), guest, _node(name, request, domain, machine, findings))


def _functions(name: str, request: Request, machine: Machine | None) -> tuple[Source, ...]:
    """The host functions that make up the guest device, function 0 first."""
    address = request.address
    if request.functions == "one":
        return (address,)
    if isinstance(address, Mdev):
        raise Refused("functions-not-possible", "a mediated device has one function", subject=name, hint="leave it out")
    if request.functions != "all":
        numbers = sorted({*map(int, request.functions.split("+")), address.function})
        return tuple(address.with_function(number) for number in numbers)
    if machine is None:
        raise Refused(
            "functions-need-host",
            "functions=all asks which functions the host slot has, and no host was given",
            subject=str(address),
            hint="give --host, or write the functions out: functions=0+1",
        )
    function = machine.functions.get(address)
    if function is not None and function.physfn is not None:
        raise Refused(
            "functions-not-possible",
            "this is a virtual function: its neighbours in the slot are other devices",
            subject=str(address),
            hint="leave functions out; a VF is a whole device",
        )
    slot = address.slot_address
    return tuple(
        sorted(a for a, f in machine.functions.items() if a.slot_address == slot and not f.bridge)
    ) or (address,)


def _node(
    name: str, request: Request, domain: Domain, machine: Machine | None, findings: list[Finding]
) -> int | None:
    if request.numa != "host":
        return int(request.numa) if request.numa else None
    function = machine.functions.get(request.address) if machine and isinstance(request.address, PciAddress) else None
    if function is None or function.numa_node is None:
        findings.append(NUMA_NOT_POSSIBLE.found(name, "the device's host node is not known"))
        return None
    node = numa.guest_node(domain, function.numa_node)
    if node is None:
        reason = f"no guest node has its memory on host node {function.numa_node} alone"
        findings.append(NUMA_NOT_POSSIBLE.found(name, reason))
    return node
