"""The whole transform: domain XML and wishes in, verified domain XML out. The same for every transport."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from domxml import attributes
from domxml.alias import is_ours
from domxml.apply import Change, apply
from domxml.commandline import command_line_devices
from domxml.conflicts import check_conflicts, check_teams
from domxml.document import Domain, DomainDevice
from domxml.effects import without_effect
from domxml.errors import BadInput, Refused
from domxml.finding import Finding
from domxml.guestfindings import BASE_DEVICE_MOVES, DEVICE_UNASSIGNED
from domxml.guestpci.machines import RootKind
from domxml.guestpci.prediction import Prediction, predict
from domxml.guestpci.topology import Device, Topology
from domxml.guestslot import GuestSlot
from domxml.kubevirt import is_made_by_kubevirt, is_placeholder
from domxml.pciaddress import PciAddress
from domxml.placement.place import place
from domxml.placement.ports import mark_controller
from domxml.placement.room import PlacedController, Placement
from domxml.source import HostDevice, Mdev
from domxml.verify import verify
from domxml.version import OLDEST, LibvirtVersion

if TYPE_CHECKING:
    from domxml.removal import Removal

_SHOWN = {"display": {"on", "off"}, "ramfb": {"on"}}
"""What libvirt passes on to vfio-ap, which has neither property; of ramfb=off it says nothing."""


class Transformed(NamedTuple):
    """The bytes that come out, and what was done to get there."""

    xml: bytes
    changes: tuple[Change, ...] = ()
    controllers: tuple[PlacedController, ...] = ()
    removal: Removal | None = None
    """What was taken out."""
    own_findings: tuple[Finding, ...] = ()

    @property
    def removed(self) -> tuple[str, ...]:
        """Devices that were taken out, by alias."""
        return self.removal.devices if self.removal else ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that there is to say."""
        return (*(self.removal.findings if self.removal else ()), *self.own_findings)

    @property
    def ours(self) -> int:
        """How many devices are in the domain because of us, and not because of KubeVirt."""
        return sum(is_ours(change.alias) for change in self.changes)


def transform(  # noqa: PLR0913  an option each
    domain: Domain,
    wishes: Iterable[GuestSlot],
    *,
    libvirt: LibvirtVersion = OLDEST,
    prune: bool = False,
    again: bool | None = None,
    remove: Sequence[HostDevice] = (),
    mark: bool = False,
) -> Transformed:
    """Ensure that every wished device is in the domain. Nothing to do: the very bytes it was read from come back.

    `mark` gives new controllers the aliases by which `remove` and `prune` know them later.
    """
    wished = tuple(wishes)
    if not wished and not prune and not remove:
        return Transformed(domain.data)
    domain.check_hypervisor()
    held = dict(domain.host_devices)
    _check(wished, held, libvirt)
    _check_command_line(domain, wished)
    leaving = (*remove, *(_surplus(wished, held) if prune else ()))
    removal = _remove(domain, leaving, wished, libvirt) if leaving else None
    if not wished:
        return _without(domain, removal)
    held = {device: holder for device, holder in held.items() if device not in leaving}
    topology = Topology(domain, libvirt)
    _check_machine(wished, topology)
    check_conflicts(domain, topology.machine, wished, held)
    placement = place(topology, wished, held, again=again)
    done = _write(domain, topology, _mark(placement) if mark else placement, held, libvirt)
    return (
        done._replace(removal=removal, xml=domain.serialise() if done.xml is domain.data else done.xml)
        if removal
        else done
    )


def _write(
    domain: Domain,
    topology: Topology,
    placement: Placement,
    held: dict[HostDevice, DomainDevice],
    libvirt: LibvirtVersion,
) -> Transformed:
    changes = apply(domain, topology.machine, placement, held)
    check_teams(domain, libvirt, changes)
    findings = placement.findings + tuple(without_effect(domain, topology.machine, changes))
    if placement.before is not None:
        findings += _moves(placement.before, Topology(domain, libvirt))
    nothing_new = not (placement.controllers or placement.pins or placement.vacant)
    if nothing_new and all(change.action == "unchanged" for change in changes):
        # Nothing was written: what was read is what goes out.
        verify(domain, changes, ())
        return Transformed(domain.data, changes, own_findings=findings)
    output = domain.serialise()
    verify(Domain.parse(output), changes, placement.controllers)
    return Transformed(output, changes, placement.controllers, own_findings=findings)


def _mark(placement: Placement) -> Placement:
    return placement._replace(controllers=tuple(map(mark_controller, placement.controllers)))


def _without(domain: Domain, removal: Removal | None) -> Transformed:
    """Nothing but a removal."""
    if removal is None:
        return Transformed(domain.data)
    output = domain.serialise()
    verify(Domain.parse(output), (), ())
    return Transformed(output, removal=removal)


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
            if member.attributes.get("managed") == "yes" and is_made_by_kubevirt(topology.domain):
                what = "managed=yes lets libvirt take the device from its driver, and in virt-launcher's pod it cannot"
                raise Refused("attribute-not-for-machine", what, subject=wish.name, hint="leave managed out")
            shown = [key for key in ("display", "ramfb") if member.attributes.get(key, "") in _SHOWN[key]]
            if shown and topology.machine.root is RootKind.ZPCI and isinstance(member.device, Mdev):
                what = f"a mediated device of {topology.machine.name} has no display: QEMU refuses {shown[0]}"
                raise Refused("attribute-not-for-machine", what, subject=wish.name, hint=f"leave {shown[0]} out")


def _remove(
    domain: Domain, leaving: Iterable[HostDevice], wishes: tuple[GuestSlot, ...], libvirt: LibvirtVersion
) -> Removal:
    from domxml.removal import take_out_devices  # noqa: PLC0415  no hook takes anything out

    gone = tuple(dict.fromkeys(leaving))
    wanted = {member.device for wish in wishes for member in wish.functions}
    for device in gone:
        if device in wanted:
            raise BadInput(
                "device-both-ways",
                "the device is to be taken out and to be put in",
                subject=str(device),
                hint="name it once; a device is moved by `--device ADDRESS,guest=…` alone",
            )
    return take_out_devices(domain, gone, libvirt)


def _surplus(wishes: tuple[GuestSlot, ...], held: Mapping[HostDevice, DomainDevice]) -> Iterator[HostDevice]:
    """Devices that an earlier run put in, and that are not asked for now."""
    wanted = {member.device for wish in wishes for member in wish.functions}
    return (device for device, holder in held.items() if device not in wanted and holder.is_ours)


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
