"""What NodeState files offer, beside what the KubeVirt object permits and what VMs ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from domxml.finding import Finding, Severity
from domxml.text import did_you_mean, listed, nearest
from hostdev.findings.allocation import RESOURCE_NAME_AMBIGUOUS
from hostdev.findings.permitted import OFFER_NOT_PERMITTED, OFFER_SHARED, OFFER_TAKEN, PERMITTED_NOT_OFFERED
from hostdev.kubelet.resourcename import variable_name
from hostdev.lint.admission.rule import at
from hostdev.lint.neighbours import Neighbours
from hostdev.lint.objects import Object
from hostdev.lint.rendering import Unknown
from hostdev.lint.results import Result

_LIST = "spec.configuration.permittedHostDevices"
_KEYS = ("pciHostDevices", "mediatedDevices", "usb")


class Offered(NamedTuple):
    """A resource that a NodeState offers, and where that stands."""

    resource: str
    place: str
    state: str
    """The name of the NodeState."""
    ids: str = ""
    """The vendor and device that it means, where it says so."""
    by_claim: bool = False
    """Handed out by resource claims, and not by the agent's device plugin."""
    file: str = ""
    line: int = 0
    column: int = 0


class Permitted(NamedTuple):
    """An entry of permittedHostDevices."""

    resource: str
    place: str
    selector: str
    is_external: bool


def offers_of(state: Mapping[str, Any]) -> Iterator[Offered]:
    """The resources of one NodeState."""
    name = at(state, "metadata.name")
    entries = at(state, "spec.offer")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, Mapping) and isinstance(entry.get("resource"), str):
            place, ids = f"spec.offer[{index}].resource", at(entry, "match.id")
            by_claim = entry.get("by") == "claim"
            yield Offered(entry["resource"], place, _text(name), _text(ids).lower(), by_claim)


def permitted_findings(beside: Neighbours, offered: Sequence[Offered]) -> Iterator[tuple[Object, Finding]]:
    """What is wrong with entries of permittedHostDevices, each with its object."""
    for kubevirt in beside.of_kind("KubeVirt") if offered else ():
        for one in permitted_entries(kubevirt):
            found = _external(one, offered) if one.is_external else _kubevirts_own(one, offered)
            yield from ((kubevirt, finding) for finding in found)


def _kubevirts_own(one: Permitted, offered: Sequence[Offered]) -> Iterator[Finding]:
    """An entry for which KubeVirt starts a plugin where devices fit."""
    named = next((other for other in offered if other.resource == one.resource), None)
    alike = next((other for other in offered if other.ids and other.ids == one.selector.lower()), None)
    if named:
        what = (
            f"{one.resource} is offered by {named_state(named)}, and this entry leaves it to KubeVirt's own plugin, on "
            f"each node where {one.selector} is bound to vfio-pci"
        )
        yield OFFER_TAKEN.found(one.place, what)
    elif alike:
        what = (
            f"{one.selector} is {one.resource} by KubeVirt's own plugin, and {alike.resource} by {named_state(alike)}"
        )
        yield OFFER_SHARED.found(one.place, what)


def _external(one: Permitted, offered: Sequence[Offered]) -> Iterator[Finding]:
    names = sorted({other.resource for other in offered})
    if one.resource not in names:
        what = f"{one.resource} is of another provider, and no NodeState among the files offers it"
        hint = did_you_mean(one.resource, names) if nearest(one.resource, names) else None
        yield PERMITTED_NOT_OFFERED.found(one.place, what, hint=hint)


def offer_results(beside: Neighbours, offered: Sequence[Offered]) -> Iterator[Result]:
    """What is wrong with what NodeStates offer, at the places there."""
    # What is asked for by a claim, KubeVirt does not look up in its list.
    yield from not_permitted(beside, [one for one in offered if not one.by_claim])
    yield from _alike(offered)


def not_permitted(beside: Neighbours, offered: Sequence[Offered]) -> Iterator[Result]:
    """Those of them that VMs shall ask for by name, and may not."""
    configuration = beside.kubevirt
    if configuration is None:
        return
    has_list = "permittedHostDevices" in configuration
    (kubevirt,) = beside.of_kind("KubeVirt")
    permitted = {one.resource for one in permitted_entries(kubevirt)}
    for one in offered:
        if one.resource not in permitted:
            what = f"the KubeVirt CR among the files does not list {one.resource} under permittedHostDevices"
            severity = None if has_list else Severity.INFO
            yield offer_result(one, OFFER_NOT_PERMITTED.found(one.place, what, severity=severity))


def _alike(offered: Sequence[Offered]) -> Iterator[Result]:
    """Two resources of which a VM could not have both: kubelet keeps one value of a variable."""
    for one, others in _sharing(offered):
        what = (
            f"{one.resource} and {listed(others)} are one variable, {variable_name(one.resource)}: no VM can have both"
        )
        yield offer_result(one, RESOURCE_NAME_AMBIGUOUS.found(one.place, what, hint="rename one of the two"))


def _sharing(offered: Sequence[Offered]) -> Iterator[tuple[Offered, list[str]]]:
    for index, one in enumerate(offered):
        before = dict.fromkeys(other.resource for other in offered[:index])
        if one.resource not in before and (others := same_variable(one.resource, before)):
            yield one, others


def same_variable(resource: str, others: Iterable[str]) -> list[str]:
    """Those of another name whose devices come in the same variable."""
    return [one for one in others if one != resource and variable_name(one) == variable_name(resource)]


def permitted_entries(kubevirt: Object) -> Iterator[Permitted]:
    """The rows of its list that name a resource."""
    for key in _KEYS:
        rows = at(kubevirt.value, f"{_LIST}.{key}")
        for index, row in enumerate(rows if isinstance(rows, list) else ()):
            name = row.get("resourceName") if isinstance(row, Mapping) else None
            if isinstance(name, str) and not isinstance(name, Unknown):
                selector = row.get("pciVendorSelector") or row.get("mdevNameSelector") or "a device"
                is_external = row.get("externalResourceProvider") is True
                yield Permitted(name, f"{_LIST}.{key}[{index}]", str(selector), is_external)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def named_state(one: Offered) -> str:
    """The NodeState, as sentences name it."""
    return f"the NodeState {one.state}" if one.state else "a NodeState"


def offer_result(one: Offered, finding: Finding) -> Result:
    """A finding about an offer, at its place."""
    return Result(finding, one.file, one.line, one.column, "NodeState", "", one.state)
