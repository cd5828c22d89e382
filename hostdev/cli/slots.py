"""`passgate slots`: every device of a domain with its guest address."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from domxml.document import Domain
from domxml.errors import ExitCode, about_file
from domxml.guestdevices import Controller, GuestDevice, GuestDevices, Place, list_guest_devices
from domxml.version import OLDEST, LibvirtVersion
from hostdev.cli.inject import read_domain
from hostdev.printing import output
from hostdev.printing.cells import Cell, Fit, Tone, dash
from hostdev.printing.documents import Document, document, emit
from hostdev.printing.fields import Field, Listing, check_form

_TONES = {Place.WRITTEN: Tone.PLAIN, Place.PLANNED: Tone.FAINT, Place.UNKNOWN: Tone.WARN}


def run(arguments: argparse.Namespace) -> int:
    """Read a domain, and list what is on its PCI buses."""
    if not check_form(LISTING, arguments):
        return ExitCode.DONE
    name = arguments.domain or "-"
    with about_file(name):
        data, findings = read_domain(name, arguments.connect)
        domain = Domain.parse(data)
    version = LibvirtVersion.parse(arguments.libvirt) if arguments.libvirt else OLDEST
    found = list_guest_devices(domain, version)
    for finding in findings:
        output.note(f"note: {finding.subject}: {finding.message}")
    if arguments.output in {"json", "yaml"}:
        emit(_document(found), arguments.output)
        return ExitCode.DONE
    rows = list(found.devices)
    if arguments.output == "wide":
        rows = sorted((*rows, *_buses(found)), key=lambda one: (one.address is None, one.address or ()))
    LISTING.write(arguments, LISTING.sorted(rows, arguments.sort))
    _tell(found)
    return ExitCode.DONE


def _tell(found: GuestDevices) -> None:
    if found.refusal:
        output.note(f"note: libvirt would refuse this domain as it is: {found.refusal}")
    if found.unknown:
        output.note(f"note: where libvirt will put the others is not known: {'; '.join(found.unknown)}")
    if not found.devices:
        output.note("note: no device of this domain is on a PCI bus")


def _buses(found: GuestDevices) -> Iterator[GuestDevice]:
    """PCI controllers are devices, too; the root bus is none."""
    buses = {controller.number: controller for controller in found.controllers}
    for index, one in buses.items():
        if index:
            parent = None if one.address is None else buses.get(one.address.bus)
            yield GuestDevice("controller", f"pci {index}", None, one.address, one.place, parent, one.ours)


def _port(device: GuestDevice) -> str:
    controller = device.controller
    return "-" if controller is None else f"{controller.model} {controller.number}"


FIELDS: tuple[Field[GuestDevice], ...] = (
    Field("GUEST ADDRESS", "where it is in the guest", lambda d: dash(d.address), order=lambda d: d.address),
    Field("DEVICE", "the element of the domain", lambda d: d.element),
    Field("NAME", "its target, alias, MAC address or model", lambda d: dash(d.name), Fit.CUT, least=8),
    Field("SOURCE", "the device of the host", lambda d: dash(d.source)),
    Field("ON", "the PCI controller it sits on", _port, spare=1),
    Field("PLACE", "written, planned by libvirt, or unknown", lambda d: Cell(str(d.place), _TONES[d.place])),
    Field("OURS", "whether passgate put it there", lambda d: "yes" if d.ours else "-", spare=2),
)
LISTING = Listing(FIELDS, tuple(f.name for f in FIELDS), tuple(f.name for f in FIELDS))


def _document(found: GuestDevices) -> Document:
    return document(
        "SlotList",
        domain=found.domain,
        machine=found.machine,
        unknown=list(found.unknown),
        refusal=found.refusal or None,
        items=[_device(device) for device in found.devices],
        controllers=[_controller(one) for one in found.controllers],
    )


def _device(device: GuestDevice) -> Document:
    on = device.controller
    return {
        "element": device.element,
        "name": device.name,
        "source": None if device.source is None else str(device.source),
        "guestAddress": None if device.address is None else str(device.address),
        "place": str(device.place),
        "controller": None if on is None else {"index": on.number, "model": on.model},
        "ours": device.ours,
    }


def _controller(controller: Controller) -> Document:
    return {
        "index": controller.number,
        "model": controller.model,
        "guestAddress": None if controller.address is None else str(controller.address),
        "place": str(controller.place),
        "ours": controller.ours,
    }
