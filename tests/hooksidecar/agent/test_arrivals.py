"""The agent's looks after the start of VMs: on a host made of files, whose clock is /proc/uptime."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hooksidecar import log
from hooksidecar.agent.arrivals import SETTLED, Arrivals
from hooksidecar.agent.metrics import Metrics
from hostdev.inventory.host import Host as Door
from hostdev.inventory.machine import Machine
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.holders.grants import grant
from tests.hostdev.vitals.hosts import UPTIME, kernel_line, vms

DEVICE = "0000:3b:02.3"
POD, NEXT = "0a1b2c3d-0000-4000-8000-123456789abc", "0a1b2c3d-0000-4000-8000-123456789abd"
FAULT = "DMAR: [DMA Read NO_PASID] Request device [3b:02.3] fault addr 0x5000000 [fault reason 0x06]"


class Node:
    """A node whose time is made."""

    def __init__(self, root: Path) -> None:
        self.root = root
        layout.write(vms().recording(), root)
        self.now = UPTIME
        self.looked = 0
        self.arrivals = Arrivals(str(root), self.machine)
        self.give(POD)

    def machine(self) -> Machine:
        self.looked += 1
        with Door(self.root) as host:
            return scan(host, use=False)

    def give(self, *pods: str) -> None:
        granted = [grant(DEVICE, pod=pod) for pod in pods]
        self.arrivals.granted(granted)

    def write(self, path: str, text: str) -> None:
        (self.root / path).write_text(text)

    def device(self, name: str, text: str) -> None:
        self.write(f"sys/bus/pci/devices/{DEVICE}/{name}", f"{text}\n")

    def open(self) -> None:
        """A VM opens the device, which the agent has seen idle."""
        self.after(1)
        self.device("enable", "1")

    def guest_driver(self) -> None:
        directory = self.root / f"sys/bus/pci/devices/{DEVICE}/msi_irqs"
        directory.mkdir(exist_ok=True)
        (directory / "70").write_text("msix\n")

    def no_guest_driver(self) -> None:
        shutil.rmtree(self.root / f"sys/bus/pci/devices/{DEVICE}/msi_irqs", ignore_errors=True)

    def after(self, seconds: float) -> dict[str, int]:
        """Let time go by in looks; how devices stand then."""
        end = self.now + seconds
        pause = 0.0
        while True:
            self.now = min(self.now + pause, end)
            self.write("proc/uptime", f"{self.now:.2f} 0.00\n")
            pause = max(self.arrivals.turn(), 0.01)
            if self.now >= end:
                return dict(self.arrivals.seen.states)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "host")


def test_from_the_grant_to_the_guests_driver(node: Node) -> None:
    assert node.after(300) == {"not-held": 1}
    node.device("enable", "1")
    assert node.after(40) == {"not-yet": 1}
    node.guest_driver()
    assert node.after(30) == {"arrived": 1}

    arrived = node.arrivals.seen.arrived
    assert sum(arrived.buckets.values()) == 1
    assert 30 <= arrived.total <= 110
    assert node.arrivals.seen.findings == ()


def test_an_arrival_is_counted_once(node: Node) -> None:
    node.open()
    node.guest_driver()
    node.after(600)
    node.no_guest_driver()
    node.after(200)
    node.guest_driver()
    node.after(200)

    assert sum(node.arrivals.seen.arrived.buckets.values()) == 1


def test_no_sign_after_the_time_of_a_boot(node: Node) -> None:
    node.open()

    assert node.after(590) == {"not-yet": 1}
    assert node.after(120) == {"no-sign": 1}
    node.guest_driver()
    assert node.after(120) == {"arrived": 1}


def test_what_was_open_when_the_agent_began_is_not_timed(node: Node) -> None:
    node.device("enable", "1")
    node.guest_driver()

    assert node.after(10) == {"arrived": 1}
    assert node.arrivals.seen.arrived.total == 0


def test_trouble_is_told_after_a_second_look(node: Node) -> None:
    node.open()
    node.after(40)
    node.write("dev/kmsg", kernel_line(node.now, FAULT) + "\n")
    node.write("proc/uptime", f"{node.now + 60:.2f} 0\n")

    pause = node.arrivals.turn()
    assert (node.arrivals.seen.findings, pause) == ((), 1.0)
    node.now += 60
    assert node.after(2) == {"trouble": 1}
    (found,) = node.arrivals.seen.findings
    assert (found.code, found.subject) == ("dma-fault", DEVICE)


def test_a_fault_of_the_vm_before_is_not_this_ones(node: Node) -> None:
    node.write("dev/kmsg", kernel_line(node.now - 10, FAULT) + "\n")
    node.after(60)
    node.device("enable", "1")

    assert node.after(60) == {"not-yet": 1}


def test_trouble_ends_with_the_vm(node: Node) -> None:
    node.open()
    node.device("power_state", "D3cold")
    node.device("power/runtime_status", "active")
    assert node.after(60) == {"trouble": 1}
    node.device("enable", "0")

    assert node.after(SETTLED + 1) == {"not-held": 1}
    assert node.arrivals.seen.findings == ()


def test_another_pod_and_a_started_vm_begin_anew(node: Node) -> None:
    node.open()
    node.guest_driver()
    node.after(60)
    node.no_guest_driver()
    node.give(NEXT)
    assert node.after(1) == {"not-yet": 1}
    node.guest_driver()
    assert node.after(100) == {"arrived": 1}
    node.no_guest_driver()
    node.arrivals.started(frozenset({POD}))
    assert node.after(1) == {"arrived": 1}
    node.arrivals.started(frozenset({NEXT}))
    assert node.after(1) == {"not-yet": 1}
    node.guest_driver()
    node.after(60)

    assert sum(node.arrivals.seen.arrived.buckets.values()) == 2


def test_a_grant_that_is_gone_is_not_followed(node: Node) -> None:
    node.after(1)
    node.give()

    assert node.after(1) == {}


def test_without_interrupts_to_see_it_is_unknown(node: Node) -> None:
    node.open()
    (node.root / f"sys/bus/pci/devices/{DEVICE}/irq").unlink()

    assert node.after(60) == {"unknown": 1}


def test_a_host_that_cannot_be_read_ends_nothing(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    log.start("info", "test")
    broken = Arrivals(str(node.root / "nowhere"), node.machine)
    broken.granted([grant(DEVICE, pod=POD)])

    assert broken.turn() > 0
    assert "no vitals" in capsys.readouterr().err


def test_a_mediated_device_stays_unknown(node: Node) -> None:
    node.arrivals.granted([grant("a1b2c3d4-0001-4000-8000-0000000000a1", pod=POD)])

    assert node.after(60) == {"unknown": 1}


def test_settled_devices_cost_a_look_a_minute(node: Node) -> None:
    node.open()
    node.guest_driver()
    node.after(10)
    before = node.looked
    node.after(600)

    assert node.looked - before <= 12


def test_metrics_have_every_state(node: Node) -> None:
    metrics = Metrics()
    node.open()
    node.guest_driver()
    node.after(60)
    metrics.arrived(node.arrivals.seen.states, node.arrivals.seen.arrived)
    text = metrics.text().decode()

    lines = [line for line in text.splitlines() if line.startswith("passgate_device_")]
    assert 'passgate_device_vitals{state="arrived"} 1.0' in lines
    assert 'passgate_device_vitals{state="trouble"} 0.0' in lines
    assert sum(line.startswith("passgate_device_vitals") for line in lines) == 6
    assert "passgate_device_arrival_seconds_count 1.0" in lines
    assert json.dumps(DEVICE) not in text
