"""What KubeVirt refuses of interfaces and networks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hostdev.findings.admission import GATE_CLOSED, INTERFACE_REFUSED
from hostdev.lint.admission.releases import since, until
from hostdev.lint.admission.rule import EMPTY, Hit, Rule, Subject, at, find_repeated, gate_rule

INTERFACES, NETWORKS = "domain.devices.interfaces", "networks"
BINDINGS = ("masquerade", "bridge", "sriov", "macvtap", "passt", "passtBinding", "slirp")
_MODELS = ("virtio", "e1000", "e1000e", "igb", "ne2k_pci", "pcnet", "rtl8139")
_SOURCES = ("pod", "multus", "resourceClaim")
_NAME = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_PCI = re.compile(r"[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]", re.ASCII)
_MAC = re.compile(r"[0-9a-fA-F]{2}(?:([:-])[0-9a-fA-F]{2})(?:\1[0-9a-fA-F]{2})*", re.ASCII)
_CISCO = re.compile(r"[0-9a-fA-F]{4}(?:\.[0-9a-fA-F]{4})+", re.ASCII)
_IN_POD_BRIDGE = "02:00:00:00:00:00"


def network_of(subject: Subject, name: object) -> Mapping[str, Any] | None:
    """The network of a name; of two with one name the last counts."""
    found = [network for _, network in subject.each(NETWORKS) if network.get("name") == name]
    return found[-1] if found else None


def has_pod_network(subject: Subject) -> bool:
    """Whether the VMI is on the pod network, as it is by default."""
    return any("pod" in network for _, network in subject.each(NETWORKS))


def interfaces_of_pod(subject: Subject) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The interfaces on the pod network."""
    for place, interface in subject.each(INTERFACES):
        if "pod" in (network_of(subject, interface.get("name")) or EMPTY):
            yield place, interface


def _methods(interface: Mapping[str, Any]) -> list[str]:
    return [binding for binding in BINDINGS if binding in interface]


def _lonely_network(subject: Subject) -> Iterator[Hit]:
    names = {interface.get("name") for _, interface in subject.each(INTERFACES)}
    for place, network in subject.each(NETWORKS):
        if network.get("name") not in names:
            yield f"{place}.name", {"name": network.get("name", "")}


def _lonely_interface(subject: Subject) -> Iterator[Hit]:
    names = {network.get("name") for _, network in subject.each(NETWORKS)}
    for place, interface in subject.each(INTERFACES):
        if interface.get("name") not in names:
            yield f"{place}.name", {"name": interface.get("name", "")}


def _interface_twice(subject: Subject) -> Iterator[Hit]:
    for place, name in find_repeated(subject, INTERFACES):
        yield place, {"name": name}


def _network_twice(subject: Subject) -> Iterator[Hit]:
    for place, name in find_repeated(subject, NETWORKS):
        yield place, {"name": name}


def _two_pod_networks(subject: Subject) -> Iterator[Hit]:
    pods = [place for place, network in subject.each(NETWORKS) if "pod" in network]
    if len(pods) > 1:
        yield pods[1], {}


def _many_sources(subject: Subject) -> Iterator[Hit]:
    for place, network in subject.each(NETWORKS):
        if sum(source in network for source in _SOURCES) > 1:
            yield place, {}


def _no_source(subject: Subject) -> Iterator[Hit]:
    for place, network in subject.each(NETWORKS):
        if not any(source in network for source in _SOURCES):
            yield place, {}


def _multus_without_name(subject: Subject) -> Iterator[Hit]:
    for place, network in subject.each(NETWORKS):
        if "multus" in network and not at(network, "multus.networkName"):
            yield f"{place}.multus", {}


def _default_networks(subject: Subject) -> Iterator[Hit]:
    defaults = [place for place, network in subject.each(NETWORKS) if at(network, "multus.default")]
    if len(defaults) > 1:
        yield f"{defaults[1]}.multus.default", {}


def _default_beside_pod(subject: Subject) -> Iterator[Hit]:
    defaults = [place for place, network in subject.each(NETWORKS) if at(network, "multus.default")]
    if defaults and has_pod_network(subject):
        yield f"{defaults[0]}.multus.default", {}


def _masquerade_elsewhere(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        if "masquerade" in interface and "pod" not in (network_of(subject, interface.get("name")) or EMPTY):
            yield f"{place}.name", {"name": interface.get("name", "")}


def _passt_elsewhere(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        if "passtBinding" in interface and "pod" not in (network_of(subject, interface.get("name")) or EMPTY):
            yield f"{place}.name", {"name": interface.get("name", "")}


def _passt(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        if "passtBinding" in interface:
            yield f"{place}.passtBinding", {}


def _not_one_binding(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        if len(_methods(interface)) + ("binding" in interface) != 1:
            yield place, {"name": interface.get("name", "")}


def _plugin_and_method(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        if "binding" in interface and _methods(interface):
            yield place, {"name": interface.get("name", "")}


def _slirp(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        if "slirp" in interface:
            yield f"{place}.slirp", {}


def _discontinued(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        for binding in ("passt", "macvtap"):
            if binding in interface:
                yield f"{place}.{binding}", {"binding": binding.capitalize()}


def _bridged_pod(subject: Subject) -> Iterator[Hit]:
    if at(subject.switches, "network.permitBridgeInterfaceOnPodNetwork") is False:
        for place, interface in interfaces_of_pod(subject):
            if "bridge" in interface:
                yield f"{place}.bridge", {}


def _strange_name(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        if not _NAME.fullmatch(interface.get("name") or ""):
            yield f"{place}.name", {"name": interface.get("name", "")}


def _malformed_mac(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        mac = interface.get("macAddress") or ""
        # Twelve digits in a row are an address for some builds of Go and none for others.
        if mac and not re.fullmatch(r"[0-9a-fA-F]{12}", mac) and _octets(mac) not in {6, 8, 20}:
            yield f"{place}.macAddress", {"mac": mac}


def _long_mac(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        if _octets(interface.get("macAddress") or "") in {8, 20}:
            yield f"{place}.macAddress", {"mac": interface["macAddress"]}


def _reserved_mac(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        if "masquerade" in interface and interface.get("macAddress", "").replace("-", ":") == _IN_POD_BRIDGE:
            yield f"{place}.macAddress", {}


def _octets(mac: str) -> int:
    if _MAC.fullmatch(mac):
        return (len(mac) + 1) // 3
    return len(mac.replace(".", "")) // 2 if _CISCO.fullmatch(mac) else 0


def _malformed_pci(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        if interface.get("pciAddress") and not _PCI.fullmatch(interface["pciAddress"]):
            yield f"{place}.pciAddress", {"address": interface["pciAddress"]}


def _strange_model(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        if "sriov" not in interface and interface.get("model") and interface["model"] not in _MODELS:
            yield f"{place}.model", {"model": interface["model"], "models": ", ".join(_MODELS)}


def _boot_order_zero(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        if interface.get("bootOrder") == 0:
            yield f"{place}.bootOrder", {}


def _claimed(subject: Subject) -> Iterator[Hit]:
    for place, network in subject.each(NETWORKS):
        if "resourceClaim" in network:
            yield f"{place}.resourceClaim", {}


def _claimed_without_device(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        network = network_of(subject, interface.get("name")) or EMPTY
        if "resourceClaim" in network and not ({"sriov", "binding"} & interface.keys()):
            yield place, {"name": interface.get("name", "")}


_BIND = "write exactly one of masquerade, bridge, sriov, or binding with a plugin's name"
_PASST = "use a binding that KubeVirt still has: masquerade, bridge, or a network binding plugin"
RULES = (
    Rule(INTERFACE_REFUSED, _lonely_network, "the network '{name}' not found among the interfaces",
         "give the network and its interface one name, letter by letter, or remove one of them"),
    Rule(INTERFACE_REFUSED, _lonely_interface, "the interface '{name}' not found among the networks",
         "add a network of the same name to spec.networks, or correct the name"),
    Rule(INTERFACE_REFUSED, _interface_twice, "Only one interface can be connected to one specific network: '{name}'",
         "give each interface a network of its own"),
    Rule(INTERFACE_REFUSED, _network_twice, 'Network with name "{name}" already exists', "rename one of them"),
    Rule(INTERFACE_REFUSED, _two_pod_networks, "more than one interface is connected to a pod network",
         "keep one pod network; connect the other interfaces through Multus"),
    Rule(INTERFACE_REFUSED, _many_sources, "should have only one network type",
         "keep one of pod, multus, resourceClaim"),
    Rule(INTERFACE_REFUSED, _no_source, "should have a network type",
         "write `pod: {{}}`, or multus with networkName; a key with nothing behind it counts as not written"),
    Rule(INTERFACE_REFUSED, _multus_without_name, "CNI delegating plugin must have a networkName",
         "write multus.networkName"),
    Rule(INTERFACE_REFUSED, _default_networks, "Multus CNI should only have one default network",
         "keep `default: true` at one of them"),
    Rule(INTERFACE_REFUSED, _default_beside_pod,
         "Pod network cannot be defined when Multus default network is defined", "remove one of the two"),
    Rule(INTERFACE_REFUSED, _masquerade_elsewhere,
         "Masquerade interface only implemented with pod network: '{name}'",
         "use bridge or sriov on a Multus network"),
    gate_rule(GATE_CLOSED, _passt, "PasstBinding", "PasstBinding feature gate is not enabled"),
    Rule(INTERFACE_REFUSED, _passt_elsewhere,
         "PasstBinding interface only implemented with pod network: '{name}'", "connect it to the pod network",
         since("1.8")),
    Rule(INTERFACE_REFUSED, _not_one_binding,
         "logical {name} interface must have exactly one binding method or binding plugin", _BIND, since("1.9")),
    Rule(INTERFACE_REFUSED, _plugin_and_method,
         "logical {name} interface cannot have both binding plugin and interface binding method", _BIND,
         until("1.8")),
    Rule(INTERFACE_REFUSED, _slirp, "Slirp interface support has been discontinued since v1.3", _PASST),
    Rule(INTERFACE_REFUSED, _discontinued, "{binding} interface support has been discontinued since v1.3", _PASST,
         since("1.8")),
    Rule(INTERFACE_REFUSED, _discontinued, "{binding} feature gate is not enabled, and no release can enable it",
         _PASST, until("1.7")),
    Rule(INTERFACE_REFUSED, _bridged_pod, "Bridge on pod network configuration is not enabled under kubevirt-config",
         "use masquerade, or set permitBridgeInterfaceOnPodNetwork in the KubeVirt CR"),
    Rule(INTERFACE_REFUSED, _strange_name,
         "Network interface name can only contain alphabetical characters, numbers, dashes or underscores: '{name}'",
         "rename the interface and its network"),
    Rule(INTERFACE_REFUSED, _malformed_mac, "malformed MAC address ({mac})",
         "write six bytes, as in 02:11:22:33:44:55"),
    Rule(INTERFACE_REFUSED, _long_mac, "too long MAC address ({mac})", "write six bytes, as in 02:11:22:33:44:55"),
    Rule(INTERFACE_REFUSED, _reserved_mac, "The requested MAC address is reserved for the in-pod bridge",
         "choose another one"),
    Rule(INTERFACE_REFUSED, _malformed_pci, "malformed PCI address ({address})",
         "write domain:bus:slot.function, as in 0000:0a:00.0"),
    Rule(INTERFACE_REFUSED, _strange_model, "uses model {model} that is not supported", "write one of {models}"),
    Rule(INTERFACE_REFUSED, _boot_order_zero, "must have a boot order > 0, if supplied", "count from 1"),
    gate_rule(GATE_CLOSED, _claimed, "NetworkDevicesWithDRA",
          "DRA networks, but NetworkDevicesWithDRA feature gate is not enabled"),
    Rule(INTERFACE_REFUSED, _claimed_without_device,
         'DRA network "{name}" requires an SR-IOV or binding plugin interface', "write `sriov: {{}}`", since("1.9")),
)  # fmt: skip
"""Interfaces and networks, in the order of KubeVirt's checks."""
