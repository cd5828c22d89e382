"""From what a device is called to functions of a machine: an address, ids, an IOMMU group, an interface, a disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from domxml.errors import BadInput, PassgateError, Refused
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice
from domxml.source import Mdev as SourceMdev
from domxml.text import listed, nearest, printable
from hostdev.findings.device import DEVICE_MISSING, MDEV_MISSING
from hostdev.inventory import pciids
from hostdev.inventory.machine import BlockDevice, Machine, Mdev, NetDevice, PciFunction

FORMS = (
    "an address (3d:02.2), a slot (3d:02), an interface (ens1f0), a disk (nvme0n1), ids (8086:37c9) "
    "or an IOMMU group (group:43)"
)
"""How a device is called, for sentences."""
EXAMPLES = (
    ("3d:02.2", "a PCI address; PCI domain 0000 may be left out, and pci_0000_3d_02_2 is one too"),
    ("3d:02", "a slot: every function in it"),
    ("8086:37c9, 8086:", "vendor and device, or a vendor: every such function"),
    ("group:43, iommu:43, 43", "an IOMMU group: every function in it"),
    ("ens1f0", "a network interface"),
    ("nvme0n1, sda1", "a disk, or a partition of it"),
    ("vfio0", "a device below /dev/vfio/devices"),
    ("/sys/…, /dev/…", "a path of one of these, such as /dev/vfio/43"),
)
"""The same one by one."""

_SLOT = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([01][0-9a-f])(?:\.\*)?", re.ASCII | re.IGNORECASE)
_IDS = re.compile(r"(?:0x)?([0-9a-f]{4}):(?:(?:0x)?([0-9a-f]{4})|\*?)", re.ASCII | re.IGNORECASE)
_GROUP = re.compile(r"(?:(?:group|iommu|iommu_group)[:=])?([0-9]{1,9})", re.ASCII | re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_ON_PATH = re.compile(r"/([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])(?=/|$)", re.ASCII)
_GROUP_PATH = re.compile(r"/(?:dev/vfio|sys/kernel/iommu_groups)/([0-9]+)(?:/.*)?", re.ASCII)
_PARTITION = re.compile(r"p?[0-9]+", re.ASCII)
_NEAR = 3


class Calling(StrEnum):
    """The way in which a word names devices."""

    ADDRESS = "address"
    SLOT = "slot"
    IDS = "ids"
    GROUP = "IOMMU group"
    INTERFACE = "interface"
    DISK = "disk"
    VFIO = "VFIO device"
    MDEV = "mediated device"


class Called(NamedTuple):
    """The functions that a word names, in the order of their addresses, and how it does."""

    calling: Calling
    functions: tuple[PciFunction, ...]
    mdev: Mdev | None = None
    """The mediated device of which the function is the parent."""
    group: int | None = None
    """The IOMMU group that the word is."""


def find_addresses(machine: Machine, words: Iterable[str]) -> tuple[PciAddress, ...]:
    """Find the functions that words name, each once; a word that names none is refused with what is near."""
    found: dict[PciAddress, None] = {}
    for word in words:
        called = find_called(machine, word)
        if called.mdev is not None:
            what = f"is a mediated device of {called.mdev.parent} and no PCI device itself"
            raise BadInput("nothing-selected", what, subject=word, hint=f"name {called.mdev.parent}")
        if not called.functions:
            raise BadInput("nothing-selected", "holds no PCI device", subject=word, hint="`passgate node groups`")
        found.update((function.address, None) for function in called.functions)
    return tuple(found)


def find_one(machine: Machine, word: str) -> HostDevice:
    """Find the one device that a word names, a mediated one too; a word that names several is refused."""
    called = find_called(machine, word)
    if called.mdev is not None:
        return SourceMdev(called.mdev.uuid)
    (address, *others) = find_addresses(machine, [word])
    if others:
        what = f"names {len(others) + 1} devices by their {called.calling}: {listed([address, *others])}"
        raise BadInput("nothing-selected", what, subject=word, hint=f"name one of them, such as {address}")
    return address


def find_groups(machine: Machine, words: Iterable[str]) -> tuple[int, ...]:
    """Find the IOMMU groups that words name: by their numbers, or by a device in them."""
    found: dict[int, None] = {}
    for word in words:
        called = find_called(machine, word)
        numbers = _numbers(called, word)
        for number in numbers:
            if number not in machine.groups:
                what = f"is in IOMMU group {number}, which could not be read"
                raise BadInput("nothing-selected", what, subject=word, hint=f"`passgate node show {word}`")
        found.update(dict.fromkeys(numbers))
    return tuple(found)


def find_called(machine: Machine, word: str) -> Called:
    """Find what one word names, in whichever way."""
    text = _without_directory(word)
    found = [*_meanings(machine, text)]
    if len(found) > 1:
        said = " and ".join(f"{_article(one.calling)} ({listed(f.address for f in one.functions)})" for one in found)
        number = f"group:{text}" if any(one.calling is Calling.GROUP for one in found) else "the address"
        raise BadInput("nothing-selected", f"means {said}", subject=word, hint=f"name it by {number}")
    return found[0] if found else _refuse(machine, word, text)


def is_plain_word(machine: Machine, text: str) -> bool:
    """Whether it names nothing on this machine, and has the shape of no address, ids, number or UUID either."""
    shaped = set(":.") & set(text) or text.startswith(("pci_", "/")) or _UUID.fullmatch(text) or _GROUP.fullmatch(text)
    return not shaped and not any(_meanings(machine, text))


def _numbers(called: Called, word: str) -> list[int]:
    """The groups of what a word names: of a mediated device its own."""
    if called.group is not None:
        return [called.group]
    members = [called.mdev.group] if called.mdev else [function.group for function in called.functions]
    numbers = sorted({number for number in members if number is not None})
    if not numbers:
        raise BadInput("nothing-selected", "is in no IOMMU group", subject=word, hint="`passgate node doctor` says why")
    return numbers


def _meanings(machine: Machine, text: str) -> Iterator[Called]:
    """What a text names on this machine; more than one only where a name is also a number."""
    functions = [function for _, function in sorted(machine.functions.items())]
    address = _address(text)
    if address is not None:
        if address in machine.functions:
            yield Called(Calling.ADDRESS, (machine.functions[address],))
        return
    if slot := _SLOT.fullmatch(text):
        wanted = _slot(slot)
        here = tuple(f for f in functions if f.address.slot_address == wanted)
        if here:
            yield Called(Calling.SLOT, here)
        return
    if wanted_ids := _ids(text):
        alike = tuple(f for f in functions if wanted_ids in {pciids.ids(f), f"{f.vendor:04x}:"})
        if alike:
            yield Called(Calling.IDS, alike)
        return
    if text.lower() in machine.mdevs:
        mdev = machine.mdevs[text.lower()]
        yield Called(Calling.MDEV, tuple(f for f in functions if f.address == mdev.parent), mdev)
    number = _group(text)
    if number is not None and (number in machine.groups or any(f.group == number for f in functions)):
        yield Called(Calling.GROUP, tuple(f for f in functions if f.group == number), group=number)
    yield from _named(functions, text)


def _named(functions: Iterable[PciFunction], text: str) -> Iterator[Called]:
    """The functions that have an interface, a disk or a VFIO device of this name."""
    for calling, names in _NAMES.items():
        here = tuple(f for f in functions if text in names(f))
        if not here and calling is Calling.DISK:
            here = tuple(f for f in functions if any(_is_part(text, name) for name in names(f)))
        if here:
            yield Called(calling, here)


_NAMES: Mapping[Calling, Callable[[PciFunction], list[str]]] = {
    Calling.INTERFACE: lambda function: [net.name for net in function.netdevs],
    Calling.DISK: lambda function: [block.name for block in function.blocks],
    Calling.VFIO: lambda function: [function.vfio_dev] if function.vfio_dev else [],
}


def _is_part(text: str, disk: str) -> bool:
    """Whether it is a partition of a disk, or the controller of an NVMe drive: nvme0n1p2 or nvme0 of nvme0n1."""
    if text.startswith("nvme") and disk.startswith(f"{text}n") and text[4:].isdigit():
        return True
    return text.startswith(disk) and bool(_PARTITION.fullmatch(text.removeprefix(disk)))


def _without_directory(word: str) -> str:
    """The name at the end of a path below /sys or /dev, as a shell completes it."""
    if not word.startswith("/"):
        return word
    addresses = _ON_PATH.findall(word)
    if addresses:
        return str(addresses[-1])
    group = _GROUP_PATH.fullmatch(word)
    return f"group:{group[1]}" if group else word.rstrip("/").rpartition("/")[2]


def _address(text: str) -> PciAddress | None:
    try:
        return PciAddress.parse(text)
    except BadInput:
        return None


def _slot(found: re.Match[str]) -> PciAddress:
    return PciAddress(int(found[1] or "0", 16), int(found[2], 16), int(found[3], 16), 0)


def _ids(text: str) -> str:
    """`8086:37c9`, or `8086:` for all of a vendor; empty where it is neither."""
    found = _IDS.fullmatch(text)
    return f"{found[1]}:{found[2] or ''}".lower() if found else ""


def _group(text: str) -> int | None:
    found = _GROUP.fullmatch(text)
    return int(found[1]) if found else None


def _refuse(machine: Machine, word: str, text: str) -> Called:
    """Refuse a word that names nothing: what was looked for, and what is near."""
    address = _address(text)
    if address is not None:
        raise _missing(machine, str(address), address)
    if slot := _SLOT.fullmatch(text):
        raise _missing(machine, word, _slot(slot))
    if ids := _ids(text):
        raise _no_such_ids(machine, ids)
    if _UUID.fullmatch(text):
        raise MDEV_MISSING.refused(text.lower(), f"there is no such mediated device on {machine.source}")
    number = _group(text)
    if number is not None:
        raise _no_such_group(machine, number)
    if set(":.") & set(text) or text.startswith("pci_"):
        PciAddress.parse(text)
    raise _unknown(machine, text)


def _missing(machine: Machine, subject: str, wanted: PciAddress) -> PassgateError:
    near = sorted(sorted(machine.functions, key=lambda one: [abs(a - b) for a, b in zip(one, wanted, strict=True)])[:3])
    hint = f"the nearest are {listed(near)}" if near else "no PCI device was found there at all"
    return DEVICE_MISSING.refused(subject, f"there is no such device on {machine.source}", hint)


def _no_such_ids(machine: Machine, ids: str) -> BadInput:
    vendor, _, device = ids.partition(":")
    there = dict.fromkeys(pciids.ids(f) for _, f in sorted(machine.functions.items()) if not f.bridge)
    alike = [one for one in there if one.startswith(f"{vendor}:")]
    near = nearest(ids, alike or there, cutoff=0.8) if device else None
    hint = f"did you mean {near}?" if near else f"there are {listed(alike or there, 12)}"
    what = f"no device on {machine.source} has " + (f"the ids {ids}" if device else f"the vendor {vendor}")
    return BadInput("nothing-selected", what, hint=hint if there else "no PCI device was found there at all")


def _no_such_group(machine: Machine, number: int) -> Refused:
    near = sorted(machine.groups, key=lambda group: (abs(group - number), group))[:_NEAR]
    hint = f"the nearest are {listed(near)}" if near else "there are no IOMMU groups at all"
    return Refused("group-missing", f"there is no IOMMU group {number} on {machine.source}", hint=hint)


def _unknown(machine: Machine, text: str) -> BadInput:
    functions = machine.functions.values()
    names = [name for names in _NAMES.values() for function in functions for name in names(function)]
    near = nearest(text, names)
    below = dict.fromkeys(_below(functions, text))
    hint = f"a device is named by {FORMS}; `passgate node list -o wide` shows them"
    if below:
        hint = f"it lies on {listed(below)}; name one of these"
    elif near:
        hint = f"did you mean {near}?"
    what = f"{printable(text)!r} names no device on {machine.source}"
    return BadInput("nothing-selected", what, hint=hint)


def _below(functions: Iterable[PciFunction], upper: str) -> Iterator[str]:
    """The interfaces and disks on which a bond, a bridge or a volume of this name lies."""
    for function in functions:
        users: tuple[NetDevice | BlockDevice, ...] = (*function.netdevs, *function.blocks)
        for user in users:
            if any(upper and use.endswith(f" {upper}") for use in user.uses):
                yield user.name


def _article(calling: Calling) -> str:
    return f"{'an' if str(calling)[0] in 'aeiouI' else 'a'} {calling}"
