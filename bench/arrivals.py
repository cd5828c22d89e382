"""What the agent's looks after starts cost: 40 VMs on a large host made of files, whose clock is /proc/uptime."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.table import show
from hooksidecar.agent.arrivals import Arrivals
from hostdev.inventory.host import Host as Door
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.holders.grants import grant
from tests.hostdev.vitals.hosts import UPTIME, Host, kernel_line

VMS = 40
LINES = 10_000
BOOT, HOUR = 120.0, 3600.0


def run() -> Iterator[str]:
    """All of it; time goes by in the file, and the processor's is measured."""
    with tempfile.TemporaryDirectory(prefix="vitals-") as directory:
        root = Path(directory, "host")
        devices = _host(root)
        with Door(root) as host:
            machine = scan(host, use=False)
        arrivals = Arrivals(str(root), lambda: machine)
        arrivals.granted([grant(device, pod=f"pod-{number}") for number, device in enumerate(devices)])
        now = UPTIME
        for name, seconds, change in (
            (f"{VMS} devices wait for their VMs", HOUR, _nothing),
            (f"{VMS} VMs start at once, {BOOT:.0f} s", BOOT, _open),
            (f"{VMS} devices have arrived", HOUR, _interrupts),
        ):
            change(root, devices)
            looks, cost = _spent(root, arrivals, now, seconds)
            now += seconds
            yield f"  {name:<34} {looks:>4} looks {cost * 1000:>8.1f} ms {100 * cost / seconds:>8.4f} % of a core"
        yield f"  states: {dict(arrivals.seen.states)}"


def _spent(root: Path, arrivals: Arrivals, begin: float, seconds: float) -> tuple[int, float]:
    now, looks, begun = begin, 0, time.process_time()
    while now < begin + seconds:
        (root / "proc/uptime").write_text(f"{now:.2f} 0\n")
        now += max(arrivals.turn(), 0.5)
        looks += 1
    return looks, time.process_time() - begun


def _host(root: Path) -> list[str]:
    host = Host()
    port = host.builder.bridge(host.builder.root("pci0000:3a", node=0), "0000:3a:00.0")
    pf = host.builder.function(port, "0000:3b:00.0", "8086:1572", 0x020000, driver="i40e")
    vfs = host.builder.vfs(pf, "0000:3b:02.0", "8086:154c", 0x020000, ["vfio-pci"] * VMS)
    host.log = [kernel_line(number, f"audit: type=1400 line {number}") for number in range(LINES)]
    layout.write(host.recording(), root)
    return [vf.address for vf in vfs]


def _nothing(_root: Path, _devices: list[str]) -> None:
    pass


def _open(root: Path, devices: list[str]) -> None:
    for device in devices:
        (root / f"sys/bus/pci/devices/{device}/enable").write_text("1\n")


def _interrupts(root: Path, devices: list[str]) -> None:
    for device in devices:
        directory = root / f"sys/bus/pci/devices/{device}/msi_irqs"
        directory.mkdir()
        (directory / "70").write_text("msix\n")


if __name__ == "__main__":
    show(run())
