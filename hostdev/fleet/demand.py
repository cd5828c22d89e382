"""What a VM asks of a node, and which devices its resources stand for: only what was given is believed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from domxml.text import listed, printable
from hostdev.binding.state import By, NodeState
from hostdev.fleet.node import Node
from hostdev.fleet.query import Expression, parse_expression
from hostdev.inventory.machine import PciFunction
from hostdev.inventory.pciids import Namer
from hostdev.kubevirt.spec import get_list, get_map, get_text
from hostdev.lint.neighbours import OPERATOR_PREFIX, Neighbours
from hostdev.lint.objects import Object
from hostdev.lint.repository import read_manifest
from hostdev.lint.view import view_of
from hostdev.vmi.vmi import TEMPLATES

Chooser = Callable[[Node], frozenset[PciAddress]]
Port = Callable[[PciFunction, PciFunction | None], bool]
"""A question about a PF and the first of its VFs, which are all of one model."""
_IDS = re.compile(r"(?:0x)?([0-9a-f]{4}):(?:0x)?([0-9a-f]{4})", re.ASCII | re.IGNORECASE)


class Meaning(NamedTuple):
    """What a resource stands for."""

    by: str
    """Who says so."""
    choose: Chooser | None = None
    """None: that is said, and cannot be followed here."""
    states: tuple[NodeState, ...] = ()
    """It is what the agents of nodes with these states offer, unit by unit."""
    are_vfs: bool = False
    """They are VFs of certain ports, and more of them can be made."""
    port: Port | None = None
    """Whether VFs of a port may be such devices; None: none are."""


class Want(NamedTuple):
    """So many devices of a resource, or one device by its address."""

    name: str
    quantity: int
    meaning: Meaning | None
    """None: nothing that was given says what the name stands for."""

    @property
    def is_known(self) -> bool:
        return self.meaning is not None and (self.meaning.choose is not None or self.is_offered)

    @property
    def is_offered(self) -> bool:
        """It counts units of an offer, and no functions."""
        return self.meaning is not None and bool(self.meaning.states)


class Demand(NamedTuple):
    """All that one VM asks for."""

    vm: str
    wants: tuple[Want, ...]
    spec: Mapping[str, Any]
    """The VMI's spec, for what the scheduler looks at."""
    whole_slots: bool = False
    """It takes cards with all their functions."""
    unknown: tuple[str, ...] = ()
    """Sentences on what the files do not tell of it."""


def read_demand(vm: Object, beside: Neighbours, meanings: Mapping[str, Meaning]) -> Demand:
    """Read what a VM asks for, with what its instance type and its networks bring."""
    manifest, errors = read_manifest(vm, beside)
    if manifest is None or errors:
        raise errors[0]
    vmi = manifest.vmi
    view = view_of(manifest)
    asked = Counter(vmi.device_limits) + Counter(one.resource for one in vmi.devices if one.resource)
    unknown = [
        f"a claim brings {one.name}: which device that is, a DRA driver tells" for one in vmi.devices if one.claim
    ]
    unknown += [f"the claim {name} is served by a DRA driver" for name in vmi.claims]
    for interface in vmi.interfaces:
        if interface.is_sriov and interface.definition:
            resource = beside.resource_of(interface.definition, vmi.namespace)
            if resource:
                asked[resource] += 1
            else:
                unknown.append(f"the network {interface.definition}, or its resource, is not among the files")
    if manifest.instancetype:
        unknown.append(f"the instance type {manifest.instancetype} is not among the files, and may bring devices")
    wants = [Want(name, count, meanings.get(name)) for name, count in sorted(asked.items()) if count > 0]
    addresses = [one.request.address for one in view.asked if isinstance(one.request.address, PciAddress)]
    if not wants:
        # A device that is said outright is one of those that the resources bring, where there are any.
        wants = [Want(str(one), 1, Meaning("its annotation", _at(one))) for one in addresses]
    whole = any(one.request.functions != "one" for one in view.asked)
    return Demand(str(vmi), tuple(wants), _vmi_spec(vm), whole, tuple(unknown))


def _vmi_spec(vm: Object) -> Mapping[str, Any]:
    return get_map(vm.value, *TEMPLATES.get(vm.kind, ("spec", "template")), "spec")


def read_meanings(
    beside: Neighbours, states: Sequence[NodeState], said: Iterable[str], namer: Namer
) -> dict[str, Meaning]:
    """What resources stand for: as `--resource` says, what NodeStates offer, SR-IOV policies, the KubeVirt object."""
    found: dict[str, Meaning] = {}
    for source in (_of_kubevirt(beside), _of_policies(beside)):
        mine: dict[str, Meaning] = {}
        for name, meaning in source:
            mine[name] = _joined(mine[name], meaning) if name in mine else meaning
        found |= mine
    return found | dict(_of_states(states)) | dict(_of_words(said, namer))


def _joined(one: Meaning, other: Meaning) -> Meaning:
    """Two selectors with one resource: it has what either of them takes."""
    left, right = one.choose, other.choose
    if left is None or right is None:
        return Meaning(one.by)
    ports = [port for port in (one.port, other.port) if port is not None]
    either: Port | None = (lambda pf, vf: any(port(pf, vf) for port in ports)) if ports else None
    are_vfs = one.are_vfs and other.are_vfs
    return Meaning(one.by, lambda node: left(node) | right(node), are_vfs=are_vfs, port=either)


def _of_words(said: Iterable[str], namer: Namer) -> Iterator[tuple[str, Meaning]]:
    for text in said:
        name, equals, words = text.partition("=")
        if not (name and equals and words.strip()):
            hint = "write NAME=SELECTOR, such as nvidia.com/T4=id=10de:1eb8"
            raise BadInput("bad-usage", f"--resource {printable(text, 60)!r} names no devices", hint=hint)
        yield name, Meaning("--resource", _fitting(parse_expression([words]), namer))


def _fitting(expression: Expression, namer: Namer) -> Chooser:
    return lambda node: frozenset(one.function.address for one in expression.find(node, namer))


def _of_kubevirt(beside: Neighbours) -> Iterator[tuple[str, Meaning]]:
    permitted = get_map(beside.kubevirt or {}, "permittedHostDevices")
    for row in get_list(permitted, "pciHostDevices"):
        ids = _IDS.fullmatch(get_text(row, "pciVendorSelector"))
        if ids:
            vendor, device = (int(one, 16) for one in ids.groups())
            choose = _with_ids(vendor, device)
            yield get_text(row, "resourceName"), Meaning("the KubeVirt object", choose, port=_may_make(vendor, device))
    for row in get_list(permitted, "mediatedDevices"):
        types = printable(get_text(row, "mdevNameSelector"))
        yield get_text(row, "resourceName"), Meaning(f"mediated devices of the type {types!r}")


def _with_ids(vendor: int, device: int) -> Chooser:
    return _functions(lambda one: (one.vendor, one.device) == (vendor, device) and not one.bridge)


def _may_make(vendor: int, device: int) -> Port:
    return lambda pf, vf: pf.vendor == vendor if vf is None else (vf.vendor, vf.device) == (vendor, device)


def _of_policies(beside: Neighbours) -> Iterator[tuple[str, Meaning]]:
    for policy in beside.of_kind("SriovNetworkNodePolicy"):
        spec = get_map(policy.value, "spec")
        name = get_text(spec, "resourceName")
        if name:
            is_selected = _selected(get_map(spec, "nicSelector"))
            meaning = Meaning(
                f"the policy {policy.name}", _vfs_of(is_selected), are_vfs=True, port=_any_vf_of(is_selected)
            )
            yield f"{OPERATOR_PREFIX}/{name}", meaning


def _selected(selector: Mapping[str, Any]) -> Callable[[PciFunction], bool]:
    """The ports that a policy selects."""
    roots = frozenset(one for one in selector.get("rootDevices") or () if isinstance(one, str))
    names = frozenset(one.partition("#")[0] for one in selector.get("pfNames") or () if isinstance(one, str))
    vendor, device = (get_text(selector, key).lower() for key in ("vendor", "deviceID"))

    def is_selected(port: PciFunction) -> bool:
        return (
            (not vendor or vendor == f"{port.vendor:04x}")
            and (not device or device == f"{port.device:04x}")
            and (not roots or str(port.address) in roots)
            and (not names or any(net.name in names for net in port.netdevs))
        )

    return is_selected


def _any_vf_of(is_selected: Callable[[PciFunction], bool]) -> Port:
    return lambda pf, vf: is_selected(pf)  # noqa: ARG005  of a port that is selected any VF will do


def _vfs_of(is_selected: Callable[[PciFunction], bool]) -> Chooser:
    def choose(node: Node) -> frozenset[PciAddress]:
        ports = {one.address for one in node.machine.functions.values() if one.total_vfs and is_selected(one)}
        return frozenset(one.address for one in node.machine.functions.values() if one.physfn in ports)

    return choose


def _of_states(states: Sequence[NodeState]) -> Iterator[tuple[str, Meaning]]:
    names: dict[str, list[str]] = {}
    for state in states:
        for entry in state.offers:
            by = ", by claim" if entry.by is By.CLAIM else ""
            names.setdefault(entry.resource, []).append(f"the NodeState {state.name}".strip() + by)
    for resource, found in names.items():
        yield resource, Meaning(listed(dict.fromkeys(found), 3), states=tuple(states))


def _at(address: PciAddress) -> Chooser:
    return _functions(lambda one: one.address == address)


def _functions(fits: Callable[[PciFunction], bool]) -> Chooser:
    return lambda node: frozenset(one.address for one in node.machine.functions.values() if fits(one))


def describe_unknown(demand: Demand) -> tuple[str, ...]:
    """Everything that is not known of what it asks for, as sentences."""
    unmapped = [want.name for want in demand.wants if want.meaning is None]
    told = [f"nothing that was given says which devices {listed(unmapped)} stands for"] if unmapped else []
    told += [
        f"{want.name} stands for {want.meaning.by}, which is not counted here"
        for want in demand.wants
        if want.meaning is not None and not want.is_known
    ]
    return (*told, *demand.unknown)
