"""SR-IOV policies, networks and claims beside the VMs, and the KubeVirt CR: what of them does not meet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from domxml.finding import Finding, FindingKind
from domxml.text import did_you_mean, listed, nearest
from hostdev.findings.sriovobjects import (
    CLAIMED_TWICE,
    GATE_MISSPELT,
    IPAM_UNUSED,
    NAMESPACE_UNMET,
    POLICY_NETDEVICE,
    POLICY_WIDE,
    RESOURCE_UNMET,
    SELECTOR_LOST,
    VLAN_TWICE,
)
from hostdev.lint.admission.releases import GATES
from hostdev.lint.admission.rule import EMPTY, at
from hostdev.lint.neighbours import OPERATOR_PREFIX, RESOURCE, Neighbours, config_of, network_namespace
from hostdev.lint.objects import Object
from hostdev.lint.rendering import Unknown
from hostdev.vmi.vmi import Interface

_SELECTORS = ("vendor", "deviceID", "pfNames", "rootDevices", "netFilter")
_KEYS = frozenset({*_SELECTORS, "netDeviceType"})
_NARROW = ("pfNames", "rootDevices", "netFilter")


class Wired(NamedTuple):
    """An SR-IOV interface of a VM, and where it stands."""

    vm: str
    namespace: str
    interface: Interface


Told = Iterator[tuple[Object, Finding]]


def object_findings(beside: Neighbours, wired: Sequence[Wired]) -> Told:
    """What is wrong with the objects themselves, and with how VMs use them; each with the object it is about."""
    yield from _lost_selectors(beside)
    yield from _wide_policies(beside)
    yield from _unmet_resources(beside)
    yield from _vlans(beside)
    yield from _claims(beside)
    yield from _root_devices(beside)
    yield from _gates(beside)
    yield from _netdevices(beside, wired)
    yield from _ipam(beside, wired)
    yield from _namespaces(beside, wired)


def _spec(one: Object) -> Mapping[str, Any]:
    found = one.value.get("spec")
    return found if isinstance(found, Mapping) else EMPTY


def _policies(beside: Neighbours) -> list[Object]:
    return beside.of_kind("SriovNetworkNodePolicy")


def _lost_selectors(beside: Neighbours) -> Told:
    for policy in _policies(beside):
        spec = _spec(policy)
        lost = [key for key in _SELECTORS if key in spec]
        if lost:
            what = f"{listed(lost)} of nicSelector stand{'s' if len(lost) == 1 else ''} beside it"
            yield policy, SELECTOR_LOST.found(f"spec.{lost[0]}", what)
        elif isinstance(spec.get("nicSelector"), Mapping) and (strange := sorted(spec["nicSelector"].keys() - _KEYS)):
            what = f"nicSelector has no key {strange[0]}"
            hint = did_you_mean(strange[0], _SELECTORS)
            yield policy, SELECTOR_LOST.found(f"spec.nicSelector.{strange[0]}", what, hint=hint)
        elif not spec.get("nicSelector"):
            yield policy, SELECTOR_LOST.found("spec.nicSelector", "nicSelector is empty: the policy selects no card")


def _wide_policies(beside: Neighbours) -> Told:
    for policy in _policies(beside):
        selector = at(_spec(policy), "nicSelector")
        if not isinstance(selector, Mapping):
            continue
        named = selector.get("vendor") or selector.get("deviceID")
        if named and not any(selector.get(key) for key in _NARROW):
            model = ":".join(str(selector[key]) for key in ("vendor", "deviceID") if selector.get(key))
            what = f"nicSelector means every port of {model} on the selected nodes, the host's own among them"
            yield policy, POLICY_WIDE.found("spec.nicSelector", what)


def _unmet_resources(beside: Neighbours) -> Told:
    names = (_spec(policy).get("resourceName") for policy in _policies(beside))
    made = {name for name in names if isinstance(name, str)}
    for network in beside.of_kind("SriovNetwork"):
        name = _spec(network).get("resourceName")
        if made and isinstance(name, str) and name not in made and not isinstance(name, Unknown):
            near = nearest(name, sorted(made))
            hint = f"did you mean {near}?" if near else ""
            what = f"no policy among the files makes the resource {name}"
            yield network, RESOURCE_UNMET.found("spec.resourceName", what, hint=hint or None)
    for definition in beside.of_kind("NetworkAttachmentDefinition"):
        resource = _resource(definition)
        own = resource.startswith(f"{OPERATOR_PREFIX}/")
        if made and own and resource.partition("/")[2] not in made:
            what = f"no policy among the files makes the resource {resource}"
            yield definition, RESOURCE_UNMET.found(f"metadata.annotations[{RESOURCE}]", what)


def _resource(definition: Object) -> str:
    annotations = at(definition.value, "metadata.annotations")
    found = annotations.get(RESOURCE) if isinstance(annotations, Mapping) else ""
    return found if isinstance(found, str) and not isinstance(found, Unknown) else ""


def _vlans(beside: Neighbours) -> Told:
    met: dict[tuple[Any, ...], Object] = {}
    for network in beside.of_kind("SriovNetwork"):
        spec = _spec(network)
        vlan, resource = spec.get("vlan"), spec.get("resourceName")
        if not isinstance(vlan, int) or not vlan or not isinstance(resource, str):
            continue
        key = (vlan, resource, network_namespace(network))
        if key in met:
            yield network, VLAN_TWICE.found("spec.vlan", f"{met[key].name} is VLAN {vlan} of {resource} too")
        met.setdefault(key, network)


def _claims(beside: Neighbours) -> Told:
    met: dict[tuple[str, str], Object] = {}
    for claim in beside.of_kind("PCIDeviceClaim"):
        spec = _spec(claim)
        node, address = spec.get("nodeName") or "", spec.get("address")
        if not isinstance(node, str) or not isinstance(address, str):
            continue
        if (node, address) in met:
            what = f"{met[node, address].name} claims {address} of {node or 'the node'} too"
            yield claim, CLAIMED_TWICE.found("spec.address", what)
        met.setdefault((node, address), claim)


def _root_devices(beside: Neighbours) -> Told:
    met: dict[str, Object] = {}
    for policy in _policies(beside):
        for index, device in enumerate(at(_spec(policy), "nicSelector.rootDevices") or ()):
            other = met.setdefault(device, policy) if isinstance(device, str) else policy
            apart = _spec(other).get("nodeSelector") != _spec(policy).get("nodeSelector")
            if other is policy or apart or _shares_ports(other, policy):
                continue
            if _spec(other).get("resourceName") != _spec(policy).get("resourceName"):
                what = f"{other.name} has {device} under another resource"
                yield policy, CLAIMED_TWICE.found(f"spec.nicSelector.rootDevices[{index}]", what)


def _shares_ports(one: Object, other: Object) -> bool:
    """`pfNames: [ens1f0#0-3]` shares one port between policies, as it is meant."""
    names = [name for policy in (one, other) for name in at(_spec(policy), "nicSelector.pfNames") or ()]
    return any(isinstance(name, str) and "#" in name for name in names)


def _gates(beside: Neighbours) -> Told:
    for kubevirt in beside.of_kind("KubeVirt"):
        for key in ("featureGates", "disabledFeatureGates"):
            path = f"spec.configuration.developerConfiguration.{key}"
            named = at(kubevirt.value, path)
            for index, gate in enumerate(named if isinstance(named, list) else ()):
                if isinstance(gate, str) and gate not in GATES and not isinstance(gate, Unknown):
                    near = next((one for one in GATES if one.lower() == gate.lower()), None)
                    near = near or nearest(gate, GATES, cutoff=0.9)
                    if near:
                        what = f"no feature gate is named {gate}"
                        yield kubevirt, GATE_MISSPELT.found(f"{path}[{index}]", what, hint=f"did you mean {near}?")


def _networks_of(beside: Neighbours, wired: Wired) -> Iterator[Object]:
    wanted, _, name = wired.interface.definition.rpartition("/")
    wanted = wanted or wired.namespace
    for network in beside.of_kind("SriovNetwork", "NetworkAttachmentDefinition"):
        there = network_namespace(network) if network.kind == "SriovNetwork" else network.namespace
        if network.name == name and (not wanted or not there or there == wanted):
            yield network


def _netdevices(beside: Neighbours, wired: Sequence[Wired]) -> Told:
    told: set[int] = set()
    for one in wired:
        resources = {
            _spec(network).get("resourceName") or _resource(network).partition("/")[2]
            for network in _networks_of(beside, one)
        }
        for policy in _policies(beside):
            spec = _spec(policy)
            if spec.get("resourceName") not in resources - {None, ""} or id(policy.value) in told:
                continue
            if spec.get("deviceType", "netdevice") == "netdevice":
                told.add(id(policy.value))
                place = "spec.deviceType" if "deviceType" in spec else "spec"
                what = f"deviceType is netdevice, and {one.vm} has its VFs for the interface {one.interface.name}"
                yield policy, POLICY_NETDEVICE.found(place, what)


def _ipam(beside: Neighbours, wired: Sequence[Wired]) -> Told:
    told: set[int] = set()
    for one in wired:
        for network in _networks_of(beside, one):
            place, ipam = _ipam_of(network)
            if ipam and id(network.value) not in told:
                told.add(id(network.value))
                what = f"its addresses go to the pod of {one.vm}, whose guest has the VF and no address"
                yield network, IPAM_UNUSED.found(place, what)


def _ipam_of(network: Object) -> tuple[str, bool]:
    if network.kind == "SriovNetwork":
        text = _spec(network).get("ipam")
        return "spec.ipam", isinstance(text, str) and text.strip() not in {"", "{}"}
    ipam = config_of(network).get("ipam")
    return "spec.config", isinstance(ipam, Mapping) and bool(ipam.get("type"))


def _namespaces(beside: Neighbours, wired: Sequence[Wired]) -> Told:
    for one in wired:
        wanted, _, name = one.interface.definition.rpartition("/")
        wanted = wanted or one.namespace
        made = [network for network in beside.of_kind("SriovNetwork") if network.name == name]
        if not wanted or not made or any(True for _ in _networks_of(beside, one)):
            continue
        places = listed(sorted({network_namespace(network) for network in made}))
        what = f"{one.vm} looks for {name} in {wanted}, and it is made in {places}"
        yield made[0], _at_network(NAMESPACE_UNMET, made[0], what)


def _at_network(kind: FindingKind, network: Object, what: str) -> Finding:
    place = "spec.networkNamespace" if "networkNamespace" in _spec(network) else "metadata.namespace"
    return kind.found(place, what)
