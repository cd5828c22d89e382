"""Take host devices out of a domain again, with the controllers that were written for them; nothing else moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from domxml import alias as aliases
from domxml.apply import apply, take_out
from domxml.document import Domain, DomainDevice, Element
from domxml.editfindings import NOT_IN_DOMAIN, PORT_STAYS, REMOVAL_NOT_PREDICTED
from domxml.errors import PassgateError, Refused
from domxml.finding import Finding
from domxml.guestfindings import BASE_DEVICE_MOVES, FUNCTION_ZERO_MISSING
from domxml.guestpci.machines import RootKind
from domxml.guestpci.prediction import Prediction, predict
from domxml.guestpci.topology import Device, Topology
from domxml.pciaddress import PciAddress
from domxml.placement.ports import FROZEN, OWN, frozen_controllers, mark_controller
from domxml.placement.room import Pin, Placement
from domxml.source import HostDevice, parse_host_device
from domxml.text import listed
from domxml.version import LibvirtVersion


class RemovedController(NamedTuple):
    """A PCI controller of ours that went with its devices."""

    number: int
    model: str
    address: PciAddress | None


class Removal(NamedTuple):
    """What was taken out, and what had to be written instead."""

    devices: tuple[str, ...] = ()
    controllers: tuple[RemovedController, ...] = ()
    pinned: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def is_marked(controller: Device) -> bool:
    """Whether it is there because of us."""
    return bool(_mark(controller))


def find_devices(domain: Domain, words: Iterable[str]) -> tuple[HostDevice, ...]:
    """Find what is to be taken out: by host address, UUID, alias, or the name that we gave it."""
    held = domain.host_devices
    return tuple(dict.fromkeys(device for word in words for device in _find(word, held)))


def _find(word: str, held: Mapping[HostDevice, DomainDevice]) -> Iterator[HostDevice]:
    by_alias = {holder.alias: device for device, holder in held.items() if holder.alias}
    named = by_alias.get(word) or by_alias.get(aliases.alias_for(word))
    if named is None:
        try:
            named = parse_host_device(word)
        except PassgateError:
            named = None
    if named is None or named not in held:
        there = listed((_label(holder) for holder in held.values()), most=8) or "none"
        raise NOT_IN_DOMAIN.refused(word[:80], f"the domain has no such host device; it has: {there}")
    yield named
    alias = aliases.alias_for(word)
    if held[named].alias == alias:
        slot = _slot(held[named])
        # The other functions of one device are called after it.
        yield from (d for d, h in held.items() if h.alias.startswith(f"{alias}-") and _slot(h) == slot)


def take_out_devices(domain: Domain, leaving: Sequence[HostDevice], libvirt: LibvirtVersion) -> Removal:
    """Edit the domain in place. What libvirt makes of the others is the same as before, or it is told."""
    held = domain.host_devices
    holders = [held[device] for device in leaving]
    topology = Topology(domain, libvirt)
    _check(holders, topology)
    before = _predict(topology)
    gone = {holder.element for holder in holders}
    buses = {d.address.bus for d in topology.devices if d.element in gone and d.address is not None}
    for holder in holders:
        take_out(domain.devices, holder.element)
    topology = Topology(domain, libvirt)
    findings: tuple[Finding, ...] = ()
    pinned: tuple[str, ...] = ()
    if before.known:
        dropped, settled = _choose_controllers(domain, before, libvirt)
        _drop(domain, dropped)
        if not settled:
            pinned = _hold(domain, topology, before)
            findings = tuple(_moves(before, predict(Topology(domain, libvirt))))
    else:
        dropped = _droppable(topology, (OWN, FROZEN))
        _drop(domain, dropped)
        findings = tuple(_not_predicted(domain, topology, before))
    findings += tuple(_left(Topology(domain, libvirt), buses))
    controllers = tuple(RemovedController(one.index, one.model, one.address) for one in dropped)
    return Removal(tuple(map(_name, holders)), controllers, pinned, findings)


def _predict(topology: Topology) -> Prediction:
    buses = {0, *(controller.index for controller in topology.controllers)}
    missing = [
        device.address.bus for device in topology if device.address is not None and device.address.bus not in buses
    ]
    if missing and topology.machine.root is RootKind.ZPCI:
        return Prediction(unknown=(f"libvirt adds a bridge for bus {min(missing)}, and its place is not known",))
    return predict(topology)


def _check(holders: Sequence[DomainDevice], topology: Topology) -> None:
    gone = {holder.element for holder in holders}
    for holder in holders:
        if not holder.is_hostdev:
            tag = holder.element.tag
            command = f"virsh detach-{'disk' if holder.is_disk else 'interface'} --config"
            raise Refused(
                "device-held-otherwise",
                f"an <{tag}> of the domain holds this device, and its settings are not ours to take",
                subject=str(holder.device),
                hint=f"take the whole <{tag}> out: `{command}`",
            )
    used = {d.address: d for d in topology if d.address is not None}
    for address, device in used.items():
        first = used.get(address.with_function(0))
        if address.function and device.element not in gone and first is not None and first.element in gone:
            text = f"{device.label} stays at {address}, and the guest would not find it without function 0 of its slot"
            subject = str(next(h.device for h in holders if h.element is first.element))
            raise FUNCTION_ZERO_MISSING.refused(subject, text, "take out all functions of that slot")


def _choose_controllers(domain: Domain, before: Prediction, libvirt: LibvirtVersion) -> tuple[list[Device], bool]:
    """The most that can go while everything else stays where it is; false: even with none, something would move."""
    for kinds in ((OWN, FROZEN), (OWN,), ()):
        topology = Topology(domain, libvirt)
        dropped = _droppable(topology, kinds)
        topology.controllers = [c for c in topology.controllers if c not in dropped]
        if _stays(before, predict(topology), {c.index for c in dropped if _mark(c) == FROZEN}):
            return dropped, True
    return [], False


def _droppable(topology: Topology, kinds: tuple[str, ...]) -> list[Device]:
    """The highest of ours with nothing behind them; and with the last of ours, what libvirt would add again."""
    buses = {device.address.bus for device in topology.devices if device.address is not None}
    ours = [holder for holder in topology.domain.devices.iterchildren("hostdev") if _is_ours(holder)]
    own: list[Device] = []
    frozen: list[Device] = []
    is_highest = True
    for controller in sorted(topology.controllers, key=lambda c: -c.index):
        kind = _mark(controller)
        # With more in it, libvirt has defined it: from then on it is the VM's.
        if kind == FROZEN and not controller.kids.keys() - {"address", "alias"}:
            frozen.append(controller)
        elif is_highest and kind == OWN and controller.index not in buses:
            own.append(controller)
        else:
            is_highest = False
            ours += [controller.element] if kind == OWN and controller.element is not None else []
    return (own if OWN in kinds else []) + (frozen if FROZEN in kinds and not ours else [])


def _is_ours(hostdev: Element) -> bool:
    alias = hostdev.find("alias")
    return alias is not None and aliases.is_ours(alias.get("name", ""))


def _mark(controller: Device) -> str:
    alias = controller.kids.get("alias")
    name = "" if alias is None else alias.get("name", "")
    return next((kind for kind in (OWN, FROZEN) if name == f"{kind}{controller.index}"), "")


def _stays(before: Prediction, after: Prediction, frozen: set[int]) -> bool:
    """Devices and ports are where they were, and libvirt adds again what it is to add."""
    if not after.known:
        return False
    then = {port.index: (port.model, port.address) for port in before.ports}
    now = {port.index: (port.model, port.address) for port in after.ports}
    return frozen <= now.keys() and now.items() <= then.items() and not list(_moves(before, after))


def _moves(before: Prediction, after: Prediction) -> Iterator[Finding]:
    now = {_identity(device): address for device, address in (after.addresses or {}).items()}
    for device, address in (before.addresses or {}).items():
        there = now.get(_identity(device), address)
        if there != address:
            text = f"its guest address becomes {there} instead of {address}"
            yield BASE_DEVICE_MOVES.found(device.label, text)


def _identity(device: Device) -> object:
    """An element, or what libvirt adds without one."""
    return (device.step, device.kind, device.model, device.index) if device.element is None else device.element


def _hold(domain: Domain, topology: Topology, before: Prediction) -> tuple[str, ...]:
    """Write down where everything is: the device that leaves has had a turn among those that libvirt places."""
    there = {device.element for device in topology.devices}
    pins = [
        Pin(device, address)
        for device, address in (before.addresses or {}).items()
        if device.wants and device.element in there
    ]
    controllers = tuple(map(mark_controller, frozen_controllers(before)))
    apply(domain, topology.machine, Placement((), controllers, tuple(pins)), {})
    return tuple(f"{pin.device.label} at {pin.address}" for pin in pins)


def _not_predicted(domain: Domain, topology: Topology, before: Prediction) -> Iterator[Finding]:
    wanting = [device.label for device in topology if device.wants]
    if wanting:
        why = before.refusal or "; ".join(before.unknown)
        text = f"where libvirt will put {listed(wanting)} is not known: {why}"
        yield REMOVAL_NOT_PREDICTED.found(domain.name, text)


def _left(topology: Topology, buses: set[int]) -> Iterator[Finding]:
    """Ports that had one of the devices behind them, and stay."""
    used = {device.address.bus for device in topology if device.address is not None}
    for controller in topology.controllers:
        if controller.index in buses - used - {0}:
            why = "a controller above it is in use" if _mark(controller) else "it does not bear our mark"
            yield PORT_STAYS.found(_controller(controller), f"nothing is behind it now, and it stays: {why}")


def _drop(domain: Domain, controllers: Iterable[Device]) -> None:
    for controller in controllers:
        if controller.element is not None:
            take_out(domain.devices, controller.element)


def _controller(controller: Device) -> str:
    return f"PCI controller {controller.index} ({controller.model})"


def _name(holder: DomainDevice) -> str:
    return holder.alias or str(holder.device)


def _label(holder: DomainDevice) -> str:
    what = "" if holder.is_hostdev else f", in an <{holder.element.tag}>"
    return f"{holder.device} ({holder.alias or 'no alias'}{what})"


def _slot(holder: DomainDevice) -> PciAddress | Element:
    """The guest slot it is written to be in; itself where none is."""
    address = holder.element.find("address")
    if address is None or address.get("type") != "pci":
        return holder.element
    return PciAddress.from_attributes(address).slot_address
