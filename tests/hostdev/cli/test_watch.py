"""`passgate node watch`: real events of this kernel, and what a bind does to the verdicts of a whole group."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture, MockType

from domxml.errors import INTERRUPTED
from domxml.pciaddress import PciAddress
from hostdev.cli.node import watch
from hostdev.inventory.machine import Machine
from tests.hostdev.cli.running import COMMAND, ROOT, Ran, environment, machine
from tests.hostdev.cli.validator import errors, schema
from tests.patience import PATIENCE

pytest.importorskip("pyudev", reason="pyudev is not installed")


@dataclass
class Kernel:
    """A kernel that has these events to tell: the action, the device, and the machine after it."""

    events: list[tuple[str, str, Machine]]
    now: Machine

    def poll(self, _timeout: float | None) -> Any:
        action, name, self.now = self.events.pop(0)
        return type("Device", (), {"action": action, "sys_name": name})


@pytest.fixture
def kernel(mocker: MockerFixture, look_machine: MockType) -> Kernel:
    """A graphics card whose sound function gets a vfio driver, and the others after it."""
    base = machine("consumer-gpu")
    steps = [base]
    for function in (1, 2, 3):
        address = PciAddress.parse(f"01:00.{function}")
        changed = replace(base.functions[address], driver="vfio-pci", vfio_dev=f"vfio{function}")
        steps.append(replace(steps[-1], functions={**steps[-1].functions, address: changed}))
    gone = {a: f for a, f in steps[-1].functions.items() if a != PciAddress.parse("02:00.0")}
    made = Kernel(
        [
            ("bind", "0000:01:00.1", steps[1]),
            ("add", "not a pci function", steps[1]),
            ("bind", "0000:01:00.2", steps[2]),
            ("bind", "0000:01:00.3", steps[3]),
            ("remove", "0000:02:00.0", replace(steps[3], functions=gone)),
        ],
        base,
    )
    look_machine.side_effect = lambda _spec: made.now
    mocker.patch.object(watch, "_monitor", autospec=True, return_value=made)
    mocker.patch.object(time, "strftime", autospec=True, side_effect=_at_one_moment)
    return made


def _at_one_moment(form: str, *_when: time.struct_time) -> str:
    return form.replace("%Y-%m-%d", "2026-01-02").replace("%H:%M:%S", "03:04:05")


def test_a_group_becomes_viable(cli: Callable[..., Ran], golden: Callable[[str, str], None], kernel: Kernel) -> None:
    ran = cli("node", "watch", "--count", "4")

    assert (ran.code, ran.err) == (0, "note: watching 10 functions; interrupt to end\n")
    golden("watch.txt", ran.out)
    assert kernel.events == []


def test_json_lines_follow_the_schema(cli: Callable[..., Ran], kernel: Kernel) -> None:
    lines = cli("node", "watch", "--count", "4", "-o", "json").out.splitlines()
    events = [json.loads(line) for line in lines]

    assert kernel.events == []
    assert [list(errors(event, schema("event.json"))) for event in events] == [[], [], [], []]
    assert [(event["action"], event["address"]) for event in events][-1] == ("remove", "0000:02:00.0")
    assert "0000:01:00.0" in {other["address"] for other in events[2]["others"]}
    passes = {other["address"]: (other["before"]["passes"], other["after"]["passes"]) for other in events[2]["others"]}
    assert passes["0000:01:00.0"] == (False, True)
    assert events[3]["after"] is None


def test_only_what_concerns_a_device(cli: Callable[..., Ran], kernel: Kernel) -> None:
    lines = cli("node", "watch", "0000:02:00.0", "--count", "1", "-o", "json").out.splitlines()

    assert [json.loads(line)["action"] for line in lines] == ["remove"]
    assert kernel.events == []


@contextmanager
def watching(*words: str) -> Iterator[subprocess.Popen[str]]:
    """The command, ready for events."""
    with subprocess.Popen(
        [*COMMAND, "node", "watch", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment(),
    ) as running:  # fmt: skip
        assert running.stderr is not None
        first = running.stderr.readline()
        if "cannot be received" in first:
            pytest.skip(first)
        assert first.startswith("note: watching")
        yield running
        running.kill()


def trigger() -> str:
    """Let the kernel repeat that a device is there; nothing changes by that."""
    devices = sorted(Path("/sys/bus/pci/devices").glob("*"))
    try:
        (devices[0] / "uevent").write_text("change")
    except (IndexError, OSError) as error:
        pytest.skip(f"this kernel cannot be asked for an event: {error}")
    return devices[0].name


def test_a_real_event() -> None:
    with watching("--count", "1", "--timeout", "20", "-o", "json") as running:
        name = trigger()
        out, err = running.communicate(timeout=PATIENCE)

    event = json.loads(out)
    assert (running.returncode, err) == (0, "")
    assert list(errors(event, schema("event.json"))) == []
    assert (event["action"], event["address"]) == ("change", name)
    assert event["before"] == event["after"]


def test_it_ends_in_time() -> None:
    with watching("--timeout", "0.2") as running:
        assert running.wait(PATIENCE) == 0


def test_it_ends_by_an_interrupt() -> None:
    with watching() as running:
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=PATIENCE)

    assert (running.returncode, out, err) == (INTERRUPTED, "", "")
