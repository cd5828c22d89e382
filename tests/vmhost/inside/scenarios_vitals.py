"""Devices of VMs as the host sees them: waiting, paused, taken away, faulting, gone; `passgate node vitals`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from domxml.pciaddress import PciAddress
from tests.vmhost.inside import layers, pci, vfioholder, vitalsigns
from tests.vmhost.inside.bench import URI
from tests.vmhost.inside.devices import DISK_VF, LONE, VF
from tests.vmhost.inside.domains import domain, hostdev
from tests.vmhost.inside.scenario import expect, scenario
from tests.vmhost.inside.vitalsigns import expect_verdict, said, shown, vitals
from tests.vmhost.topology import BY_ID

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

NIC = BY_ID["switch-nic0"].address
ALL = (VF, DISK_VF, NIC)
LATER = 700.0
"""After this an ordinary boot is over."""
FIRMWARE = 300
PAUSED = 3
FAULT = 0x5000000


@scenario
def a_vm_without_a_guest_is_waited_for(bench: Bench) -> None:
    """A paused VM, then one whose firmware finds nothing to boot: no verdict says more than is known."""
    names = list(map(str, ALL))
    with bench.running(domain("waits", *map(hostdev, ALL))) as running:
        items = vitals(*names)
        for address in ALL:
            expect_verdict(items, address, "not yet")
            held = items[str(address)]["held"]
            expect(held["vm"] == "waits", f"{address} is held by {held}")
            bench.record(f"{address}, paused", said(items[str(address)]), shown(address))
        paused = vitals(*names, "--connect", URI)
        for address in ALL:
            expect("is paused" in paused[str(address)]["why"], f"{paused[str(address)]}")
        bench.record(
            "paused, --connect",
            "not yet: the domain is paused",
            "paused" if running.state()[0] == PAUSED else "not paused",
        )
        running.resume()
        asked = _numbered(names)
        for address in ALL:
            expect_verdict(asked, address, "not yet")
            guest = asked[str(address)]["guest"]
            qemu = guest["qemu"]
            expect(guest["path"] and guest["path"] == qemu["path"], f"planned {guest['path']}, QEMU: {qemu}")
            expect(qemu["placed"] is not False, f"{address}: {qemu}")
            bench.record(
                f"{address}, firmware alone, --ask-qemu",
                f"not yet; planned at {guest['planned']}",
                f"query-pci: {qemu['address']}, {'/'.join(qemu['path'])}, {shown(address)}",
            )
        for address, vital in vitalsigns.look(ALL, LATER).items():
            expect(vital.verdict == "no sign", f"{address}: {vital}")
            bench.record(f"{address}, the same after {LATER:.0f} s", str(vital.verdict), shown(address))
    items = vitals(*names)
    for address in ALL:
        expect_verdict(items, address, "not held")
        bench.record(f"{address}, destroyed", said(items[str(address)]), shown(address))


@scenario
def an_unbind_that_waits_for_a_vm_is_trouble(bench: Bench) -> None:
    """The link to the driver is gone while the VM has the device; the answer does not wait with the unbind."""
    unbind = pci.PCI / "drivers/vfio-pci/unbind"
    with vfioholder.held(VF) as pid, vfioholder.waiting(str(unbind), str(VF), pid):
        layers.wait(lambda: pci.driver(VF) is None)
        begun = time.monotonic()
        items = vitals(str(VF), code=1)
        expect(time.monotonic() - begun < FIRMWARE, "it waited")
        expect_verdict(items, VF, "trouble", "removal-pending")
        bench.record(f"unbind {VF}, held", said(items[str(VF)]), f"no link to a driver, {shown(VF)}")
    pci.bind(VF)


@scenario
def a_dma_fault_is_trouble_of_that_device_alone(bench: Bench) -> None:
    """The edu device reads memory that nobody gave it: the kernel says so, and the VM before it is not blamed."""
    before = vitals(str(LONE))
    expect_verdict(before, LONE, "not held")
    with _faulting(LONE, faults=False), vfioholder.held(VF):
        items = vitals(str(LONE), str(VF))
        expect(items[str(LONE)]["verdict"] == "not yet", f"{items[str(LONE)]}")
        bench.record(f"{LONE} is held, and does nothing", said(items[str(LONE)]), shown(LONE))
    with _faulting(LONE), vfioholder.held(VF):
        items = vitals(str(LONE), str(VF), code=1)
        expect_verdict(items, LONE, "trouble", "dma-fault")
        expect_verdict(items, VF, "not yet")
        (finding,) = items[str(LONE)]["findings"]
        line = finding["evidence"][-1]["content"].partition("] ")[2]
        bench.record(f"{LONE} reads {FAULT:#x}", said(items[str(LONE)]), line)
        bench.record(f"{VF} meanwhile", said(items[str(VF)]), shown(VF))
    with _faulting(LONE, faults=False):
        items = vitals(str(LONE))
        expect_verdict(items, LONE, "not yet")
        bench.record(f"{LONE}, held by the next process", said(items[str(LONE)]), "the line is still in the log")


@scenario
def looking_wakes_nothing(bench: Bench) -> None:
    """Idle devices sleep before and after, and no look opens config space: an audit hook would end it."""
    idle = [VF, DISK_VF, LONE, NIC]
    before = vitalsigns.asleep(idle)
    expect(before[DISK_VF].endswith("suspended"), f"{DISK_VF} is {before[DISK_VF]}")
    for _ in range(3):
        vitals(*map(str, idle))
    code = (
        "import sys\n"
        "def hook(event, args):\n"
        "    if event == 'open' and str(args[0]).rpartition('/')[2] in {'config', 'vpd', 'rom', 'sriov_numvfs'}:\n"
        "        raise SystemExit(f'opened {args[0]}')\n"
        "sys.addaudithook(hook)\n"
        "from tests.vmhost.inside import vitalsigns\n"
        "from hostdev.inventory.functions import PciAddress\n"
        f"vitalsigns.look([PciAddress.parse(one) for one in {list(map(str, idle))!r}])\n"
        "from hostdev.inventory.host import Host\n"
        "from hostdev.inventory.scan import scan\n"
        "scan(Host('/'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    expect(done.returncode == 0, done.stderr)
    after = vitalsigns.asleep(idle)
    expect(before == after, f"before {before}, after {after}")
    for address in idle:
        bench.record(f"{address} is looked at", before[address], after[address])


def _numbered(names: list[str]) -> vitalsigns.Items:
    """The answer once the firmware has dealt out bus numbers."""
    until = time.monotonic() + FIRMWARE
    while True:
        items = vitals(*names, "--connect", URI, "--ask-qemu")
        bars = [bar for item in items.values() for bar in item["guest"]["qemu"]["bars"]]
        if (bars and all(bar["address"] for bar in bars)) or time.monotonic() > until:
            return items


READS = """
os.pwrite(device, struct.pack("<H", 0x6), (7 << 40) + 4)
if int(sys.argv[3]):
    for offset, value in ((0x80, {fault}), (0x88, 0x40000), (0x90, 64), (0x98, 1)):
        os.pwrite(device, struct.pack("<I", value), offset)
"""


@contextmanager
def _faulting(address: PciAddress, *, faults: bool = True) -> Iterator[None]:
    """A process has the edu device, and lets it read an address that it was not given."""
    script = vfioholder.HOLD.replace("address, node = sys.argv[1:]", "address, node = sys.argv[1:3]")
    script = script.replace('print("ready"', f'{READS.format(fault=FAULT)}\nprint("ready"')
    command = [sys.executable, "-c", script, str(address), "", str(int(faults))]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        expect(holder.stdout and holder.stdout.readline() == "ready\n", f"{address} could not be held")
        # The device takes a tenth of a second for it.
        time.sleep(2 if faults else 0)
        yield
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
