"""Drivers are changed, and every change is undone or told: `passgate node bind`, `unbind` and `journal`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domxml.pciaddress import PciAddress
from hostdev.binding import recover
from hostdev.binding.carry import Means, carry
from hostdev.binding.child import Answer, Writer
from hostdev.binding.effects import Effects, Outcome, Step
from hostdev.binding.journal import Journal
from hostdev.binding.kernel import Kernel
from hostdev.binding.plan import bind, unbind
from tests.vmhost.inside import layers, pci, vfioholder
from tests.vmhost.inside.devices import AUDIO, DISPLAY, PF, UNBOUND_VF, VF
from tests.vmhost.inside.domains import domain, hostdev
from tests.vmhost.inside.prepare import run
from tests.vmhost.inside.product import passgate_json
from tests.vmhost.inside.scenario import Mismatch, expect, scenario
from tests.vmhost.topology import BY_ID

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

NIC, DISK = BY_ID["switch-nic1"].address, BY_ID["nvme1"].address
TWINS = (BY_ID["twin0"].address, BY_ID["twin1"].address)
WAITS, BLOCKED = "No device request channel registered", "Relaying device request"


@scenario
def devices_go_to_vfio_and_back(bench: Bench) -> None:
    """A network card, an NVMe disk and a VF without a driver: bound, and back where they were."""
    # Only what udev has looked at is known not to hold anything.
    run("udevadm", "trigger", "--action=change", "--subsystem-match=block")
    run("udevadm", "settle")
    with _state_dir() as state:
        for address, before in ((NIC, "e1000e"), (DISK, "nvme"), (UNBOUND_VF, None)):
            expect(pci.driver(address) == before, f"{address} is on {pci.driver(address)}")
            there = _change(state, "bind", address)
            _is(address, "vfio-pci", "vfio-pci")
            bench.record(f"bind {address}", _words(there), f"{before or 'no driver'} -> {_shown(address)}")
            back = _change(state, "unbind", address) if before else _undo(state, str(there["id"]))
            _is(address, before, "(null)")
            verb = "unbind" if before else "journal undo"
            bench.record(f"{verb} {address}", _words(back), f"vfio-pci -> {_shown(address)}")
        written = passgate_json("node", "journal", "list", "--state-dir", state)["items"]
        outcomes = [one["outcome"] for one in written]
        expect(outcomes == ["done"] * 4 + ["undone"], f"the journal has {outcomes}")


@scenario
def a_group_goes_to_vfio_as_a_whole(bench: Bench) -> None:
    """A display with its audio function, and two network cards below one slot: no half of them."""
    with _state_dir() as state:
        refused = _change(state, "bind", DISPLAY, code=5)
        bench.record(f"bind {DISPLAY}", _words(refused), f"{AUDIO} stays on {pci.driver(AUDIO)}")
        for named, members, driver in ((DISPLAY, (AUDIO,), "snd_hda_intel"), (TWINS[0], TWINS, "e1000e")):
            there = _change(state, "bind", named, "--with-group")
            for member in members:
                _is(member, "vfio-pci", "vfio-pci")
            shown = ", ".join(f"{member} {_shown(member)}" for member in members)
            bench.record(f"bind {named} --with-group", _words(there), shown)
            starts = bench.forced(domain("whole", hostdev(named)))
            expect(not starts, starts)
            back = _undo(state, str(there["id"]))
            for member in members:
                _is(member, driver, "(null)")
            bench.record(f"journal undo of {named}", _words(back), f"back on {driver}")


@scenario
def what_is_in_use_stays_where_it_is(bench: Bench) -> None:
    """A running VM, a mounted disk, a PF with VFs: refused, and nothing is written."""
    with _state_dir() as state:
        with bench.running(domain("holder", hostdev(VF))):
            held = _change(state, "unbind", VF, code=5)
            _is(VF, "vfio-pci", "vfio-pci")
            bench.record(f"unbind {VF}, a VM runs with it", _words(held), _shown(VF))
        first, _ = layers.namespaces(DISK)
        with layers.formatted(first), layers.mounted(first):
            used = _change(state, "bind", DISK, code=5)
            _is(DISK, "nvme", "(null)")
            bench.record(f"bind {DISK}, ext4 mounted", _words(used), _shown(DISK))
        pf = _change(state, "bind", PF, code=5)
        bench.record(f"bind {PF}, with VFs", _words(pf), _shown(PF))
        expect(not list(Journal(Path(state)).each()), "something was begun")


@scenario
def a_write_that_waits_is_left_alone_and_recovered(bench: Bench) -> None:
    """A process takes the VF between the look and the write: nothing signals the writer; its end is found out."""
    with _state_dir() as state, tempfile.TemporaryDirectory() as directory:
        holder = Path(directory, "pid")
        means = Means(Journal(Path(state)), _Overtaken(VF, holder), deadline=20.0)
        waits = _carry(means, "unbind", VF)
        try:
            expect(waits.outcome == Outcome.PENDING, f"{waits}")
            told = next(line for line in run("dmesg").splitlines()[::-1] if WAITS in line or BLOCKED in line)
            bench.record(f"unbind {VF}, taken on the way", _sentence(waits), told.split("] ", 1)[-1])
            (waiting,) = Journal(Path(state)).each()
            writer = waiting.writer or Writer(0, "")
            states = Path(f"/proc/{writer.pid}/stat").read_text().rpartition(")")[2].split()[0]
            expect(states == "S", f"the writer is in {states}: nothing must have signalled it")
            again = _change(state, "bind", VF, code=5)
            still = passgate_json("node", "journal", "recover", "--state-dir", state, code=8)["items"]
            bench.record(f"bind {VF} meanwhile", _words(again), f"writer {states}, journal: {still[0]['outcome']}")
        finally:
            os.kill(int(holder.read_text()), signal.SIGKILL)
        ended = _until(lambda: passgate_json("node", "journal", "recover", "--state-dir", state, code=0)["items"])
        _is(VF, "vfio-pci", "vfio-pci")
        bench.record("journal recover, once the process has ended", ended[0]["outcome"], _shown(VF))


@scenario
def killed_at_every_write_it_is_recovered(bench: Bench) -> None:
    """kill -9 of the program before each write, beside it, and after it: recovery finds every state, and ends it."""
    for verb, address in (("bind", NIC), ("unbind", VF)):
        before = _shown(address)
        for moment in range(_moments(verb, address)):
            with _state_dir() as state:
                _killed(Path(state), verb, address, moment)
                # Its writer goes on by itself, and may have made the write by now.
                found = "being written" if moment % MOMENTS_A_STEP == BESIDE else _shown(address)
                (ended,) = recover.recover(Means(Journal(Path(state))))
                outcome = ended.effects.outcome
                expect(outcome in {Outcome.UNDONE, Outcome.DONE}, f"{verb}, moment {moment}: {ended}")
                if outcome == Outcome.DONE:
                    _undo(state, ended.id)
                expect(_shown(address) == before, f"{verb}, moment {moment}: {_shown(address)}, it was {before}")
            bench.record(f"{verb} {address}, {_moment(moment)}", f"recover: {outcome}", f"{found} -> {_shown(address)}")


@scenario
def two_writers_wait_for_each_other(bench: Bench) -> None:
    """Two programs change one device at a time: one after the other, and the last one's word is what is there."""
    with _state_dir() as state:
        script = (
            "from tests.vmhost.inside.scenarios_binding import write_in_turns; "
            f"write_in_turns({state!r}, {{!r}}, {str(NIC)!r})"
        )
        both = [subprocess.Popen([sys.executable, "-c", script.format(verb)]) for verb in ("bind", "unbind")]
        codes = [one.wait() for one in both]
        expect(codes == [0, 0], f"the writers ended with {codes}")
        written = [one for one in Journal(Path(state)).each() if one.effects.outcome == Outcome.DONE]
        last = "vfio-pci" if written[-1].what.startswith("bind") else "e1000e"
        expect(pci.driver(NIC) == last, f"{NIC} is on {pci.driver(NIC)}, the last one wrote {last}")
        if last == "vfio-pci":
            _change(state, "unbind", NIC)
    _is(NIC, "e1000e", "(null)")
    bench.record(
        "bind and unbind, two programs, three times each", "one after the other", "consistent, last word holds"
    )


TURNS = 3


def write_in_turns(state: str, verb: str, address: str) -> None:
    """What each of two writers does: no outcome but done, nothing to do, or that it changed since the plan."""
    for _ in range(TURNS):
        ended = _carry(Means(Journal(Path(state))), verb, PciAddress.parse(address))
        codes = {finding.code for finding in ended.findings}
        good = ended.outcome in {Outcome.DONE, Outcome.NOTHING} or codes & {"changed-meanwhile"}
        if not good:
            raise Mismatch(f"{verb}: {ended}")


class _Overtaken(Kernel):
    """Before the removal is written, a process takes the device."""

    def __init__(self, address: PciAddress, pid_file: Path) -> None:
        self._holder, self._pid_file = vfioholder.held(address), pid_file

    def perform(self, step: Step) -> None:
        if step.write.endswith("/unbind"):
            self._pid_file.write_text(str(self._holder.__enter__()))
        super().perform(step)


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


MOMENTS_A_STEP, BESIDE = 4, 2
_MOMENTS = ("before step {}", "step {} begun, not written", "while step {} is written", "after step {}")


def _moment(number: int) -> str:
    step, at = divmod(number, MOMENTS_A_STEP)
    return f"killed {_MOMENTS[at].format(step + 1)}"


def _moments(verb: str, address: PciAddress) -> int:
    return MOMENTS_A_STEP * len(_plan(Kernel(), verb, address)[0].steps)


def _killed(state: Path, verb: str, address: PciAddress, moment: int) -> None:
    program = os.fork()
    if program == 0:
        _carry(Means(Journal(state), _Killed(moment), checks=()), verb, address)
        os._exit(0)
    _, status = os.waitpid(program, 0)
    expect(os.WIFSIGNALED(status), f"{verb} came to its end at moment {moment}")


def _plan(kernel: Kernel, verb: str, address: PciAddress) -> tuple[Effects, Any]:
    machine = kernel.look([address])
    functions = [machine.functions[address]]
    had = {address: {VF: "igbvf", NIC: "e1000e"}[address]}
    return (bind(machine, functions) if verb == "bind" else unbind(machine, functions, had=had)), machine


def _carry(means: Means, verb: str, address: PciAddress) -> Effects:
    plan, machine = _plan(means.kernel, verb, address)
    return carry(plan, machine, means, f"{verb} {address}")


@contextmanager
def _state_dir() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="passgate-state-") as directory:
        yield directory


def _change(state: str, verb: str, address: PciAddress, *words: str, code: int = 0) -> Mapping[str, Any]:
    return passgate_json("node", verb, str(address), "--yes", "--state-dir", state, *words, code=code)


def _undo(state: str, name: str) -> Mapping[str, Any]:
    return passgate_json("node", "journal", "undo", name, "--yes", "--state-dir", state)


def _is(address: PciAddress, driver: str | None, override: str) -> None:
    expect(_shown(address) == _state(driver, override), f"{address} is {_shown(address)}, not {driver}, {override}")


def _shown(address: PciAddress) -> str:
    """The driver and the override, as sysfs has them."""
    return _state(pci.driver(address), (pci.directory(address) / "driver_override").read_text().strip())


def _state(driver: str | None, override: str) -> str:
    return f"{driver or 'no driver'}, override {override}"


def _words(effects: Mapping[str, Any]) -> str:
    codes = [one["code"] for one in effects["findings"] if one["severity"] == "error"]
    return ": ".join(filter(None, (effects["outcome"], ", ".join(dict.fromkeys(codes)))))


def _sentence(effects: Effects) -> str:
    codes = [finding.code for finding in effects.findings]
    return f"{effects.outcome}: {', '.join(codes)}"


def _until(ask: Callable[[], Any]) -> Any:
    for _ in range(40):
        try:
            return ask()
        except Mismatch:
            time.sleep(0.5)
    return ask()
