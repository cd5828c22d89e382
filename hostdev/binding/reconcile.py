"""From one look at a node, and what differs there from its declared state, to the changes that mend it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.binding.bootline import Boot, read_boot
from hostdev.binding.drift import AUTO, Item, compare
from hostdev.binding.drivers import UNKNOWN, Drivers, find_drivers
from hostdev.binding.effects import Effects, effects_of
from hostdev.binding.plan import bind, unbind
from hostdev.binding.state import DeviceEntry, NodeState, VfEntry
from hostdev.binding.vfs import HOST, vfs
from hostdev.binding.vfsettings import UNREAD, Readings, When, of_one_vf, read_settings, read_vf_settings, set_one
from hostdev.findings.nodestate import ENTRY_UNMATCHED
from hostdev.findings.platform import HOST_UNREADABLE
from hostdev.findings.sriov import SETTINGS_NOT_READ
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.vfiodrivers import vfio_driver


class Change(NamedTuple):
    """One transaction, and the items that it mends: devices that go to one driver together, or a PF with its VFs."""

    items: tuple[Item, ...]
    effects: Effects

    @property
    def entry(self) -> str:
        """The places of its entries."""
        return ", ".join(dict.fromkeys(item.entry.place for item in self.items))

    @property
    def devices(self) -> tuple[PciAddress, ...]:
        """The devices of its items, in order."""
        return tuple(item.device for item in self.items if item.device is not None)

    @property
    def entry_and_devices(self) -> str:
        """Which change of a file it is, whenever it is planned."""
        return f"{self.entry} {' '.join(map(str, self.devices))}"

    @property
    def despite(self) -> frozenset[str]:
        """What all of its entries accept: what one says is of its own device alone."""
        return _accepted(self.items)

    @property
    def what(self) -> str:
        """As the journal calls it."""
        return f"node state {self.entry}: {listed(self.devices, 4)}"


def _accepted(items: Iterable[Item]) -> frozenset[str]:
    first, *others = (item.entry.despite for item in items)
    return first.intersection(*others)


def plan_changes(
    state: NodeState,
    machine: Machine,
    drivers: Drivers = UNKNOWN,
    despite: frozenset[str] = frozenset(),
    *,
    readings: Readings = UNREAD,
) -> tuple[Change, ...]:
    """Every item of a state with what would make it so; one that is held has nothing to do."""
    items = compare(state, machine, readings)
    planner = _Planner(machine, drivers, despite, items, readings)
    return tuple(Change(batch, planner.effects(batch)) for batch in _batches(items, machine))


class Seen(NamedTuple):
    """A node as it was looked at: all that a state is compared with."""

    machine: Machine
    drivers: Drivers
    boot: Boot
    readings: Readings

    def plan(self, state: NodeState, despite: frozenset[str]) -> tuple[Change, ...]:
        """What would make it so."""
        return plan_changes(state, self.machine, self.drivers, despite, readings=self.readings)


def look_at_node(host: Host, states: Collection[NodeState], take_picture: Callable[[Host], Machine]) -> Seen:
    """Look at all that decides about these states."""
    machine = take_picture(host)
    drivers = find_drivers(host, machine.kernel.release, machine.functions.values())
    modules = {option.module for state in states for option in state.options}
    return Seen(machine, drivers, read_boot(host, machine, modules), read_declared_settings(host, machine, states))


def read_declared_settings(host: Host, machine: Machine, states: Collection[NodeState]) -> Readings:
    """Read what VFs are set up with, where a state declares that."""
    if not any(entry.settings for state in states for entry in state.vfs):
        return UNREAD
    return read_vf_settings(host, [one for one in machine.functions.values() if one.total_vfs])


def _batches(items: Iterable[Item], machine: Machine) -> Iterator[tuple[Item, ...]]:
    """Items that belong together: members of one IOMMU group that go to VMs, since half of them help none."""
    found: dict[object, list[Item]] = {}
    for number, item in enumerate(items):
        found.setdefault(_group(item, machine) or number, []).append(item)
    for batch in found.values():
        if any(item.drift for item in batch):
            yield tuple(batch)
        else:
            yield from ((item,) for item in batch)


def _group(item: Item, machine: Machine) -> object:
    function = machine.functions.get(item.device) if item.device else None
    alone = isinstance(item.entry, VfEntry) or item.findings or item.unknown
    return None if function is None or function.group is None or alone else (function.group, item.entry.driver)


def makes_vfs(items: Iterable[Item]) -> bool:
    """Whether VFs are to be made or set up: what fits no device yet may be one of them."""
    return any(isinstance(item.entry, VfEntry) and item.drift for item in items)


def as_awaited(finding: Finding) -> Finding:
    """What fits no device, while VFs that the same file asks for are to come."""
    if finding.code != ENTRY_UNMATCHED.code:
        return finding
    hint = "if it is a VF, it is looked for again once the VFs are made"
    return finding._replace(severity=Severity.INFO, hint=hint)


class _Planner:
    """Plans one batch after the other."""

    def __init__(
        self,
        machine: Machine,
        drivers: Drivers,
        despite: frozenset[str],
        items: tuple[Item, ...],
        readings: Readings,
    ) -> None:
        self._machine = machine
        self._drivers = drivers
        self._despite = despite
        self._readings = readings
        self._vfs_come = makes_vfs(items)

    def effects(self, batch: tuple[Item, ...]) -> Effects:
        """What makes a batch as it is declared."""
        first = batch[0]
        if first.unknown:
            finding = HOST_UNREADABLE.found(str(first.device or ""), first.unknown, severity=Severity.ERROR)
            return effects_of((), (finding, *first.findings))
        if first.findings:
            return effects_of((), map(as_awaited, first.findings) if self._vfs_come else first.findings)
        if not any(item.drift for item in batch):
            return effects_of((), _not_read(first))
        functions = [self._machine.functions[item.device] for item in batch if item.device is not None]
        if isinstance(first.entry, VfEntry):
            return self._vfs(first.entry, functions[0], first).with_findings(_not_read(first))
        despite = self._despite | _accepted(batch)
        with_group = any(isinstance(item.entry, DeviceEntry) and item.entry.with_group for item in batch)
        return self._move(first.entry.driver, functions, despite, with_group=with_group)

    def _move(
        self, driver: str, functions: Iterable[PciFunction], despite: frozenset[str], *, with_group: bool = False
    ) -> Effects:
        machine, drivers = self._machine, self._drivers
        if driver == AUTO or vfio_driver(driver):
            goal = None if driver == AUTO else driver
            return bind(machine, functions, goal, with_group=with_group, despite=despite, drivers=drivers)
        return unbind(machine, functions, None if driver == HOST else driver, despite=despite, drivers=drivers)

    def _vfs(self, entry: VfEntry, function: PciFunction, item: Item) -> Effects:
        port = self._machine.functions.get(function.physfn) if function.physfn else None
        if port is not None:
            return self._vf(entry, function, port, item)
        driver, drivers = entry.driver or HOST, self._drivers
        number, settings = entry.number, entry.settings
        return vfs(
            *(self._machine, function, number, settings, self._despite | entry.despite),
            driver=driver,
            drivers=drivers,
            readings=self._readings,
        )

    def _vf(self, entry: VfEntry, function: PciFunction, port: PciFunction, item: Item) -> Effects:
        """One VF of a port that has as many as it shall have: its settings before a vfio driver has it."""
        differs = {drift.what for drift in item.drift}
        despite = self._despite | entry.despite
        is_moved = differs & {"driver", "driver_override"}
        move = self._move(entry.driver, [function], despite) if is_moved else effects_of((), ())
        asked, _ = read_settings(port, entry.number, entry.settings)
        own = of_one_vf(port.virtfns.index(function.address), asked)
        wanted = [one for one in own if one.setting.name in differs]
        first = [set_one(port, function.address, one) for one in wanted if one.setting.when is not When.DRIVEN]
        last = [set_one(port, function.address, one) for one in wanted if one.setting.when is When.DRIVEN]
        return effects_of((*first, *move.steps, *last), move.findings)


def _not_read(item: Item) -> Iterator[Finding]:
    if item.unseen:
        what = f"{listed(item.unseen, 4)} could not be read, and is left as it is"
        yield SETTINGS_NOT_READ.found(str(item.device or ""), what)
