"""Real holders: a VM that takes the device on the way, sound, DRM and nvmet, and driverctl as it is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from domxml.pciaddress import PciAddress
from hostdev.binding.carry import Means, carry
from hostdev.binding.child import Writer
from hostdev.binding.effects import Outcome, Step
from hostdev.binding.journal import Journal
from hostdev.binding.kernel import Kernel
from hostdev.binding.plan import unbind
from hostdev.binding.vfs import vfs
from tests.vmhost.inside import drivers, layers, pci
from tests.vmhost.inside.changes import (
    change,
    expect_on,
    port_shown,
    recover,
    sentence,
    shown,
    state_dir,
    undo,
    until,
    words,
)
from tests.vmhost.inside.devices import AUDIO, DISPLAY, OTHER_VF
from tests.vmhost.inside.domains import domain, hostdev
from tests.vmhost.inside.kernellog import KernelLog
from tests.vmhost.inside.patience import PATIENCE
from tests.vmhost.inside.prepare import run
from tests.vmhost.inside.product import passgate, passgate_json
from tests.vmhost.inside.scenario import expect, scenario, thorough
from tests.vmhost.topology import BY_ID

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

PORT, OTHER_PORT, DISK, NIC = (BY_ID[name].address for name in ("igb1", "igb0", "nvme1", "switch-nic1"))
VM = "late"
WAIT = 20.0
"""Seconds in which the VM has started, and the write has not come back."""


@thorough
@scenario
def a_vm_takes_the_device_on_the_way(bench: Bench) -> None:
    """It starts between the look and the write: the unbind waits, the VM runs on, and recovery comes after its end."""
    with bench.defined(domain(VM, hostdev(OTHER_VF))) as vm, state_dir() as state:
        machine = Kernel().look([OTHER_VF])
        plan = unbind(machine, [machine.functions[OTHER_VF]], had={OTHER_VF: "igbvf"})
        heard = KernelLog()
        ended = carry(plan, machine, Means(Journal(Path(state)), _StartsFirst(), deadline=WAIT), f"unbind {OTHER_VF}")
        try:
            expect(ended.outcome == Outcome.PENDING, f"{ended}")
            bench.record(f"unbind {OTHER_VF}, a VM starts with it", sentence(ended), heard.said_soon(OTHER_VF))
            expect(vm.isActive(), "the VM did not survive")
            who = passgate("node", "who", str(OTHER_VF))
            expect(VM in who, f"who says: {who}")
            again = change(state, "bind", OTHER_VF, code=5)
            (waiting,) = recover(state, code=8)
            bench.record("meanwhile: bind, journal recover", f"{words(again)}; {waiting['outcome']}", _writer_of(state))
        finally:
            vm.destroy()
        (over,) = until(lambda: recover(state))
        expect_on(OTHER_VF, pci.VFIO, pci.VFIO)
        bench.record("journal recover, once the VM has ended", over["outcome"], shown(OTHER_VF))
        starts = bench.forced(domain("next", hostdev(OTHER_VF)))
        expect(not starts, starts)


@thorough
@scenario
def a_vm_takes_a_vf_while_all_shall_go(bench: Bench) -> None:
    """0 is written to the number of VFs, and a VM has one: nothing is read that hangs, and no other PF written to."""
    before = port_shown(PORT)
    with bench.defined(domain(VM, hostdev(OTHER_VF))) as vm, state_dir() as state:
        machine = Kernel().picture()
        plan = vfs(machine, machine.functions[PORT], 0)
        heard = KernelLog()
        ended = carry(plan, machine, Means(Journal(Path(state)), _StartsFirst(), deadline=WAIT), f"vfs {PORT} 0")
        try:
            expect(ended.outcome == Outcome.PENDING, f"{ended}")
            bench.record(f"vfs {PORT} 0, a VM starts with {OTHER_VF}", sentence(ended), heard.said_soon(OTHER_VF))
            other = change(state, "vfs", OTHER_PORT, "0", code=5)
            passgate_json("node", "list")
            (waiting,) = recover(state, code=8)
            bench.record(f"meanwhile: vfs {OTHER_PORT} 0", words(other), f"{waiting['outcome']}; {_writer_of(state)}")
        finally:
            vm.destroy()
        (over,) = until(lambda: recover(state))
        bench.record("journal recover, once the VM has ended", over["outcome"], port_shown(PORT))
        if over["outcome"] == Outcome.DONE:
            undo(state, str(over["id"]))
        expect(port_shown(PORT) == before, f"{PORT} is {port_shown(PORT)}, it was {before}")


@scenario
def open_nodes_of_sound_and_display_hold_them(bench: Bench) -> None:
    """The kernel would take the display without a word, and wait for the reader of the sound for ever."""
    with drivers.display_on_host(DISPLAY) as card, state_dir() as state:
        with layers.held_open(card):
            used = change(state, "bind", DISPLAY, "--with-group", code=5)
            bench.record(f"bind {DISPLAY}, its /dev/dri/cardN is open", words(used), shown(DISPLAY))
        sound = f"/dev/snd/controlC{next(pci.directory(AUDIO).glob('sound/card*')).name[4:]}"
        with layers.held_open(sound):
            for more in ((), ("--despite", "host-uses-device")):
                used = change(state, "bind", AUDIO, "--with-group", *more, code=5)
                bench.record(
                    f"bind {' '.join([str(AUDIO), *more])}, its /dev/snd/controlCN is open", words(used), shown(AUDIO)
                )
            writer, kernel = _asked_of_the_kernel(AUDIO)
        # It ends with the reader.
        writer.wait(PATIENCE)
        (pci.PCI / "drivers_probe").write_text(str(AUDIO))
        expect_on(AUDIO, "snd_hda_intel", "(null)")
        bench.record(f"the same, of the kernel: unbind {AUDIO}", "its writer waits, unkillably", kernel)


@scenario
def a_disk_that_is_exported_is_in_use(bench: Bench) -> None:
    """nvmet opens it for no process, and an exclusive open would succeed."""
    first, _ = layers.namespaces(DISK)
    with layers.exported(first), state_dir() as state:
        used = change(state, "bind", DISK, code=5)
        said = next(one["message"] for one in used["findings"] if one["severity"] == "error")
        expect("nvmet" in said or "NVMe" in said, said)
        bench.record(
            f"bind {DISK}, exported by nvmet", words(used), f"{shown(DISK)}; {said.replace(first, 'its disk')}"
        )


@thorough
@scenario
def driverctl_has_its_devices(bench: Bench) -> None:
    """The package as Debian has it: its override stands, and what it leaves behind is recognised and told."""
    try:
        run("driverctl", "set-override", str(NIC), pci.VFIO)
        expect_on(NIC, pci.VFIO, pci.VFIO)
        with state_dir() as state:
            kept = change(state, "unbind", NIC, code=5)
            bench.record(f"driverctl set-override {NIC} vfio-pci; unbind", words(kept), shown(NIC))
            run("driverctl", "unset-override", str(NIC))
            left = shown(NIC)
            plan = change(state, "unbind", NIC, "--dry-run")
            told = ", ".join(sorted({one["code"] for one in plan["findings"]}))
            bench.record("driverctl unset-override; unbind --dry-run", f"{words(plan)}; told: {told}", left)
            back = change(state, "unbind", NIC)
            bench.record("unbind", words(back), shown(NIC))
    finally:
        _forgotten()
    expect_on(NIC, "e1000e", "(null)")


class _StartsFirst(Kernel):
    """Before the write that takes the device, the VM starts with it."""

    def perform(self, step: Step) -> None:
        if step.write.endswith(("/unbind", "/sriov_numvfs")):
            run("virsh", "--quiet", "start", VM, "--paused")
        super().perform(step)


def _writer_of(state: str) -> str:
    (waiting,) = Journal(Path(state)).each()
    writer = waiting.writer or Writer(0, "")
    return f"the writer is in state {_state_of(writer.pid)}"


def _state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _asked_of_the_kernel(device: PciAddress) -> tuple[subprocess.Popen[bytes], str]:
    """An unbind while a node is open: who waits, and how it looks."""
    writer = subprocess.Popen(["sh", "-c", f"echo {device} >{pci.directory(device)}/driver/unbind"])
    layers.wait(lambda: pci.driver(device) is None)
    layers.wait(lambda: _state_of(writer.pid) == "D")
    return writer, "no driver link any more, and the writer is in state D until the node is closed"


def _forgotten() -> None:
    """All that driverctl has written: its file, the override, and the id that vfio-pci has learned."""
    Path(f"/etc/driverctl.d/pci-{NIC}").unlink(missing_ok=True)
    ids = [(pci.directory(NIC) / name).read_text().strip()[2:] for name in ("vendor", "device")]
    subprocess.run(
        ["sh", "-c", f"echo {' '.join(ids)} >{pci.PCI}/drivers/vfio-pci/remove_id"], check=False, capture_output=True
    )
    pci.release(NIC)
    run("udevadm", "settle")
