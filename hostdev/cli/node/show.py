"""`passgate node show`: everything about a device, or about several."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from domxml.document import Domain
from domxml.text import listed
from hostdev.cli import devices, documents
from hostdev.cli.devices import Device
from hostdev.cli.selection import find_meant, read_words
from hostdev.gate.group import group_verdict
from hostdev.gate.verdict import MemberVerdict
from hostdev.inject.plan import MUCH
from hostdev.inventory import pciids
from hostdev.inventory.bars import Bar, Bars, bar_text, size_text
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.printing import findings
from hostdev.printing.cells import Cell, Tone
from hostdev.printing.documents import document, emit
from hostdev.printing.fields import write_lines
from hostdev.printing.screen import Screen

LABEL = 14
LEAST_BITS, MOST_BITS = 40, 52


def run(arguments: argparse.Namespace) -> int:
    machine = devices.machine_at(arguments.host, bars=True, health=True)
    names = pciids.namer(arguments.pci_ids, live=arguments.host == devices.LIVE)
    meant = find_meant(machine, names, read_words(arguments.address, arguments), arguments.despite)
    if arguments.output == "text":
        screen = Screen.of(arguments.color)
        for number, device in enumerate(meant.devices):
            if number:
                screen.line()
            _print(screen, machine, device)
    elif arguments.output == "jsonl":
        write_lines(map(documents.device, meant.devices))
    elif meant.single:
        (device,) = meant.devices
        emit(document("Device", machine=documents.origin(machine), **documents.device(device)), arguments.output)
    else:
        emit(documents.device_list(machine, meant.devices), arguments.output)
    devices.note_unread(machine)
    found = (finding for device in meant.devices for finding in device.verdict.findings)
    return findings.exit_code(found, arguments.fail_on)


def _print(screen: Screen, machine: Machine, device: Device) -> None:
    function = device.function
    screen.line(Cell(str(function.address), Tone.STRONG), f"  {device.class_name}  {device.title}")
    for label, text in _facts(machine, device):
        screen.folded(Cell(f"  {label:<{LABEL}}", Tone.FAINT), text, hang=LABEL + 2)
    screen.line(Cell(f"  {'passthrough':<{LABEL}}", Tone.FAINT), device.answer)
    for found in sorted(device.verdict.findings, key=lambda found: -found.severity.rank):
        screen.line()
        for row in findings.finding_rows(found, evidence=True):
            screen.folded(*row, hang=len(findings.INDENT))


def _facts(machine: Machine, device: Device) -> Iterator[tuple[str, str]]:
    """Labels and texts; what does not apply is left out."""
    function = device.function
    yield "ids", _ids(device)
    yield "role", _role(function)
    yield "driver", _driver(function)
    yield from _group(machine, function)
    yield "numa node", "-" if function.numa_node is None else str(function.numa_node)
    above = [str(function.parent)] if function.parent else []
    yield "below", " of ".join([*above, function.root or "-"])
    if function.total_vfs:
        probed = {True: ", probed by drivers", False: ", not probed by drivers", None: ""}[function.vf_autoprobe]
        yield "vfs", f"{function.num_vfs or 0} of {function.total_vfs}{probed}"
    if not function.bridge:
        yield "reset", "?" if function.reset_methods is None else ", ".join(function.reset_methods) or "none"
    yield from _bars(machine, function)
    yield "host use", _use(function)
    yield from _users(function)


def _bars(machine: Machine, function: PciFunction) -> Iterator[tuple[str, str]]:
    """Its BARs, ROM, and the BARs that each of its VFs has."""
    bars = function.bars
    if bars is None:
        yield "bars", "unknown: not recorded, or not to be read"
        return
    if bars.own or not function.bridge:
        yield "bars", "; ".join(_bar(bar, bars) for bar in bars.own) or "none"
    if bars.rom:
        yield "rom", size_text(bars.rom)
    if not function.bridge and sum(bar.size for bar in bars.own) >= MUCH:
        yield "guest room", _room(machine, function.class_code, bars)
    if function.total_vfs and bars.vfs:
        # The VFs that there are tell it exactly.
        vf = next((machine.functions[vf].bars for vf in function.virtfns if vf in machine.functions), None)
        yield "bars of a vf", "; ".join(map(bar_text, vf.own if vf else bars.vfs))


_GUEST = """<domain type='kvm'><name>guest</name><memory unit='GiB'>8</memory>
<os firmware='efi'><type arch='x86_64' machine='pc-q35-8.2'>hvm</type></os>
<cpu mode='host-passthrough'/><devices><controller type='pci' index='0'
model='pcie-root'/><controller type='pci' index='1' model='pcie-root-port'/><hostdev mode='subsystem' type='pci'>
<source><address domain='0' bus='1' slot='0' function='0'/></source><address type='pci' domain='0' bus='1' slot='0'
function='0'/></hostdev><memballoon model='virtio'/></devices></domain>"""
"""A small one, with a device behind a port of its own."""


def _room(machine: Machine, class_code: int, bars: Bars) -> str:
    """From how many physical bits of a guest's processor on its firmware has room for one such device."""
    from hostdev.fit.firmware import parse_firmware  # noqa: PLC0415  for large devices
    from hostdev.fit.fit import fit  # noqa: PLC0415
    from hostdev.fit.inputs import AMD, INTEL, HostFunction, Node, vendor_of  # noqa: PLC0415
    from hostdev.fit.solution import Outcome  # noqa: PLC0415

    domain, firmware = Domain.parse(_GUEST.encode()), parse_firmware("ovmf-2025.02")
    known = dict.fromkeys(domain.host_devices, HostFunction(bars.own, class_code, bars.rom))
    told = vendor_of(machine.cpu.vendor)
    for bits in range(LEAST_BITS, MOST_BITS + 1):
        nodes = [Node(vendor) for vendor in ((told,) if told else (INTEL, AMD))]
        found = {fit(domain, known, node, firmware=firmware, bits=bits).outcome for node in nodes}
        if found == {Outcome.FITS}:
            return f"one fits from {bits} physical bits of the guest's processor on (OVMF 2025.02, passgate fit)"
    return "no guest has room for it (OVMF 2025.02, passgate fit)"


def _bar(bar: Bar, bars: Bars) -> str:
    parts = [bar_text(bar)]
    if bar.index in bars.resizable:
        parts.append("resizable")
    if bar.index in bars.unplaced:
        parts.append("without an address on this host")
    return ", ".join(parts)


def _use(function: PciFunction) -> str:
    signs = function.use.used or function.use.unknown
    return ": ".join(filter(None, (function.use.value, listed((sign.what for sign in signs), 2))))


def _users(function: PciFunction) -> Iterator[tuple[str, str]]:
    for net in function.netdevs:
        words = [net.name, "up" if net.up else "down", *net.uses]
        yield "interface", ", ".join(words)
    for block in function.blocks:
        yield "disk", ", ".join([block.name, *block.uses])
    if function.boot_vga:
        yield "display", "the firmware's first"
    for kind in function.mdev_types:
        yield "mdev type", f"{kind.name} ({kind.title}), {kind.available} available"
    for mdev in function.mdevs:
        yield "mdev", f"{mdev.uuid} of {mdev.type}"


def _ids(device: Device) -> str:
    function = device.function
    text = f"{pciids.ids(function)}, class {function.class_code:06x}"
    if function.subsystem_vendor is None or function.subsystem_device is None:
        return text
    named = f" ({device.name.subsystem})" if device.name.subsystem else ""
    return f"{text}, subsystem {function.subsystem_vendor:04x}:{function.subsystem_device:04x}{named}"


def _role(function: PciFunction) -> str:
    return f"{function.role} of {function.physfn}" if function.physfn else str(function.role)


def _driver(function: PciFunction) -> str:
    text = function.driver or "-"
    if function.vfio_dev:
        text += f" ({function.vfio_dev})"
    return f"{text}, override {function.driver_override}" if function.driver_override else text


def _group(machine: Machine, function: PciFunction) -> Iterator[tuple[str, str]]:
    """Its IOMMU group, and a sentence for each other member."""
    group = machine.group_of(function.address)
    if group is None:
        yield "group", "-" if function.group is None else f"{function.group}, which could not be read"
        return
    verdict = group_verdict(machine, group)
    others = [member for member in verdict.members if member.address != function.address]
    if not others:
        yield "group", f"{group.number}, alone"
        return
    yield (
        "group",
        f"{group.number}, shared with {len(others)} {'other' if len(others) == 1 else 'others'}; {_blocking(others)}",
    )
    for member in others:
        yield "also in it", f"{member.name} {member.why}{' and blocks the group' if member.blocks else ''}"


def _blocking(others: Sequence[MemberVerdict]) -> str:
    count = sum(member.blocks for member in others)
    if count:
        return f"{count} {'blocks' if count == 1 else 'block'} it"
    return "none blocks it" if all(member.seen for member in others) else "not all of them could be looked at"
