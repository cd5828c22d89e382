"""The machine a command looks at, and its devices as tables and pictures show them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from domxml.errors import BadInput
from domxml.finding import Severity
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.findings.driver import NOT_BOUND_TO_VFIO
from hostdev.gate.check import verdict_of
from hostdev.gate.verdict import Verdict
from hostdev.inventory import pciids
from hostdev.inventory.devicenames import find_addresses
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.pciids import Name, Namer
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.scan import scan
from hostdev.printing import output
from hostdev.printing.cells import Cell, Tone
from hostdev.printing.output import progress

LIVE = "/"
"""The `--host` of the running machine."""


def machine_at(spec: str, *, bars: bool = False, health: bool = False) -> Machine:
    """The picture of the host that `--host` names."""
    with progress(f"looking at {spec}"), open_host(spec) as host:
        return scan(host, bars=bars, health=health)


def note_unread(seen: Machine) -> None:
    """Say on standard error what the answer had to do without."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for path, reason in seen.unread:
        by_reason[reason].append(path)
    for reason, paths in by_reason.items():
        output.note(f"note: not seen: {listed(paths)}: {reason}")


@dataclass(frozen=True, slots=True)
class Device:
    """One function with what was found out about it."""

    function: PciFunction
    name: Name
    verdict: Verdict

    @property
    def title(self) -> str:
        """Vendor and device for people."""
        return pciids.title(self.function, self.name)

    @property
    def class_name(self) -> str:
        return pciids.class_name(self.function.class_code)

    @property
    def users(self) -> tuple[str, ...]:
        """Its network interfaces and disks, and what the host needs them for."""
        parts = [(net.name, net.uses) for net in self.function.netdevs]
        parts += [(block.name, block.uses) for block in self.function.blocks]
        return tuple(": ".join([name, ", ".join(uses)]) if uses else name for name, uses in parts)

    @property
    def passes(self) -> bool:
        """It can be given to a VM as it is now."""
        return self.verdict.passes

    @property
    def reasons(self) -> tuple[str, ...]:
        """The codes of what stands in the way; without any, of what could not be seen."""
        findings = self.verdict.findings
        against = [found.code for found in findings if found.severity is Severity.ERROR]
        unseen = [found.code for found in findings if found.severity is Severity.WARNING] if self.verdict.open else []
        # Every device of the host is on a driver of the host: what else there is tells more.
        return tuple(sorted(dict.fromkeys(against or unseen), key=lambda code: code == NOT_BOUND_TO_VFIO.code))

    @property
    def word(self) -> str:
        """Yes, no, or unknown."""
        if self.passes:
            return "yes"
        return "no" if self.verdict.refused else "unknown"

    @property
    def answer(self) -> Cell:
        """Yes, or why not: the first reason and how many more there are."""
        if self.passes:
            return Cell(self.word, Tone.GOOD)
        first, *others = self.reasons
        more = f" (+{len(others)})" if others else ""
        return Cell(f"{self.word}: {first}{more}", self._tone)

    @property
    def _tone(self) -> Tone:
        if self.function.bridge:
            return Tone.FAINT
        return Tone.WARN if self.reasons == (NOT_BOUND_TO_VFIO.code,) or not self.verdict.refused else Tone.BAD


def list_devices(
    machine: Machine,
    namer: Namer,
    addresses: Iterable[PciAddress] | None = None,
    despite: frozenset[str] = frozenset(),
) -> tuple[Device, ...]:
    """The devices asked for, or all, in the order of their addresses."""
    wanted = sorted(machine.functions) if addresses is None else addresses
    return tuple(_device(machine, namer, address, despite) for address in wanted)


def accept(codes: Sequence[str], named: Collection[PciAddress] | None) -> frozenset[str]:
    """What `--despite` accepts of the devices on the command line, which must name them."""
    if codes and not named:
        raise BadInput("no-device-named", "--despite is about devices that are named", hint="add their addresses")
    return frozenset(codes)


def select(machine: Machine, words: Iterable[str]) -> tuple[PciAddress, ...] | None:
    """The functions named on a command line; None when none was."""
    return find_addresses(machine, words) or None


def _device(machine: Machine, namer: Namer, address: PciAddress, despite: frozenset[str]) -> Device:
    function = machine.functions[address]
    return Device(function, namer(function), verdict_of(machine, address, despite))
