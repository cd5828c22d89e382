"""What the kernel's log says about a device, as findings; and which other lines about it are worth showing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from domxml.finding import Evidence, Finding, FindingKind
from domxml.pciaddress import PciAddress
from domxml.text import printable
from hostdev.findings.device import DEVICE_OFF_BUS, DEVICE_POWER_STUCK
from hostdev.findings.vitals import BUS_ERROR, DEVICE_RESET_FAILED, DMA_FAULT
from hostdev.inventory.kernellog import LogLine

SOURCE = "kernel log"
MOST = 5
"""So many lines of each kind are shown."""
LONGEST = 200


class Words(NamedTuple):
    """How the kernel says something."""

    pattern: re.Pattern[str]
    kind: FindingKind
    port: bool = False
    """Said of the port above a device too."""


def _words(pattern: str, kind: FindingKind, *, port: bool = False) -> Words:
    return Words(re.compile(pattern, re.ASCII), kind, port)


WORDS = (
    # Intel's IOMMU writes no PCI domain where it is 0; with a PASID it says which.
    _words(r"DMAR: \[(?:DMA|INTR-REMAP)", DMA_FAULT),
    _words(r"AMD-Vi: (?:Event logged )?\[?(?:IO_PAGE_FAULT|INVALID_DEVICE_REQUEST|ILLEGAL_DEV_TABLE_ENTRY)", DMA_FAULT),
    _words(r"arm-smmu-v3.*\bevent: F_\w+ client:", DMA_FAULT),
    _words(r"Bus Error: severity=Uncorrect(?:able|ed) ", BUS_ERROR, port=True),
    _words(r"AER: (?:device recovery failed|can't recover)", BUS_ERROR),
    _words(r"DPC: containment event", BUS_ERROR, port=True),
    _words(r"device inaccessible|GPU has fallen off the bus", DEVICE_OFF_BUS),
    _words(r"pciehp: Slot\([^)]*\): (?:Card not present|Link Down)", DEVICE_OFF_BUS, port=True),
    _words(r"[Rr]efused to change power state", DEVICE_POWER_STUCK),
    _words(r"not ready \d+ms after [\w ]+; giving up", DEVICE_RESET_FAILED),
)
"""In words of the kernels from 4.19 to 7.2."""
WORTH = re.compile(
    r"vfio|AER|DMAR|AMD-Vi|\bnot ready\b|reset|pciehp|\bDPC\b|[Pp]ower state|iommu|nvidia|i915", re.ASCII
)
"""What else of a device's lines is shown."""


class Said(NamedTuple):
    """What a log says about one device."""

    findings: tuple[Finding, ...] = ()
    others: tuple[LogLine, ...] = ()
    """The last lines about it that are no trouble by themselves."""


def read_words(device: str, lines: Iterable[LogLine], address: PciAddress | None, parent: PciAddress | None) -> Said:
    """Sort the lines about a device; a mediated one has no address of its own."""
    of_kind: dict[str, tuple[FindingKind, list[LogLine]]] = {}
    others: list[LogLine] = []
    own = _naming(device, address)
    above = _naming(str(parent), parent) if parent else None
    for line in lines:
        names_device = own.search(line.text)
        if not names_device and not (above and above.search(line.text)):
            continue
        found = next((words for words in WORDS if words.pattern.search(line.text)), None)
        if found and (names_device or found.port):
            of_kind.setdefault(found.kind.code, (found.kind, []))[1].append(line)
        elif names_device and WORTH.search(line.text):
            others.append(line)
    findings = (_finding(device, kind, said) for kind, said in of_kind.values())
    return Said(tuple(findings), tuple(others[-MOST:]))


def _naming(device: str, address: PciAddress | None) -> re.Pattern[str]:
    """How a line names the device: in full, or in brackets without PCI domain 0 as Intel's IOMMU does."""
    spellings = [re.escape(device)]
    if address is not None:
        short = f"{address.bus:02x}:{address.slot:02x}.{address.function}"
        spellings += [rf"DMAR:.*\[{re.escape(short)}\]"] if address.domain == 0 else []
        # NVIDIA's driver names a whole slot.
        spellings.append(rf"PCI:{address.domain:04x}:{address.bus:02x}:{address.slot:02x}\b")
    return re.compile(rf"(?<![\w:.])(?:{'|'.join(spellings)})(?![\w])", re.ASCII)


def _finding(device: str, kind: FindingKind, said: list[LogLine]) -> Finding:
    last = printable(said[-1].text, LONGEST)
    times = f"{len(said)} times since the VM has it, last" if len(said) > 1 else "since the VM has it"
    return kind.found(device, f"the kernel said {times}: {last}", evidence=tuple(evidence_of(said[-MOST:])))


def evidence_of(lines: Iterable[LogLine]) -> Iterator[Evidence]:
    """Lines of the log as evidence."""
    for line in lines:
        yield Evidence(SOURCE, f"[{line.seconds:.0f} s] {printable(line.text, LONGEST)}")
