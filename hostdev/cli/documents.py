"""The JSON and YAML documents; their keys are a contract, written down in docs/schema."""

from __future__ import annotations

from collections.abc import Iterable

from hostdev.cli.devices import Device
from hostdev.gate.verdict import GroupVerdict, MemberVerdict
from hostdev.inventory import pciids
from hostdev.inventory.bars import Bars
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.printing.documents import Document, document, emit, plain

__all__ = ["Document", "document", "emit", "plain"]


_HEX = {"vendor": 4, "device": 4, "classCode": 6, "subsystemVendor": 4, "subsystemDevice": 4}


def origin(machine: Machine) -> Document:
    """The source of an answer, and what was not seen."""
    return {
        "source": machine.source,
        "kernel": machine.kernel.release or None,
        "unread": [{"path": path, "reason": reason} for path, reason in machine.unread],
    }


def device(shown: Device) -> Document:
    """A function with its names and its verdict."""
    return {
        **function(shown.function),
        "id": pciids.ids(shown.function),
        "title": shown.title,
        "name": {"class": shown.class_name, **plain(shown.name)},
        "passthrough": {
            "passes": shown.passes,
            "complete": not shown.verdict.open,
            "findings": [finding.as_dict() for finding in shown.verdict.findings],
        },
    }


def device_list(machine: Machine, shown: Iterable[Device]) -> Document:
    """The kind DeviceList."""
    return document("DeviceList", machine=origin(machine), items=[device(one) for one in shown])


def group_list(machine: Machine, verdicts: Iterable[GroupVerdict]) -> Document:
    """The kind GroupList."""
    return document("GroupList", machine=origin(machine), items=[_group(machine, verdict) for verdict in verdicts])


def picture(machine: Machine) -> Document:
    """The kind Machine: everything passgate knows of a host."""
    return document(
        "Machine",
        machine=origin(machine),
        kernel=plain(machine.kernel),
        cpu=plain(machine.cpu),
        iommu=plain(machine.iommu),
        vfio=plain(machine.vfio),
        functions=[function(one) for _, one in sorted(machine.functions.items())],
        groups=[plain(group) for _, group in sorted(machine.groups.items())],
        mdevs=[plain(mdev) for _, mdev in sorted(machine.mdevs.items())],
    )


def function(shown: PciFunction) -> Document:
    """A function as the kernel shows it, numbers as sysfs writes them."""
    document = plain(shown)
    for name, digits in _HEX.items():
        value = document[name]
        document[name] = None if value is None else f"0x{value:0{digits}x}"
    document["use"] = {"value": str(shown.use.value), **document["use"]}
    return {**document, **bars_of(shown.bars), "hasBars": shown.has_bars, "role": str(shown.role)}


def bars_of(bars: Bars | None) -> Document:
    """The BARs of one function; null: not looked at, not recorded, or not to be read."""
    if bars is None:
        return dict.fromkeys(("bars", "romSize", "vfBars"))
    told = [
        {**plain(bar._asdict()), "resizable": bar.index in bars.resizable, "placed": bar.index not in bars.unplaced}
        for bar in bars.own
    ]
    return {"bars": told, "romSize": bars.rom, "vfBars": [plain(bar._asdict()) for bar in bars.vfs]}


def _group(machine: Machine, verdict: GroupVerdict) -> Document:
    return {
        "id": verdict.number,
        "viable": verdict.viable,
        "complete": not verdict.open,
        "type": machine.groups[verdict.number].type,
        "members": [_member(machine, member) for member in verdict.members],
    }


def _member(machine: Machine, member: MemberVerdict) -> Document:
    function = None if member.address is None else machine.functions.get(member.address)
    return {
        "address": plain(member.address),
        "name": member.name,
        "driver": None if function is None else function.driver,
        "role": None if function is None else str(function.role),
        "blocks": member.blocks,
        "why": member.why,
    }
