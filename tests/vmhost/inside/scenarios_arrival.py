"""A booted guest takes its devices, and the host sees it: `passgate node vitals` over the time of a boot."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from domxml.pciaddress import PciAddress
from tests.vmhost.inside import guest, guestboot, guestplan, nvmevf, pci, prepare, vitalsigns
from tests.vmhost.inside.devices import DISK_VF, LONE, OTHER_VF, PF, VF
from tests.vmhost.inside.guestboot import QUIET_MAC
from tests.vmhost.inside.product import passgate
from tests.vmhost.inside.scenario import expect, scenario
from tests.vmhost.topology import BY_ID

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

NIC = BY_ID["switch-nic0"].address
NAMES = {VF: "near", DISK_VF: "disk", NIC: "nic", OTHER_VF: "quiet", LONE: "edu"}
PAUSE = 1.0


@scenario
def devices_arrive_as_the_guest_takes_them(bench: Bench) -> None:
    """A guest boots with an igb VF, an NVMe VF, an e1000e, a VF whose interface stays down and one without driver."""
    guestboot.prepared()
    nvmevf.put_online(BY_ID["nvme0"].address, 0)
    specs = [word for address, name in NAMES.items() for word in ("--device", f"{address},name={name}")]
    xml = passgate("inject", "--host", "/", "--libvirt", "11.3", *specs, given=guestboot.base("arrives"))
    with _quiet_mac(), _sampled() as seen:
        view = guestboot.booted(bench, xml)
    places = {alias.removeprefix(guest.OURS): place for alias, place in guestplan.kernel_places(xml).items()}
    for address, name in NAMES.items():
        device = view.devices[places[name].address]
        states = [verdict for verdict, _ in seen[address]]
        expect("trouble" not in states, f"{address}: {seen[address]}")
        # What comes after is the guest's power-off.
        predicted = ["not yet", "arrived"] if device.driver else ["not yet"]
        expect(states[: len(predicted)] == predicted, f"{name}: predicted {predicted}, seen {seen[address]}")
        vectors = "msi_irqs" if any(how.endswith("some msi_irqs") for _, how in seen[address]) else "no msi_irqs"
        said = f"the guest: {device.driver or 'no driver'}, {'some' if device.vectors else 'no'} vectors"
        bench.record(f"{address} ({name})", " -> ".join(predicted), f"{said}; the host: {vectors}")


@contextmanager
def _sampled() -> Iterator[Mapping[PciAddress, list[tuple[str, str]]]]:
    """The verdicts one after another as they change, while a domain runs; of a second try from its start."""
    seen: dict[PciAddress, list[tuple[str, str]]] = {address: [] for address in NAMES}
    ended = threading.Event()

    def sample() -> None:
        gone = False
        while not ended.is_set():
            for address, vital in vitalsigns.look(NAMES).items():
                verdict = str(vital.verdict)
                gone = gone or (verdict == "not held" and bool(seen[address]))
                if verdict == "not held":
                    continue
                if gone and verdict == "not yet":
                    for states in seen.values():
                        states.clear()
                    gone = False
                if not seen[address] or seen[address][-1][0] != verdict:
                    seen[address].append((verdict, vitalsigns.shown(address)))
            ended.wait(PAUSE)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join(60)


@contextmanager
def _quiet_mac() -> Iterator[None]:
    """The VF that the guest leaves down is told by its MAC, which the PF gives it while it is up."""
    nic = next((pci.directory(PF) / "net").iterdir()).name
    prepare.run("ip", "link", "set", nic, "up", "vf", "0", "mac", QUIET_MAC)
    try:
        yield
    finally:
        prepare.run("ip", "link", "set", nic, "down", "vf", "0", "mac", "00:00:00:00:00:00")
