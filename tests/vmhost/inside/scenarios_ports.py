"""PFs and displays change drivers, and what Passgate refuses is put to the kernel itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from domxml.pciaddress import PciAddress
from tests.vmhost.inside import drivers, layers, pci, vfioholder
from tests.vmhost.inside.changes import (
    change,
    expect_on,
    override,
    port_shown,
    shown,
    state_dir,
    undo,
    words,
)
from tests.vmhost.inside.devices import AUDIO, DISPLAY
from tests.vmhost.inside.domains import domain, hostdev
from tests.vmhost.inside.kernellog import KernelLog, answer
from tests.vmhost.inside.prepare import run
from tests.vmhost.inside.scenario import expect, scenario, thorough
from tests.vmhost.topology import BY_ID

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

PORT, CONTROLLER, NIC = (BY_ID[name].address for name in ("igb1", "nvme0", "switch-nic1"))
NUMVFS, UNBIND = "sriov_numvfs", "driver/unbind"
ENABLE_SRIOV = Path("/sys/module/vfio_pci/parameters/enable_sriov")
PROBE = pci.PCI / "drivers_probe"


@thorough
@scenario
def a_port_goes_to_vfio_without_its_vfs(bench: Bench) -> None:
    """PFs of a network card and an NVMe disk: no VFs, to vfio-pci, into a VM, back, and the VFs as before."""
    for port, driver in ((PORT, "igb"), (CONTROLLER, "nvme")):
        heard, before = KernelLog(), port_shown(port)
        with state_dir() as state:
            refused = change(state, "bind", port, code=5)
            bench.record(f"bind {port}, with VFs", words(refused), before)
            away = change(state, "vfs", port, "0")
            bench.record(f"vfs {port} 0", words(away), f"{port_shown(port)}; the kernel said: {heard.said(port)}")
            there = change(state, "bind", port)
            expect_on(port, pci.VFIO, pci.VFIO)
            bench.record(f"bind {port}", words(there), f"{shown(port)}; the kernel said: {heard.said(port)}")
            starts = bench.forced(domain("port", hostdev(port)))
            expect(not starts, starts)
            none = change(state, "vfs", port, "2", code=5)
            kernel = answer(pci.directory(port) / NUMVFS, "2")
            bench.record(f"vfs {port} 2", words(none), f"the kernel: {kernel}; {heard.said(port)}")
            back = change(state, "unbind", port)
            bench.forget(port)
            expect_on(port, driver, "(null)")
            bench.record(f"unbind {port}", words(back), f"{port_shown(port)}; the kernel said: {heard.said(port)}")
            run("udevadm", "settle")
            again = undo(state, str(away["id"]))
            expect(port_shown(port) == before, f"{port} is {port_shown(port)}, it was {before}")
            bench.record(f"journal undo of `vfs {port} 0`", words(again), port_shown(port))


@scenario
def vfs_of_a_disk_go_to_vfio_and_back(bench: Bench) -> None:
    """VFs of NVMe have no queues: vfio-pci takes them without a word, and the host has no driver that does."""
    vf, heard = BY_ID["nvme0"].vf(1), KernelLog()
    with state_dir() as state:
        there = change(state, "bind", vf)
        expect_on(vf, pci.VFIO, pci.VFIO)
        bench.record(f"bind {vf}", words(there), f"{shown(vf)}; the kernel said: {heard.said(vf)}")
        back = undo(state, str(there["id"]))
        expect_on(vf, None, "(null)")
        bench.record("journal undo", words(back), f"{shown(vf)}; the kernel said: {heard.said(vf)}")


@thorough
@scenario
def a_display_goes_to_vfio_with_its_audio(bench: Bench) -> None:
    """Both functions are on drivers of the host, bochs-drm and snd_hda_intel, and no process has a node open."""
    heard = KernelLog()
    with drivers.display_on_host(DISPLAY, console=True), state_dir() as state:
        used = change(state, "bind", DISPLAY, "--with-group", code=5)
        bench.record(f"bind {DISPLAY} --with-group, the console is on it", words(used), shown(DISPLAY))
    with drivers.display_on_host(DISPLAY) as card, state_dir() as state:
        refused = change(state, "bind", DISPLAY, code=5)
        bench.record(f"bind {DISPLAY}", words(refused), f"{shown(DISPLAY)}; {AUDIO} {shown(AUDIO)}")
        there = change(state, "bind", DISPLAY, "--with-group")
        for function in (DISPLAY, AUDIO):
            expect_on(function, pci.VFIO, pci.VFIO)
        said = heard.said(DISPLAY, AUDIO)
        gone = "gone" if not Path(card).exists() else "still there"
        bench.record(
            f"bind {DISPLAY} --with-group",
            words(there),
            f"both {shown(AUDIO)}; its /dev/dri/cardN is {gone}; the kernel said: {said}",
        )
        starts = bench.forced(domain("card", hostdev(DISPLAY), hostdev(AUDIO)))
        expect(not starts, starts)
        back = undo(state, str(there["id"]))
        bench.forget(AUDIO)
        expect_on(DISPLAY, "bochs-drm", "(null)")
        expect_on(AUDIO, "snd_hda_intel", "(null)")
        bench.record("journal undo", words(back), f"{shown(DISPLAY)}; {AUDIO} {shown(AUDIO)}")


@thorough
@scenario
def a_port_on_vfio_may_have_vfs_of_its_own(bench: Bench) -> None:
    """With enable_sriov vfio-pci makes VFs that only the holder of a token may open: they are no usual ones."""
    heard, before = KernelLog(), port_shown(PORT)
    with state_dir() as state:
        away = change(state, "vfs", PORT, "0")
        change(state, "bind", PORT)
        ENABLE_SRIOV.write_text("Y")
        try:
            heard.said()
            kernel = answer(pci.directory(PORT) / NUMVFS, "2")
            vf = BY_ID["igb1"].vf(0)
            bench.record(f"2 > {NUMVFS} with enable_sriov", "VFs on vfio-pci", f"{kernel}; {heard.said(PORT, vf)}")
            expect_on(vf, pci.VFIO, pci.VFIO)
            starts = bench.forced(domain("token", hostdev(vf)))
            kept = change(state, "unbind", PORT, code=5)
            token = heard.said(vf)
            expect("VF token" in starts + token, f"{starts}; {token}")
            bench.record(f"unbind {PORT}, a VM tried {vf}", words(kept), f"{port_shown(PORT)}; {token}")
            none = change(state, "vfs", PORT, "0")
            bench.record(f"vfs {PORT} 0", words(none), port_shown(PORT))
        finally:
            ENABLE_SRIOV.write_text("N")
        change(state, "unbind", PORT)
        run("udevadm", "settle")
        undo(state, str(away["id"]))
    expect(port_shown(PORT) == before, f"{PORT} is {port_shown(PORT)}, it was {before}")


@thorough
@scenario
def what_is_refused_is_put_to_the_kernel(bench: Bench) -> None:
    """It answers with an error, or takes the write, and then the host has lost what it used: only Passgate said no."""
    with state_dir() as state:
        for what, verb, device, more, kernel in _questions():
            # A dry run asks all that is asked before a write, and there is nothing to take back where it is wrong.
            said = change(state, verb, device, *more, "--dry-run", code=5)
            bench.record(f"{what}: `{' '.join([verb, str(device), *more])}`", words(said), f"the kernel: {kernel()}")


@thorough
@scenario
def a_write_that_succeeds_proves_nothing(bench: Bench) -> None:
    """What the kernel takes without a word and does nothing for: Passgate refuses it before, or gets over it."""
    directory, unbind, bind = pci.directory(NIC), pci.PCI / "drivers/e1000e/unbind", pci.PCI / "drivers/vfio-pci/bind"
    with state_dir() as state:
        refused = change(state, "bind", NIC, "--driver", "vfio_pcy", "--dry-run", code=5)
        unbind.write_text(str(NIC))
        without = answer(bind, str(NIC))
        bench.record(f"{NIC} > drivers/vfio-pci/bind, no override", "the override is written first", without)
        (directory / "driver_override").write_text("vfio_pcy")
        taken = answer(PROBE, str(NIC))
        bench.record(f"bind {NIC} --driver vfio_pcy", words(refused), f"the kernel: {taken}; {shown(NIC)}")
        (directory / "driver_override").write_text("(null)")
        taken = answer(PROBE, str(NIC))
        bench.record("(null) written back into driver_override", "nothing takes it", f"{taken}; {shown(NIC)}")
        back = change(state, "unbind", NIC)
        expect_on(NIC, "e1000e", "(null)")
        bench.record(f"unbind {NIC}", words(back), shown(NIC))
        layers.wait((directory / "net").is_dir)
        run("udevadm", "settle")


Question = tuple[str, str, PciAddress, tuple[str, ...], Callable[[], str]]


def _questions() -> Iterator[Question]:
    """What is tried, the command, and how the kernel is asked for the same; each puts back what it has changed."""
    count = BY_ID["igb1"].vfs
    yield "more VFs than there can be", "vfs", PORT, ("9",), lambda: _asked(PORT, NUMVFS, "9")
    with layers.up(NIC, "192.0.2.77/32"):
        yield "a NIC with an address", "bind", NIC, (), lambda: _taken_from_host(NIC)
    yield "a PF of igb, with VFs", "bind", PORT, (), lambda: _port_taken(PORT, count)
    yield "a PF of NVMe, with VFs", "bind", CONTROLLER, (), lambda: _port_taken(CONTROLLER, BY_ID["nvme0"].vfs)
    with _without_driver(PORT, count):
        yield "VFs of a PF without a driver", "vfs", PORT, ("2",), lambda: _asked(PORT, NUMVFS, "2")
    with drivers.bound_for_a_while(AUDIO), vfioholder.held(DISPLAY):
        yield "a member of a group that a VM has, to the host", "unbind", AUDIO, (), lambda: _returned(AUDIO)


def _asked(device: PciAddress, attribute: str, value: str) -> str:
    heard = KernelLog()
    return f"{answer(pci.directory(device) / attribute, value)}; {heard.said(device)}"


def _taken_from_host(device: PciAddress) -> str:
    """A NIC is taken, and given back: without what the host had of it."""
    heard = KernelLog()
    said = answer(pci.directory(device) / UNBIND, str(device))
    PROBE.write_text(str(device))
    layers.wait((pci.directory(device) / "net").is_dir)
    run("udevadm", "settle")
    kept = "192.0.2.77" in run("ip", "address", "show", "dev", layers.interface(device))
    return f"{said}; {heard.said(device)}; back on {pci.driver(device)}, its address is {'there' if kept else 'gone'}"


def _port_taken(port: PciAddress, count: int) -> str:
    heard = KernelLog()
    said = answer(pci.directory(port) / UNBIND, str(port))
    left = len([*pci.directory(port).glob("virtfn*")])
    PROBE.write_text(str(port))
    run("udevadm", "settle")
    _made_again(port, count)
    return f"{said}, {left} of {count} VFs are left; {heard.said(port)}"


def _returned(device: PciAddress) -> str:
    heard = KernelLog()
    (pci.directory(device) / "driver_override").write_text("\n")
    (pci.directory(device) / UNBIND).write_text(str(device))
    said = answer(PROBE, str(device))
    told = f"{said}, it is on {pci.driver(device)}, override {override(device)}; {heard.said(device)}"
    pci.bind(device)
    return told


@contextmanager
def _without_driver(port: PciAddress, count: int) -> Iterator[None]:
    (pci.directory(port) / NUMVFS).write_text("0")
    (pci.directory(port) / UNBIND).write_text(str(port))
    try:
        yield
    finally:
        PROBE.write_text(str(port))
        run("udevadm", "settle")
        _made_again(port, count)


def _made_again(port: PciAddress, count: int) -> None:
    """As the host was prepared."""
    (pci.directory(port) / NUMVFS).write_text("0")
    pci.create_vfs(port, count)
    pci.bind(PciAddress.parse((pci.directory(port) / "virtfn0").readlink().name))
    run("udevadm", "settle")
