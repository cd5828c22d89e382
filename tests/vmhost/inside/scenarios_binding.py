"""Drivers are changed, and every change is undone or told: `passgate node bind`, `unbind` and `journal`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domxml.pciaddress import PciAddress
from hostdev.binding.carry import Means, carry
from hostdev.binding.child import Writer
from hostdev.binding.effects import Effects, Outcome, Step
from hostdev.binding.journal import Journal
from hostdev.binding.kernel import Kernel
from hostdev.binding.plan import bind, unbind
from tests.vmhost.inside import layers, pci, vfioholder
from tests.vmhost.inside.changes import change, expect_on, sentence, shown, state_dir, undo, until, words
from tests.vmhost.inside.devices import AUDIO, DISPLAY, PF, TWINS, UNBOUND_VF, VF
from tests.vmhost.inside.domains import domain, hostdev
from tests.vmhost.inside.prepare import run
from tests.vmhost.inside.product import passgate_json
from tests.vmhost.inside.scenario import Mismatch, expect, scenario, thorough
from tests.vmhost.topology import BY_ID

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

NIC, DISK = BY_ID["switch-nic1"].address, BY_ID["nvme1"].address
WAITS, BLOCKED = "No device request channel registered", "Relaying device request"


@scenario
def devices_go_to_vfio_and_back(bench: Bench) -> None:
    """A network card, an NVMe disk and a VF without a driver: bound, and back where they were."""
    # Only what udev has looked at is known not to hold anything.
    run("udevadm", "trigger", "--action=change", "--subsystem-match=block")
    run("udevadm", "settle")
    with state_dir() as state:
        for address, before in ((NIC, "e1000e"), (DISK, "nvme"), (UNBOUND_VF, None)):
            expect(pci.driver(address) == before, f"{address} is on {pci.driver(address)}")
            there = change(state, "bind", address)
            expect_on(address, "vfio-pci", "vfio-pci")
            bench.record(f"bind {address}", words(there), f"{before or 'no driver'} -> {shown(address)}")
            back = change(state, "unbind", address) if before else undo(state, str(there["id"]))
            expect_on(address, before, "(null)")
            verb = "unbind" if before else "journal undo"
            bench.record(f"{verb} {address}", words(back), f"vfio-pci -> {shown(address)}")
        written = passgate_json("node", "journal", "list", "--state-dir", state)["items"]
        outcomes = [one["outcome"] for one in written]
        expect(outcomes == ["done"] * 4 + ["undone"], f"the journal has {outcomes}")


@thorough
@scenario
def a_group_goes_to_vfio_as_a_whole(bench: Bench) -> None:
    """A display with its audio function, and two network cards below one slot: no half of them."""
    with state_dir() as state:
        refused = change(state, "bind", DISPLAY, code=5)
        bench.record(f"bind {DISPLAY}", words(refused), f"{AUDIO} stays on {pci.driver(AUDIO)}")
        for named, members, driver in ((DISPLAY, (AUDIO,), "snd_hda_intel"), (TWINS[0], TWINS, "e1000e")):
            there = change(state, "bind", named, "--with-group")
            for member in members:
                expect_on(member, "vfio-pci", "vfio-pci")
            all_shown = ", ".join(f"{member} {shown(member)}" for member in members)
            bench.record(f"bind {named} --with-group", words(there), all_shown)
            starts = bench.forced(domain("whole", hostdev(named)))
            expect(not starts, starts)
            back = undo(state, str(there["id"]))
            for member in members:
                bench.forget(member)
                expect_on(member, driver, "(null)")
            bench.record(f"journal undo of {named}", words(back), f"back on {driver}")


@scenario
def what_is_in_use_stays_where_it_is(bench: Bench) -> None:
    """A running VM, a mounted disk, a PF with VFs: refused, and nothing is written."""
    with state_dir() as state:
        with bench.running(domain("holder", hostdev(VF))):
            held = change(state, "unbind", VF, code=5)
            expect_on(VF, "vfio-pci", "vfio-pci")
            bench.record(f"unbind {VF}, a VM runs with it", words(held), shown(VF))
        first, _ = layers.namespaces(DISK)
        with layers.formatted(first), layers.mounted(first):
            used = change(state, "bind", DISK, code=5)
            expect_on(DISK, "nvme", "(null)")
            bench.record(f"bind {DISK}, ext4 mounted", words(used), shown(DISK))
        pf = change(state, "bind", PF, code=5)
        bench.record(f"bind {PF}, with VFs", words(pf), shown(PF))
        expect(not list(Journal(Path(state)).each()), "something was begun")


@scenario
def a_write_that_waits_is_left_alone_and_recovered(bench: Bench) -> None:
    """A process takes the VF between the look and the write: nothing signals the writer; its end is found out."""
    with state_dir() as state, tempfile.TemporaryDirectory() as directory:
        holder = Path(directory, "pid")
        means = Means(Journal(Path(state)), _Overtaken(VF, holder), deadline=20.0)
        waits = _carry(means, "unbind", VF)
        try:
            expect(waits.outcome == Outcome.PENDING, f"{waits}")
            told = next(line for line in run("dmesg").splitlines()[::-1] if WAITS in line or BLOCKED in line)
            bench.record(f"unbind {VF}, taken on the way", sentence(waits), told.split("] ", 1)[-1])
            (waiting,) = Journal(Path(state)).each()
            writer = waiting.writer or Writer(0, "")
            states = Path(f"/proc/{writer.pid}/stat").read_text().rpartition(")")[2].split()[0]
            expect(states == "S", f"the writer is in {states}: nothing must have signalled it")
            again = change(state, "bind", VF, code=5)
            still = passgate_json("node", "journal", "recover", "--state-dir", state, code=8)["items"]
            bench.record(f"bind {VF} meanwhile", words(again), f"writer {states}, journal: {still[0]['outcome']}")
        finally:
            os.kill(int(holder.read_text()), signal.SIGKILL)
        ended = until(lambda: passgate_json("node", "journal", "recover", "--state-dir", state, code=0)["items"])
        expect_on(VF, "vfio-pci", "vfio-pci")
        bench.record("journal recover, once the process has ended", ended[0]["outcome"], shown(VF))


@scenario
def two_writers_wait_for_each_other(bench: Bench) -> None:
    """Two programs change one device at a time: one after the other, and the last one's word is what is there."""
    with state_dir() as state:
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
            change(state, "unbind", NIC)
    expect_on(NIC, "e1000e", "(null)")
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


def _plan(kernel: Kernel, verb: str, address: PciAddress) -> tuple[Effects, Any]:
    machine = kernel.look([address])
    functions = [machine.functions[address]]
    had = {address: {VF: "igbvf", NIC: "e1000e"}[address]}
    return (bind(machine, functions) if verb == "bind" else unbind(machine, functions, had=had)), machine


def _carry(means: Means, verb: str, address: PciAddress) -> Effects:
    plan, machine = _plan(means.kernel, verb, address)
    return carry(plan, machine, means, f"{verb} {address}")
