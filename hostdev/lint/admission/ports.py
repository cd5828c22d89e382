"""What KubeVirt refuses of an interface's ports, state and DHCP options."""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hostdev.findings.admission import GATE_CLOSED, INTERFACE_REFUSED
from hostdev.lint.admission.interfaces import INTERFACES, interfaces_of_pod, network_of
from hostdev.lint.admission.releases import since
from hostdev.lint.admission.rule import EMPTY, Hit, Rule, Subject, at, each, gate_rule

_STATES = ("up", "down", "absent")
_PORT_NAME = re.compile(r"(?=.{1,15}$)(?=.*[a-z])[a-z0-9](?:-?[a-z0-9])*", re.ASCII)
_OPTIONS = range(224, 255)
_MOST_RANGES = 10


def _ports(subject: Subject) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for place, interface in interfaces_of_pod(subject):
        yield from ((f"{place}.{inner}", port) for inner, port in each(interface, "ports"))


def _port_missing(subject: Subject) -> Iterator[Hit]:
    for place, port in _ports(subject):
        if not port.get("port"):
            yield f"{place}.port", {}


def _port_out_of_range(subject: Subject) -> Iterator[Hit]:
    for place, port in _ports(subject):
        if port.get("port") and not 0 < port["port"] < 65536:
            yield f"{place}.port", {}


def _port_protocol(subject: Subject) -> Iterator[Hit]:
    for place, port in _ports(subject):
        if port.get("protocol") and port["protocol"] not in {"TCP", "UDP"}:
            yield f"{place}.protocol", {}


def _port_name(subject: Subject) -> Iterator[Hit]:
    for place, port in _ports(subject):
        if port.get("name") and not _PORT_NAME.fullmatch(port["name"]):
            yield f"{place}.name", {"name": port["name"]}


def _port_name_twice(subject: Subject) -> Iterator[Hit]:
    for place, interface in interfaces_of_pod(subject):
        met: set[str] = set()
        for inner, port in each(interface, "ports"):
            name = port.get("name") or ""
            if name and name in met:
                yield f"{place}.{inner}.name", {"name": name}
            met.add(name)


def _port_ranges(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        if interface.get("portRanges"):
            yield f"{place}.portRanges", {}


def _bad_port_ranges(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        ranges = [one for one in interface.get("portRanges") or () if isinstance(one, Mapping)]
        why = _range_flaw(interface, ranges) if ranges else ""
        if why:
            yield f"{place}.portRanges", {"why": why}


def _range_flaw(interface: Mapping[str, Any], ranges: list[Mapping[str, Any]]) -> str:
    if interface.get("ports"):
        return "there are ports too"
    if "masquerade" not in interface:
        return "they are for masquerade only"
    if len(ranges) > _MOST_RANGES:
        return f"there are more than {_MOST_RANGES}"
    spans = sorted((one.get("protocol", ""), one.get("start") or 0, one.get("end") or 0) for one in ranges)
    if any(start > end for _, start, end in spans):
        return "one ends before it starts"
    pairs = itertools.pairwise(spans)
    overlap = any(one[0] == other[0] and other[1] <= one[2] for one, other in pairs)
    return "two of them overlap" if overlap else ""


def _strange_state(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        if interface.get("state") and interface["state"] not in _STATES:
            yield f"{place}.state", {"name": interface.get("name", ""), "state": interface["state"]}


def _impossible_state(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        network = network_of(subject, interface.get("name")) or EMPTY
        state = interface.get("state")
        on_default = "pod" in network or at(network, "multus.default")
        if (state == "absent" and ("bridge" not in interface or on_default)) or (
            state in {"up", "down"} and "sriov" in interface
        ):
            yield f"{place}.state", {"name": interface.get("name", ""), "state": state}


def _ntp_servers(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        for index, server in enumerate(at(interface, "dhcpOptions.ntpServers") or ()):
            if not _is_ipv4(server):
                yield f"{place}.dhcpOptions.ntpServers[{index}]", {}


def _private_options(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        for index, option in enumerate(at(interface, "dhcpOptions.privateOptions") or ()):
            if option.get("option") not in _OPTIONS:
                yield f"{place}.dhcpOptions.privateOptions[{index}].option", {}


def _private_option_twice(subject: Subject) -> Iterator[Hit]:
    for place, interface in subject.each(INTERFACES):
        options = [option.get("option") for option in at(interface, "dhcpOptions.privateOptions") or ()]
        if len(set(options)) < len(options):
            yield f"{place}.dhcpOptions.privateOptions", {}


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


RULES = (
    Rule(INTERFACE_REFUSED, _port_missing, "Port field is mandatory", "write `port`, from 1 to 65535"),
    Rule(INTERFACE_REFUSED, _port_out_of_range, "Port field must be in range 0 < x < 65536",
         "write a number from 1 to 65535"),
    Rule(INTERFACE_REFUSED, _port_protocol, "Unknown protocol, only TCP or UDP allowed", "write TCP or UDP"),
    Rule(INTERFACE_REFUSED, _port_name, "Invalid name of the port: {name}",
         "use at most 15 lower-case letters, digits and dashes"),
    Rule(INTERFACE_REFUSED, _port_name_twice, "Duplicate name of the port: {name}", "rename one of them"),
    gate_rule(GATE_CLOSED, _port_ranges, "PortRangesSpec", "PortRangesSpec feature gate is not enabled"),
    Rule(INTERFACE_REFUSED, _bad_port_ranges, "port ranges are not valid: {why}", "correct the ranges", since("1.9")),
    Rule(INTERFACE_REFUSED, _strange_state, "logical {name} interface state value is unsupported: {state}",
         "write up, down or absent, or leave it out"),
    Rule(INTERFACE_REFUSED, _impossible_state,
         "logical {name} interface state {state} is not supported for its binding",
         "leave state out: absent is for bridge beside another default network, up and down are not for sriov"),
    Rule(INTERFACE_REFUSED, _ntp_servers, "NTP servers must be a list of valid IPv4 addresses",
         "write IPv4 addresses; names and IPv6 are not taken"),
    Rule(INTERFACE_REFUSED, _private_options,
         "provided DHCPPrivateOptions are out of range, must be in range 224 to 254", "choose another number"),
    Rule(INTERFACE_REFUSED, _private_option_twice, "you have provided duplicate DHCPPrivateOptions",
         "keep one of them"),
)  # fmt: skip
"""Settings of interfaces, in the order of KubeVirt's checks."""
