"""The agent's upkeep of node state: its turns, what it counts, and its end."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from hooksidecar.agent.manager import Manager
from hostdev.binding.steward import Steward
from tests.hostdev.binding.drivercore import DriverCore
from tests.hostdev.binding.hosts import DISK, core, functions, means
from tests.patience import PATIENCE, SOON

FILE = f"""\
apiVersion: passgate.dev/v1
kind: NodeState
spec:
  devices: [{{match: {{address: "{DISK}"}}, driver: vfio-pci}}]
"""


@pytest.fixture
def kernel() -> DriverCore:
    return core("hgx-h100")


@pytest.fixture
def steward(kernel: DriverCore, tmp_path: Path) -> Steward:
    return Steward(FILE.encode, "node-state.yaml", None, means(kernel, tmp_path), lambda _host: kernel.machine)


def test_a_turn_mends_and_counts(kernel: DriverCore, steward: Steward) -> None:
    manager = Manager(steward)

    first, second = manager.turn(), manager.turn()

    assert functions(kernel, DISK)[0].driver == "vfio-pci"
    assert (first.standings, first.outcomes) == ({"held": 1}, {"done": 1})
    assert second == first


def test_a_defect_ends_no_agent(steward: Steward) -> None:
    manager = Manager(steward)

    def broken() -> bytes:
        raise ZeroDivisionError

    steward.read = broken
    assert manager.turn() == manager.seen


def test_a_file_that_cannot_be_read_grows_old(steward: Steward) -> None:
    manager = Manager(steward)
    begun = manager.read_at
    whole = steward.read

    steward.read = lambda: b"spec: ["
    manager.turn()
    assert manager.read_at == begun
    steward.read = whole
    manager.turn()

    assert manager.read_at > begun


def test_it_takes_turns_until_it_is_closed(steward: Steward) -> None:
    turned = threading.Semaphore(0)
    manager = Manager(steward, every=0.01)
    manager.start(turned.release)
    for _ in range(3):
        assert turned.acquire(timeout=PATIENCE)
    before = time.monotonic()

    manager.close()

    assert time.monotonic() - before < SOON
    assert steward.means.stop()
