"""The program is killed at every write of every kind of change, and recovery ends what it left."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from domxml.pciaddress import PciAddress
from hostdev.binding import recover
from hostdev.binding.carry import Means, carry
from hostdev.binding.child import Answer, Writer
from hostdev.binding.effects import Effects, Outcome, describe
from hostdev.binding.journal import Journal
from hostdev.binding.kernel import Kernel
from hostdev.binding.plan import bind, unbind
from hostdev.binding.vfs import NONE, vfs
from hostdev.inventory.machine import Machine
from tests.vmhost.inside import drivers, pci
from tests.vmhost.inside.changes import port_shown, shown, state_dir, undo
from tests.vmhost.inside.devices import AUDIO, DISPLAY, TWINS, VF
from tests.vmhost.inside.scenario import expect, scenario, thorough
from tests.vmhost.topology import BY_ID

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

NIC = BY_ID["switch-nic1"].address
PORT, CONTROLLER = BY_ID["igb1"].address, BY_ID["nvme0"].address
MAC = "02:00:00:00:00:0b"
Plan = Callable[[Machine], Effects]


class Change(NamedTuple):
    """What is killed on its way: its name, the plan, the devices it is planned for, and how they are shown."""

    name: str
    plan: Plan
    devices: tuple[PciAddress, ...]
    show: Callable[[], str]


@thorough
@scenario
def killed_at_every_write_it_is_recovered(bench: Bench) -> None:
    """kill -9 of the program before each write, beside it, and after it: recovery finds every state, and ends it."""
    _killed_everywhere(bench, _bound("bind", NIC))
    _killed_everywhere(bench, _unbound("unbind", VF, driver="igbvf"))


@thorough
@scenario
def a_group_is_recovered_wherever_it_was_cut_off(bench: Bench) -> None:
    """kill -9 at every write that takes a whole group, and at every write that gives it back."""
    _killed_everywhere(bench, _bound("bind the group of", *TWINS))
    with drivers.bound_for_a_while(*TWINS):
        _killed_everywhere(bench, _unbound("unbind the group of", *TWINS, driver="e1000e"))
    with drivers.display_on_host(DISPLAY):
        _killed_everywhere(bench, _bound("bind the display and its audio", DISPLAY, AUDIO))


@thorough
@scenario
def a_change_of_vfs_is_recovered_wherever_it_was_cut_off(bench: Bench) -> None:
    """kill -9 at every write that makes VFs anew, with a MAC and drivers, and at every one that takes them away."""
    with _autoprobe(PORT):
        _killed_everywhere(bench, _numbered("2 VFs with a MAC for", PORT, 2, {"0.mac": MAC}))
        _killed_everywhere(bench, _numbered("no VFs for", PORT, 0))
    _killed_everywhere(bench, _numbered("1 VF for", CONTROLLER, 1, driver=NONE))


def _bound(name: str, *devices: PciAddress) -> Change:
    # A display that is put back has the console again.
    despite = frozenset({"host-uses-device"})

    def plan(machine: Machine) -> Effects:
        return bind(machine, [machine.functions[devices[0]]], with_group=True, despite=despite)

    return Change(f"{name} {devices[0]}", plan, devices, lambda: _each(devices))


def _unbound(name: str, *devices: PciAddress, driver: str) -> Change:
    def plan(machine: Machine) -> Effects:
        had = dict.fromkeys(devices, driver)
        return unbind(machine, [machine.functions[devices[0]]], with_group=True, had=had)

    return Change(f"{name} {devices[0]}", plan, devices, lambda: _each(devices))


def _numbered(
    name: str, port: PciAddress, count: int, settings: dict[str, str] | None = None, driver: str = pci.VFIO
) -> Change:
    def plan(machine: Machine) -> Effects:
        return vfs(machine, machine.functions[port], count, settings or {}, driver=driver)

    vfs_now = [PciAddress.parse(link.readlink().name) for link in sorted(pci.directory(port).glob("virtfn*"))]
    return Change(f"{name} {port}", plan, (port, *vfs_now), lambda: port_shown(port))


def _each(devices: tuple[PciAddress, ...]) -> str:
    states = [shown(address) for address in devices]
    return states[0] if len(set(states)) == 1 else "; ".join(states)


def _killed_everywhere(bench: Bench, change: Change) -> None:
    before = change.show()
    effects, _ = _planned(change)
    expect(effects.outcome == Outcome.PLANNED, f"{change.name}: {effects.outcome}: {effects.findings}")
    for number, step in enumerate(effects.steps):
        ends = [_killed_once(change, number * MOMENTS_A_STEP + at, before) for at in range(MOMENTS_A_STEP)]
        what = f"{change.name}, killed at step {number + 1} of {len(effects.steps)}: `{describe(step)}`"
        bench.record(what, f"all as before: {before}", "; ".join(_told(ends)))


def _told(ends: list[tuple[str, str]]) -> Iterator[str]:
    """Moments that ended alike, in one breath."""
    for end in dict.fromkeys(ends):
        moments = [name for name, other in zip(MOMENTS, ends, strict=True) if other == end]
        yield f"{', '.join(moments)}: found {end[0]}, recover: {end[1]}"


def _killed_once(change: Change, moment: int, before: str) -> tuple[str, str]:
    """What was found, and what recovery did of it; afterwards all is as it was."""
    with state_dir() as state:
        _killed(Path(state), change, moment)
        # Its writer goes on by itself, and may have made the write by now.
        found = "a writer on its way" if moment % MOMENTS_A_STEP == BESIDE else change.show()
        (ended,) = recover.recover(Means(Journal(Path(state))))
        outcome = ended.effects.outcome
        expect(outcome in {Outcome.UNDONE, Outcome.DONE}, f"{change.name}, moment {moment}: {ended}")
        if outcome == Outcome.DONE:
            undo(state, ended.id)
        now = change.show()
        expect(now == before, f"{change.name}, moment {moment}, found {found}: {now}, it was {before}; {ended}")
        return found, str(outcome)


class _Killed(Kernel):
    """The program ends by kill -9: before a writer is started, once it is written down, beside it, or after it."""

    def __init__(self, moment: int) -> None:
        self.left = moment

    def attempt(self, work: Callable[[], Answer], deadline: float, begun: Callable[[Writer], None]) -> Answer | None:
        program = os.getpid()
        self._die_at(0)

        def note(writer: Writer) -> None:
            begun(writer)
            self._die_at(1)

        def write() -> Answer:
            if self.left == BESIDE:
                os.kill(program, signal.SIGKILL)
            return work()

        answer = super().attempt(write, deadline, note)
        self._die_at(3)
        self.left -= MOMENTS_A_STEP
        return answer

    def _die_at(self, moment: int) -> None:
        if self.left == moment:
            os.kill(os.getpid(), signal.SIGKILL)


MOMENTS = ("before it is begun", "begun and not written", "beside the write", "after it")
MOMENTS_A_STEP, BESIDE = len(MOMENTS), 2


def _killed(state: Path, change: Change, moment: int) -> None:
    program = os.fork()
    if program == 0:
        try:
            effects, machine = _planned(change)
            carry(effects, machine, Means(Journal(state), _Killed(moment), checks=()), change.name)
        finally:
            os._exit(1)
    _, status = os.waitpid(program, 0)
    expect(os.WIFSIGNALED(status), f"{change.name} came to its end at moment {moment}")


def _planned(change: Change) -> tuple[Effects, Machine]:
    machine = Kernel().look(change.devices)
    return change.plan(machine), machine


@contextmanager
def _autoprobe(port: PciAddress) -> Iterator[None]:
    """Drivers of the host may take the VFs of a PF: a change keeps them off, and restores that."""
    file = pci.directory(port) / "sriov_drivers_autoprobe"
    file.write_text("1")
    try:
        yield
    finally:
        file.write_text("0")
