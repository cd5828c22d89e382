"""What this host says of the devices that a text names: the gate, the group's members, who holds them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from domxml.finding import Severity
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.cli import devices
from hostdev.cli.node import groups
from hostdev.explain.explanation import Explained
from hostdev.explain.values import Values
from hostdev.findings.explain import LOOK
from hostdev.findings.group import GROUP_NOT_VIABLE
from hostdev.findings.registry import DEVICE, DOCTOR
from hostdev.findings.trouble import Nature
from hostdev.gate.check import MDEVS, platform_findings, verdict_of
from hostdev.gate.group import group_verdict
from hostdev.gate.rule import DEVICES
from hostdev.holders.inquiry import Inquiry, describe_holders
from hostdev.inventory import pciids
from hostdev.inventory.machine import Machine, Mdev
from hostdev.inventory.recorded.layout import open_host
from hostdev.printing import output
from hostdev.printing.screen import Screen

_MOST_DEVICES, _MOST_GROUPS = 4, 4
_NUMBER = re.compile(r"[0-9]{1,7}", re.ASCII)


class HostDevice(NamedTuple):
    """A device of the host that a text named, as the host has it now."""

    address: str
    answer: str
    """Whether it can be passed through, or the first code of what stands in the way."""
    codes: tuple[str, ...] = ()
    group: int | None = None
    members: tuple[str, ...] = ()
    """The others that keep its group from a VM."""
    holder: str = ""
    confirmed: tuple[str, ...] = ()
    """What the text says of it, and the host shows too."""
    absent: tuple[str, ...] = ()
    """What the text says of it, and the host does not show, though it would."""
    unseen: bool = False
    """Something that matters could not be looked at."""
    stops: tuple[str, ...] = ()
    """What keeps it from a VM, as the host has it now."""


class Seen(NamedTuple):
    """What was looked at."""

    host: str = ""
    """Empty: nothing was looked at."""
    machine: Machine | None = None
    devices: tuple[HostDevice, ...] = ()
    missing: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    mdevs: Mapping[str, Mdev | None] = MappingProxyType({})
    """The mediated devices that a text named, as the host has them; None: it has none of that UUID."""


def look(host: str | None, items: Sequence[Explained]) -> Seen:
    """Look at the host that was named; at this one only if it has a device of that address."""
    values = reduce(Values.joined, (item.values for item in items), Values())
    addresses, uuids = values.addresses[:_MOST_DEVICES], values.uuids[:_MOST_DEVICES]
    named = tuple(int(number) for number in values.groups[:_MOST_GROUPS] if _NUMBER.fullmatch(number))
    if host is None:
        addresses = tuple(address for address in addresses if Path(DEVICES, address).exists())
        uuids = tuple(uuid for uuid in uuids if Path(MDEVS, uuid).exists())
        if not addresses and not uuids:
            return Seen(groups=named)
        host = devices.LIVE
    elif not addresses and not named and not uuids:
        return Seen()
    machine = devices.machine_at(host)
    known = {str(address): address for address in machine.functions}
    found = tuple(
        _device(host, machine, known[address], _said_of(address, items)) for address in addresses if address in known
    )
    missing = tuple(address for address in addresses if address not in known)
    return Seen(host, machine, found, missing, named, {uuid: machine.mdevs.get(uuid) for uuid in uuids})


def _said_of(address: str, items: Sequence[Explained]) -> tuple[str, ...]:
    return tuple(item.code for item in items if item.nature is Nature.CAUSE and address in item.values.addresses)


def _device(host: str, machine: Machine, address: PciAddress, said: Sequence[str]) -> HostDevice:
    function = machine.functions[address]
    verdict = verdict_of(machine, address)
    found = sorted(verdict.findings, key=lambda finding: -finding.severity.rank)
    stops = tuple(dict.fromkeys(finding.code for finding in found if finding.severity is Severity.ERROR))
    group = machine.group_of(address)
    blocking = () if group is None else group_verdict(machine, group).blockers
    shown = {finding.code for finding in (*found, *platform_findings(machine))}
    if blocking:
        # The kernel says so of a device that is on the host's driver itself, too.
        shown.add(GROUP_NOT_VIABLE.code)
    return HostDevice(
        str(address),
        "yes" if verdict.passes else stops[0] if stops else "unknown",
        tuple(dict.fromkeys(finding.code for finding in found)),
        function.group,
        tuple(one.name for one in blocking if one.address != address),
        _holder(host, machine, address),
        tuple(code for code in said if code in shown),
        tuple(code for code in said if LOOK.get(code) in {DEVICE, DOCTOR} and code not in shown),
        verdict.open,
        stops,
    )


def _holder(host: str, machine: Machine, address: PciAddress) -> str:
    if host != devices.LIVE:
        return ""
    with open_host(host) as opened:
        claims = Inquiry(opened, root=Path(host)).ask(machine, machine.functions[address]).claims
    return describe_holders(claims) if claims else ""


def show(screen: Screen, seen: Seen) -> None:
    """Say what was found, or which command would."""
    if seen.machine is None:
        if seen.groups:
            command = f"`passgate node groups {' '.join(map(str, seen.groups))}`"
            output.note(f"note: {command} shows the group on its node; --host does it here")
        return
    for number in seen.groups or tuple(one.group for one in seen.devices if one.group is not None):
        _show_group(screen, seen.machine, number)
    for sentence in _sentences(seen):
        output.note(f"note: {sentence}")
    devices.note_unread(seen.machine)


def _show_group(screen: Screen, machine: Machine, number: int) -> None:
    group = machine.groups.get(number)
    if group is None:
        output.note(f"note: {machine.source} has no group {number}: the text is another host's, or of another boot")
        return
    output.write("\n")
    names = pciids.namer(None, live=machine.source == devices.LIVE)
    members = groups.member_rows(machine, names, group_verdict(machine, group))
    fields = groups.LISTING.chosen(None, "table")
    screen.table([field.column for field in fields], [tuple(field.text(row) for field in fields) for row in members])


def _sentences(seen: Seen) -> Iterator[str]:
    where = "this host" if seen.host == devices.LIVE else seen.host
    for device in seen.devices:
        yield f"on {where}: {device.address} {'; '.join(_parts(device))}"
    for uuid, mdev in seen.mdevs.items():
        if mdev is None:
            yield f"on {where} there is no mediated device {uuid}: the text is another host's, or it was removed"
        else:
            yield f"on {where}: the mediated device {uuid} is there, of {mdev.parent}"
    for address in seen.missing:
        yield f"on {where} there is no {address}: the text is another host's, or the device is gone"


def _parts(device: HostDevice) -> Iterator[str]:
    """What the text says comes first, and whether the host bears it out."""
    if device.confirmed:
        yield f"is as the text says: {listed(device.confirmed)}"
    if device.absent and device.unseen:
        yield f"does not tell whether {listed(device.absent)} is so: not all could be seen"
    elif device.absent:
        yield f"does not show {listed(device.absent)} now: it may have changed since, or the text is another host's"
    others = [code for code in device.stops if code not in device.confirmed]
    if device.answer == "yes":
        yield "can be passed through"
    elif device.answer == "unknown":
        yield "whether it can be passed through is not known"
    elif others:
        yield f"{'besides' if device.confirmed else 'here'} {listed(others)}"
    if device.members:
        verb = "stands" if len(device.members) == 1 else "stand"
        yield f"in its group {listed(device.members)} {verb} in the way"
    if device.holder:
        yield f"held by {device.holder}"
