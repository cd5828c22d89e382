"""The whole transform: domain XML and wishes in, verified domain XML out. The same for every transport."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from domxml import attributes
from domxml.alias import is_ours
from domxml.apply import Change, apply, remove
from domxml.commandline import command_line_devices
from domxml.conflicts import check_conflicts
from domxml.document import Domain, DomainDevice
from domxml.errors import Refused
from domxml.finding import Finding
from domxml.guestfindings import BASE_DEVICE_MOVES, DEVICE_UNASSIGNED
from domxml.guestpci.machines import RootKind
from domxml.guestpci.prediction import Prediction, predict
from domxml.guestpci.topology import Device, Topology
from domxml.guestslot import GuestSlot
from domxml.kubevirt import is_placeholder
from domxml.pciaddress import PciAddress
from domxml.placement.place import place
from domxml.placement.room import PlacedController
from domxml.source import HostDevice, Mdev
from domxml.verify import verify
from domxml.version import OLDEST, LibvirtVersion

_SHOWN = {"display", "ramfb"}


class Transformed(NamedTuple):
    """The bytes that come out, and what was done to get there."""

    xml: bytes
    changes: tuple[Change, ...] = ()
    controllers: tuple[PlacedController, ...] = ()
    removed: tuple[str, ...] = ()
    """Aliases of devices that an earlier run injected and that are not asked for any more."""
    findings: tuple[Finding, ...] = ()

    @property
    def ours(self) -> int:
        """How many devices are in the domain because of us, and not because of KubeVirt."""
        return sum(is_ours(change.alias) for change in self.changes)


def transform(
    domain: Domain,
    wishes: Iterable[GuestSlot],
    *,
    libvirt: LibvirtVersion = OLDEST,
    prune: bool = False,
    again: bool | None = None,
) -> Transformed:
    """Ensure that every wished device is in the domain. Nothing to do: the very bytes it was read from come back."""
    wished = tuple(wishes)
    if not wished and not prune:
        return Transformed(domain.data)
    domain.check_hypervisor()
    held = dict(domain.host_devices)
    _check(wished, held, libvirt)
    _check_command_line(domain, wished)
    removed = _prune(domain, wished, held) if prune else ()
    topology = Topology(domain, libvirt)
    _check_machine(wished, topology)
    check_conflicts(domain, topology.machine, wished, held)
    placement = place(topology, wished, held, again=again)
    changes = apply(domain, topology.machine, placement, held)
    findings = placement.findings
    if placement.before is not None:
        findings += _moves(placement.before, Topology(domain, libvirt))
    nothing_new = not removed and not (placement.controllers or placement.pins or placement.vacant)
    if nothing_new and all(change.action == "unchanged" for change in changes):
        # Nothing was written: what was read is what goes out.
        verify(domain, changes, ())
        return Transformed(domain.data, changes, findings=findings)
    output = domain.serialise()
    verify(Domain.parse(output), changes, placement.controllers)
    return Transformed(output, changes, placement.controllers, removed, findings)


def _check(wishes: tuple[GuestSlot, ...], held: Mapping[HostDevice, DomainDevice], libvirt: LibvirtVersion) -> None:
    seen: dict[HostDevice, str] = {}
    names: set[str] = set()
    for wish in wishes:
        if wish.name in names:
            raise Refused("duplicate-name", "two devices have this name", subject=wish.name, hint="give each its own")
        names.add(wish.name)
        wish.check()
        for member in wish.functions:
            source = member.device
            if source in seen:
                raise Refused(
                    "duplicate-device",
                    f"the device is asked for twice, as {seen[source]} and as {wish.name}",
                    subject=str(source),
                    hint="a host device goes to the guest once; remove one of the two",
                )
            seen[source] = wish.name
            holder = held.get(source)
            if holder is not None and not holder.is_hostdev:
                raise Refused(
                    "device-held-otherwise",
                    f"an <{holder.element.tag}> of the domain already holds this device",
                    subject=str(source),
                    hint=f"ask for another device, or remove the <{holder.element.tag}>",
                )
            if holder is not None and wish.guest is None and _is_unassigned(holder):
                raise DEVICE_UNASSIGNED.refused(str(source), "the domain has it with <address type='unassigned'/>")
            for key, value in member.attributes.items():
                attributes.check(key, value, source, libvirt)
            if isinstance(source, PciAddress):
                source.attributes()


def _check_command_line(domain: Domain, wishes: tuple[GuestSlot, ...]) -> None:
    taken = {one.device: one.label for one in command_line_devices(domain) if one.device is not None}
    for device in (member.device for wish in wishes for member in wish.functions):
        if device in taken:
            raise Refused(
                "device-held-otherwise",
                f"{taken[device]} gives this device to the guest already",
                subject=str(device),
                hint="ask for another device, or take it out of <qemu:commandline>",
            )


def _check_machine(wishes: tuple[GuestSlot, ...], topology: Topology) -> None:
    for wish in wishes:
        for member in wish.functions:
            if not topology.machine.acpi_index and "acpiIndex" in member.attributes:
                what = f"acpiIndex exists on q35 and i440fx machines only, not on {topology.machine.name}"
                raise Refused("attribute-not-for-machine", what, subject=wish.name, hint="leave acpiIndex out")
            shown = _SHOWN & member.attributes.keys()
            if shown and topology.machine.root is RootKind.ZPCI and isinstance(member.device, Mdev):
                key = min(shown)
                what = f"a mediated device of {topology.machine.name} has no display: {key} is without effect"
                raise Refused("attribute-not-for-machine", what, subject=wish.name, hint=f"leave {key} out")


def _prune(domain: Domain, wishes: tuple[GuestSlot, ...], held: dict[HostDevice, DomainDevice]) -> tuple[str, ...]:
    wanted = {member.device for wish in wishes for member in wish.functions}
    removed = []
    for source in [source for source in held if source not in wanted]:
        if held[source].is_ours:
            removed.append(held[source].alias)
            remove(domain, held.pop(source))
    return tuple(removed)


def _moves(before: Prediction, topology: Topology) -> tuple[Finding, ...]:
    """Compare where the base's own devices would have been with where they will be."""
    after = predict(topology)
    if not after.known:
        return ()
    now = {_identity(device): address for device, address in (after.addresses or {}).items()}
    found = []
    for device, address in (before.addresses or {}).items():
        moved = now.get(_identity(device))
        if device.wants and moved not in {None, address} and not _is_placeholder(device):
            text = f"its guest address becomes {moved} instead of {address}"
            found.append(BASE_DEVICE_MOVES.found(device.label, text))
    return tuple(found)


def _is_unassigned(holder: DomainDevice) -> bool:
    address = holder.element.find("address")
    return address is not None and address.get("type") == "unassigned"


def _is_placeholder(device: Device) -> bool:
    return device.element is not None and device.element.tag == "interface" and is_placeholder(device.element)


def _identity(device: Device) -> object:
    return (device.step, device.kind, device.index) if device.element is None else device.element
