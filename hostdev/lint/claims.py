"""Classes, claims and templates of them beside the VMs and NodeStates: what of them does not meet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from domxml.finding import Finding, Severity
from domxml.text import did_you_mean, nearest
from hostdev.claims.devices import resource_value
from hostdev.findings.claimobjects import (
    CLAIMS_BY_RELEASE,
    CLASS_NOT_OFFERED,
    CLASS_UNKNOWN,
    EXTENDED_NAME_DOUBLED,
    EXTENDED_NAME_MISSING,
    EXTENDED_NAME_OF_PLUGIN,
    OFFER_WITHOUT_CLASS,
    PERMITTED_NOT_NEEDED,
    REQUEST_NOT_ONE_DEVICE,
    REQUEST_UNKNOWN,
)
from hostdev.kubelet.resourcename import DRIVER
from hostdev.lint.admission.releases import NAMES, Cluster, shown
from hostdev.lint.admission.rule import at, each
from hostdev.lint.neighbours import Neighbours
from hostdev.lint.objects import Object
from hostdev.lint.offers import Offered, named_state, not_permitted, offer_result, permitted_entries
from hostdev.lint.rendering import Unknown
from hostdev.lint.results import Result
from hostdev.vmi.vmi import TEMPLATES

_RESOURCE = re.compile(
    rf"""\[\s*["']{re.escape(DRIVER)}["']\s*\]\s*\.\s*resource\s*==\s*["']([^"']*)["']"""
    rf"""|["']([^"']*)["']\s*==\s*device\s*\.\s*attributes\s*\[\s*["']{re.escape(DRIVER)}["']\s*\]\s*\.\s*resource"""
)
"""An expression of CEL that compares the attribute with a text; of others it is not known what they select."""
_SPECS = {"ResourceClaim": "spec", "ResourceClaimTemplate": "spec.spec"}
_REFERENCES = {"ResourceClaim": "resourceClaimName", "ResourceClaimTemplate": "resourceClaimTemplateName"}
"""How an entry of `resourceClaims` names one."""
_DEVICES = ("domain.devices.gpus", "domain.devices.hostDevices")
_FIRST_READER = NAMES.index("1.8")
"""But for 1.8.0, which looks elsewhere."""

Told = Iterator[tuple[Object, Finding]]


class _Class(NamedTuple):
    """A DeviceClass, as far as its selectors can be read."""

    object: Object
    is_ours: bool
    resources: frozenset[str]
    """What its selectors compare the attribute with; of ours with none it is not known."""
    extended: str
    text: str
    """Its expressions."""


class _Asked(NamedTuple):
    """A device of a VM that comes from a claim."""

    place: str
    claim: str
    request: str


class Claims:
    """The classes, the claims and the offers of a run."""

    def __init__(self, beside: Neighbours, offered: Sequence[Offered]) -> None:
        self._beside = beside
        self._classes = [_read_class(one) for one in beside.of_kind("DeviceClass")]
        self._offered = [one for one in offered if one.by_claim]
        self._by_plugin = {one.resource: one for one in offered if not one.by_claim}
        self._extended_names = {one.extended for one in self._classes}
        self._asked_by_name: set[str] = set()

    def class_findings(self) -> Told:
        """What is wrong with classes, and with the claims that name them."""
        names = sorted({one.resource for one in self._offered})
        values = set(map(resource_value, names))
        for one in self._classes:
            strange = sorted(one.resources - values) if names else ()
            for resource in strange:
                near = nearest(resource, names)
                hint = did_you_mean(resource, names) if near else None
                what = f"it selects {resource}, which no NodeState among the files offers by claim"
                yield one.object, CLASS_NOT_OFFERED.found("spec.selectors", what, hint=hint)
        yield from self._doubled()
        yield from self._not_needed()
        yield from self._unknown_classes()

    def _doubled(self) -> Told:
        first: dict[str, _Class] = {}
        for one in self._classes:
            other = first.setdefault(one.extended, one)
            if one.extended and other is not one:
                what = f"{other.object.name} has the name {one.extended} too"
                yield one.object, EXTENDED_NAME_DOUBLED.found("spec.extendedResourceName", what)
            plugin = self._by_plugin.get(one.extended)
            if plugin is not None:
                what = f"{named_state(plugin)} offers {one.extended} by a device plugin"
                yield one.object, EXTENDED_NAME_OF_PLUGIN.found("spec.extendedResourceName", what)

    def _not_needed(self) -> Told:
        """Entries of KubeVirt's list under whose name nothing is counted."""
        alone = {one.resource for one in self._offered} - self._by_plugin.keys() - self._extended_names
        for kubevirt in self._beside.of_kind("KubeVirt") if self._classes else ():
            for entry in permitted_entries(kubevirt):
                if entry.is_external and entry.resource in alone:
                    what = f"{entry.resource} is offered by claim, and no class has it as extendedResourceName"
                    yield kubevirt, PERMITTED_NOT_NEEDED.found(entry.place, what)

    def _unknown_classes(self) -> Told:
        names = sorted({one.object.name for one in self._classes})
        for claim in self._beside.of_kind(*_SPECS):
            for place, request in _exact_requests(claim):
                name = request.get("deviceClassName")
                if isinstance(name, str) and not isinstance(name, Unknown) and name not in names:
                    near = nearest(name, names)
                    if near:
                        what = f"no DeviceClass among the files is named {name}"
                        hint = f"did you mean {near}?"
                        yield claim, CLASS_UNKNOWN.found(f"{place}.deviceClassName", what, hint=hint)

    def offer_results(self) -> Iterator[Result]:
        """What is offered by claim, and no class means, or no VM may ask for as it does.

        To be called when the VMs have been looked at.
        """
        yield from not_permitted(self._beside, [one for one in self._offered if one.resource in self._asked_by_name])
        if not self._classes or any(one.is_ours and not one.resources for one in self._classes):
            return
        for one in self._offered:
            # However it stands there: selectors may be written in many ways, and a driver may have another name.
            if not any(resource_value(one.resource) in known.text for known in self._classes):
                what = f"no DeviceClass among the files selects {one.resource}"
                yield offer_result(one, OFFER_WITHOUT_CLASS.found(one.place, what))

    def vm_findings(self, vm: Object, cluster: Cluster) -> Iterator[Finding]:
        """What is wrong with the claims of a VM."""
        path = ".".join((*TEMPLATES.get(vm.kind, ()), "spec"))
        spec, prefix = at(vm.value, path), f"{path}."
        ours = []
        for asked in _asked(spec):
            claim = self._claim(vm, spec, asked.claim)
            if claim is None:
                continue
            yield from _of_request(prefix, asked, claim)
            if self._is_ours(claim, asked.request):
                ours.append(asked)
        yield from _by_release(prefix, ours, cluster)
        yield from self._by_name(prefix, spec)

    def _claim(self, vm: Object, spec: Any, name: str) -> Object | None:
        meant = (one for _, one in each(spec, "resourceClaims") if one.get("name") == name)
        wanted = ((kind, one.get(key)) for one in meant for kind, key in _REFERENCES.items() if one.get(key))
        found = (
            claim
            for kind, called in wanted
            for claim in self._beside.of_kind(kind)
            if claim.name == called and claim.namespace in {"", vm.namespace or claim.namespace}
        )
        return next(found, None)

    def _is_ours(self, claim: Object, request: str) -> bool:
        names = [one.object.name for one in self._classes if one.is_ours]
        wanted = (one for _, one in _exact_requests(claim, request))
        return any(one.get("deviceClassName") in names for one in wanted)

    def _by_name(self, prefix: str, spec: Any) -> Iterator[Finding]:
        """Resources that are asked for by their names, and that nothing has under these."""
        by_claim = {one.resource for one in self._offered} - self._by_plugin.keys()
        places = [
            (f"{place}.deviceName", one.get("deviceName")) for path in _DEVICES for place, one in each(spec, path)
        ]
        limits = at(spec, "domain.resources.limits")
        places += [("domain.resources.limits", name) for name in limits] if isinstance(limits, Mapping) else []
        for place, name in places:
            if not isinstance(name, str) or name not in by_claim:
                continue
            self._asked_by_name.add(name)
            if self._classes and name not in self._extended_names:
                what = f"{name} is offered by claim, and no DeviceClass among the files has it as extendedResourceName"
                yield EXTENDED_NAME_MISSING.found(f"{prefix}{place}", what)


def _read_class(one: Object) -> _Class:
    expressions = [at(selector, "cel.expression") for _, selector in each(one.value, "spec.selectors")]
    texts = [text for text in expressions if isinstance(text, str)]
    resources = frozenset(match[1] or match[2] for text in texts for match in _RESOURCE.finditer(text))
    extended = at(one.value, "spec.extendedResourceName")
    known = isinstance(extended, str) and not isinstance(extended, Unknown)
    return _Class(one, any(DRIVER in text for text in texts), resources, extended if known else "", "\n".join(texts))


def _asked(spec: Any) -> Iterator[_Asked]:
    for path in _DEVICES:
        for place, device in each(spec, path):
            claim, request = device.get("claimName"), device.get("requestName")
            if isinstance(claim, str) and isinstance(request, str):
                yield _Asked(place, claim, request)


def _requests(claim: Object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from each(claim.value, f"{_SPECS[claim.kind]}.devices.requests")


def _exact_requests(claim: Object, name: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What each request asks for, of a prioritized list each alternative; before v1 it stood in the request itself."""
    for place, request in _requests(claim):
        if name and request.get("name") != name:
            continue
        alternatives = list(each(request, "firstAvailable"))
        if alternatives:
            yield from ((f"{place}.{inner}", one) for inner, one in alternatives)
        elif isinstance(request.get("exactly"), dict):
            yield f"{place}.exactly", request["exactly"]
        else:
            yield place, request


def _of_request(prefix: str, asked: _Asked, claim: Object) -> Iterator[Finding]:
    names = [str(one.get("name")) for _, one in _requests(claim)]
    if asked.request not in names:
        what = f"{claim} has no request named {asked.request}"
        hint = did_you_mean(asked.request, names) if names else None
        yield REQUEST_UNKNOWN.found(f"{prefix}{asked.place}.requestName", what, hint=hint)
    for place, one in _exact_requests(claim, asked.request):
        if ".firstAvailable[" in place:
            what = f"the request {asked.request} of {claim} is a list of alternatives, which KubeVirt finds by no name"
            yield REQUEST_NOT_ONE_DEVICE.found(f"{prefix}{asked.place}.requestName", what)
            return
        count, mode = one.get("count", 1), one.get("allocationMode")
        if mode == "All" or (isinstance(count, int) and count > 1):
            brings = "all devices there are" if mode == "All" else f"{count} devices"
            what = f"the request {asked.request} of {claim} brings {brings} ({place})"
            yield REQUEST_NOT_ONE_DEVICE.found(f"{prefix}{asked.place}.requestName", what)


def _by_release(prefix: str, ours: Sequence[_Asked], cluster: Cluster) -> Iterator[Finding]:
    blind = [release for release in cluster.releases if release < _FIRST_READER]
    half = _FIRST_READER in cluster.releases
    if not ours or not (blind or half):
        return
    who = " and ".join((*((shown(blind),) if blind else ()), *(("KubeVirt 1.8.0",) if half else ())))
    sees = [release for release in cluster.releases if release >= _FIRST_READER]
    severity = None if sees else Severity.ERROR
    verb = "do" if blind and half else "does"
    what = f"{who} {verb} not find the device of {ours[0].claim}/{ours[0].request}"
    yield CLAIMS_BY_RELEASE.found(f"{prefix}{ours[0].place}", what, severity=severity)
