"""What KubeVirt accepts, and what would not work: devices, memory, networks and policies that do not go together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from domxml.finding import Finding, Severity
from domxml.guestfindings import GUEST_ADDRESS_TAKEN
from domxml.text import listed
from hostdev.findings.allocation import RESOURCE_NAME_AMBIGUOUS
from hostdev.findings.effects import (
    DEPRECATED,
    DEVICE_NAME_TWICE,
    DEVICE_NAME_UNUSABLE,
    EVICTION_BLOCKS_DRAIN,
    FOREIGN_RESOURCE,
    GPU_TOPOLOGY,
    GUEST_ADDRESS_CROWDED,
    MEMORY_TINY,
    NETWORKS_BY_HAND,
    PLUGIN_NOT_REGISTERED,
    RESOURCE_ASKED_TWICE,
    RESOURCE_NOT_PERMITTED,
    SRIOV_WITHOUT_NETWORK,
    VFIO_OVERCOMMIT,
)
from hostdev.findings.permitted import RESOURCE_IN_BOTH_LISTS
from hostdev.kubelet.resourcename import variable_name
from hostdev.lint.admission.interfaces import network_of
from hostdev.lint.admission.rule import EMPTY, MILLI, Subject, amount, at, written
from hostdev.lint.neighbours import Neighbours
from hostdev.lint.offers import same_variable
from hostdev.lint.rendering import Unknown
from hostdev.lint.view import View
from hostdev.vmi.vmi import Disk, Interface, SpecDevice

_RESOURCE = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?/[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII
)
_BY_NETWORK = (
    "take the resource out of spec.domain.resources; with KubeVirt 1.9 or later it may stay where no "
    "network-resources-injector runs"
)
_PLUGINS = (
    (re.compile(r"nvidia\.com/(?:gpu(?:\.shared)?|mig-.*)"), "NVIDIA's plugin for containers"),
    (re.compile(r"gpu\.intel\.com/.*"), "Intel's GPU plugin for containers"),
    (re.compile(r"qat\.intel\.com/.*"), "Intel's QAT plugin, which sets QAT0, QAT1 and so on"),
    (re.compile(r"(?:dsa|iaa)\.intel\.com/.*"), "Intel's DSA and IAA plugins"),
)
"""Device plugins from whose variables KubeVirt reads nothing."""
_BY_HAND = "k8s.v1.cni.cncf.io/networks"
_BOARD = 8
_CROWDED, _TAKEN = 0x10, 0x0A
"""Buses below the first may be KubeVirt's own; below the second they are, in the most ordinary VM."""


class Effects:
    """One VM with all that is around it."""

    def __init__(self, view: View, subject: Subject, beside: Neighbours) -> None:
        self.view, self.vmi, self.subject, self.beside = view, view.vmi, subject, beside

    def find(self) -> Iterator[Finding]:
        """Every finding, in the order of the spec."""
        for rule in (
            *(
                self._deprecated,
                self._asked_twice,
                self._sriov_twice,
                self._foreign,
                self._unusable_names,
                self._names_twice,
                self._in_both_lists,
                self._one_variable,
            ),
            *(self._not_permitted, self._on_pod_network, self._by_hand, self._unregistered, self._evicted),
            *(self._overcommitted, self._tiny, self._board, self._crowded, self._addresses_twice),
        ):
            yield from rule()

    def _deprecated(self) -> Iterator[Finding]:
        vm = self.subject.vm or EMPTY
        if "running" in vm and "runStrategy" not in vm:
            strategy = "Always" if vm["running"] else "Halted"
            what = "spec.running is deprecated, please use spec.runStrategy instead"
            yield DEPRECATED.found("spec.running", what, hint=f"write runStrategy: {strategy}")

    def _asked_twice(self) -> Iterator[Finding]:
        ours = self._ours()
        counts = Counter(device.resource for device in self.vmi.devices if device.resource)
        for resource, count in self.vmi.limits.items():
            if count and counts[resource] and resource not in ours:
                total = count + counts[resource]
                what = (
                    f"the limits ask for {count} of {resource}, and KubeVirt adds {counts[resource]} for the spec's "
                    f"devices: {total} are allocated, {counts[resource]} used"
                )
                yield RESOURCE_ASKED_TWICE.found(self._limit(resource), what)

    def _sriov_twice(self) -> Iterator[Finding]:
        interfaces = [one for one in self.vmi.interfaces if one.is_sriov and one.definition]
        ours, named = self._ours(), {device.resource for device in self.vmi.devices}
        for resource, count in self.vmi.limits.items():
            if not count or resource in ours | named or not interfaces or self.view.injected:
                continue
            behind = {self.beside.resource_of(one.definition, self.vmi.namespace) for one in interfaces}
            if resource in behind:
                what = f"{resource} is what an SR-IOV network of the VM asks for already: one more is allocated, unused"
                yield RESOURCE_ASKED_TWICE.found(self._limit(resource), what, hint=_BY_NETWORK)
            elif "" in behind:
                names = listed(one.definition for one in interfaces)
                what = (
                    f"nothing in the VM uses {resource}; if it is the resource of the network {names}, KubeVirt asks "
                    "for it already, and one more is allocated"
                )
                yield RESOURCE_ASKED_TWICE.found(self._limit(resource), what, hint=_BY_NETWORK)

    def _foreign(self) -> Iterator[Finding]:
        permitted = _permitted(self.beside)
        for device in self.vmi.devices:
            plugin = next((name for pattern, name in _PLUGINS if pattern.fullmatch(device.resource)), None)
            if plugin and device.resource not in permitted:
                what = f"{device.resource} is handed out by {plugin}: KubeVirt finds no address of {device.name}"
                yield FOREIGN_RESOURCE.found(f"{device.place}.deviceName", what)

    def _unusable_names(self) -> Iterator[Finding]:
        for device in self._known():
            if device.resource and not _RESOURCE.fullmatch(device.resource):
                what = f"{device.resource!r} is no name of a resource; Kubernetes refuses the pod"
                yield DEVICE_NAME_UNUSABLE.found(f"{device.place}.deviceName", what)

    def _names_twice(self) -> Iterator[Finding]:
        for devices in (self.vmi.gpus, self.vmi.host_devices):
            met: dict[str, SpecDevice] = {}
            for device in devices:
                if device.name in met and not isinstance(device.name, Unknown):
                    what = f"{device.name or 'a device without a name'} is there twice: libvirt refuses equal aliases"
                    yield DEVICE_NAME_TWICE.found(f"{device.place}.name", what)
                met[device.name] = device

    def _in_both_lists(self) -> Iterator[Finding]:
        listed_first = {device.resource: device for device in self.vmi.gpus if device.resource}
        for device in self.vmi.host_devices:
            other = listed_first.get(device.resource)
            if other is not None and not isinstance(device.resource, Unknown):
                what = f"{device.resource} is asked for by {other.name} of gpus too: both would get one address"
                yield RESOURCE_IN_BOTH_LISTS.found(f"{device.place}.deviceName", what)

    def _one_variable(self) -> Iterator[Finding]:
        """Of two values of a variable kubelet keeps one, and nothing tells which."""
        asked = list(self.vmi.asked)
        for index, resource in enumerate(asked):
            if others := same_variable(resource, asked[:index]):
                place = next((one.place for one in self.vmi.devices if one.resource == resource), None)
                where = f"{place}.deviceName" if place else self._limit(resource)
                what = f"{resource} and {listed(others)} are one variable, {variable_name(resource)}"
                yield RESOURCE_NAME_AMBIGUOUS.found(where, what)

    def _not_permitted(self) -> Iterator[Finding]:
        configuration = self.beside.kubevirt
        if configuration is None:
            return
        permitted = _permitted(self.beside)
        severity = None if "permittedHostDevices" in configuration else Severity.INFO
        for device in self._known():
            if device.resource and device.resource not in permitted:
                what = f"the KubeVirt CR among the files does not list {device.resource} under permittedHostDevices"
                yield RESOURCE_NOT_PERMITTED.found(f"{device.place}.deviceName", what, severity=severity)

    def _on_pod_network(self) -> Iterator[Finding]:
        for one in self.vmi.interfaces:
            if one.is_sriov and "pod" in (network_of(self.subject, one.name) or EMPTY):
                what = f"the interface {one.name} is sriov on the pod network, which has no VF"
                yield SRIOV_WITHOUT_NETWORK.found(one.place, what)

    def _by_hand(self) -> Iterator[Finding]:
        multus = [network for _, network in self.subject.each("networks") if "multus" in network]
        if self.vmi.annotations.get(_BY_HAND) and multus:
            place = self.vmi.at(f"metadata.annotations[{_BY_HAND}]")
            yield NETWORKS_BY_HAND.found(place, f"KubeVirt writes {_BY_HAND} itself, from the VM's networks")

    def _unregistered(self) -> Iterator[Finding]:
        configuration = self.beside.kubevirt
        if configuration is None:
            return
        registered = at(configuration, "network.binding")
        known = registered if isinstance(registered, Mapping) else EMPTY
        severity = None if known else Severity.INFO
        for one in self.vmi.interfaces:
            if one.plugin and one.plugin not in known:
                what = f"the KubeVirt CR among the files has no binding plugin named {one.plugin}"
                yield PLUGIN_NOT_REGISTERED.found(f"{one.place}.binding.name", what, severity=severity)

    def _evicted(self) -> Iterator[Finding]:
        if self.vmi.eviction_strategy == "LiveMigrate" and self.vmi.devices:
            names = listed(device.name or device.resource for device in self.vmi.devices)
            what = f"evictionStrategy is LiveMigrate, and KubeVirt does not migrate a VM with {names}"
            yield EVICTION_BLOCKS_DRAIN.found(self.vmi.at("spec.evictionStrategy"), what)

    def _overcommitted(self) -> Iterator[Finding]:
        if not (self.vmi.has_vfio or self.view.injected):
            return
        request = self._resources("requests").get("memory")
        guest = self.subject.at("domain.memory.guest")
        if self.subject.at("domain.resources.overcommitGuestOverhead"):
            place = self.vmi.at("spec.domain.resources.overcommitGuestOverhead")
            yield VFIO_OVERCOMMIT.found(place, "the pod does not ask for the overhead that VFIO needs")
        # Huge pages are asked for beside the pod's memory.
        paged = self.subject.at("domain.memory.hugepages") is not None
        if guest is not None and request is not None and not paged and (amount(request) or 0) < (amount(guest) or 0):
            place = self.vmi.at("spec.domain.resources.requests.memory")
            what = f"the pod asks for {written(request)}, and VFIO pins the guest's {written(guest)} from the start"
            yield VFIO_OVERCOMMIT.found(place, what)

    def _tiny(self) -> Iterator[Finding]:
        guest = self.subject.at("domain.memory.guest")
        size = amount(guest)
        if size is not None and size < MILLI << 20:
            what = f"guest memory {written(guest)} is less than a mebibyte"
            yield MEMORY_TINY.found(self.vmi.at("spec.domain.memory.guest"), what)

    def _board(self) -> Iterator[Finding]:
        cards = [one for one in self.vmi.devices if one.resource.startswith("nvidia.com/")]
        switches = [one for one in cards if "switch" in f"{one.name} {one.resource}".lower()]
        gpus = len(cards) - len(switches)
        if gpus < _BOARD:
            return
        place = self.vmi.at("spec.domain.devices")
        if not switches:
            yield GPU_TOPOLOGY.found(place, f"{gpus} GPUs, and no NVSwitch among the VM's devices")
        if not self.vmi.guest_numa:
            what = f"{gpus} GPUs, and the guest has one NUMA node: guestMappingPassthrough is not set"
            yield GPU_TOPOLOGY.found(self.vmi.at("spec.domain.cpu"), what)

    def _crowded(self) -> Iterator[Finding]:
        for asked in self.view.asked:
            for index, address in enumerate(asked.request.guests):
                if 0 < address.bus < _CROWDED and not address.domain:
                    many = len(asked.request.guests) > 1
                    where = f"{asked.place}.{asked.request.guest_key}" + (f"[{index}]" if many else "")
                    taken = address.bus < _TAKEN
                    what = (
                        f"guest address {address}: {'most' if taken else 'some'} VMs have a device of their own there"
                    )
                    severity = None if taken else Severity.INFO
                    yield GUEST_ADDRESS_CROWDED.found(where, what, severity=severity)

    def _addresses_twice(self) -> Iterator[Finding]:
        met: dict[Any, str] = {}
        devices: list[Interface | Disk] = [*self.vmi.interfaces, *self.vmi.disks]
        for device in devices:
            if device.guest is not None and device.guest in met:
                what = f"{met[device.guest]} asks for guest address {device.guest} too; libvirt refuses that"
                yield GUEST_ADDRESS_TAKEN.found(device.place, what, severity=Severity.WARNING)
            elif device.guest is not None:
                met[device.guest] = device.name

    def _known(self) -> list[SpecDevice]:
        return [device for device in self.vmi.devices if not isinstance(device.resource, Unknown)]

    def _ours(self) -> set[str]:
        """Resources that Passgate puts into the guest."""
        return {asked.request.resource for asked in self.view.asked if asked.request.resource}

    def _resources(self, what: str) -> Any:
        return self.subject.at(f"domain.resources.{what}") or EMPTY

    def _limit(self, resource: str) -> str:
        return self.vmi.at(f"spec.domain.resources.limits[{resource}]")


def _permitted(beside: Neighbours) -> frozenset[str]:
    """The resources that the KubeVirt CR among the files permits."""
    permitted = at(beside.kubevirt or EMPTY, "permittedHostDevices")
    lists = (at(permitted, key) for key in ("pciHostDevices", "mediatedDevices", "usb"))
    rows = [row for rows in lists if isinstance(rows, list) for row in rows if isinstance(row, dict)]
    return frozenset(row["resourceName"] for row in rows if isinstance(row.get("resourceName"), str))
