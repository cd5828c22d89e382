"""The question before the first write, and signals during a change: in a process of its own, at a real terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hostdev.binding.child import Writer, is_alive
from hostdev.binding.journal import Journal, Transaction
from tests.hostdev.binding.hosts import DISK
from tests.hostdev.cli.running import ROOT, environment
from tests.patience import PATIENCE

QUESTION = "Write these 4 steps? [y/N] "
PLAN = f"echo vfio-pci > /sys/bus/pci/devices/{DISK}/driver_override"
BIND = ("node", "bind", DISK)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Change:
    """A command that changes a host, and what it prints at a terminal."""

    state_dir: Path
    hang: int = -1
    boot: str = "this-boot"
    printed: str = ""
    _run: subprocess.Popen[bytes] | None = None
    _terminal: int = -1

    def start(self, *words: str, terminal: bool = True) -> None:
        """Run it; without a terminal its standard input is closed."""
        ours, theirs = pty.openpty() if terminal else os.pipe()
        program = [sys.executable, "-m", "tests.hostdev.cli.changer", str(self.state_dir), str(self.hang), self.boot]
        command = [*program, *words, "--state-dir", str(self.state_dir)]
        self._run = subprocess.Popen(
            command,
            stdin=theirs if terminal else subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            cwd=ROOT,
            env=environment(COLUMNS="200", NO_COLOR="1"),
            start_new_session=True,
        )
        os.close(theirs)
        self._terminal = ours

    def type(self, text: bytes) -> None:
        os.write(self._terminal, text)

    def send(self, number: signal.Signals) -> None:
        """To the whole group, as a terminal or a service manager does."""
        assert self._run is not None
        os.killpg(self._run.pid, number)

    def wait_for(self, text: str) -> None:
        """Until it has printed that."""
        until = time.monotonic() + PATIENCE
        while text not in self.printed and time.monotonic() < until and self._read():
            pass
        assert text in self.printed, self.printed

    def wait_for_write(self, number: int) -> Path:
        """Until the child is at a write; the file that holds it there."""
        marker = self.state_dir / f"write-{number}"
        until = time.monotonic() + PATIENCE
        while not marker.exists() and time.monotonic() < until:
            time.sleep(0.02)
        assert marker.exists(), self.printed
        return marker

    def end(self) -> int:
        """Until it ends, writes taking no time; its exit code."""
        assert self._run is not None
        until = time.monotonic() + PATIENCE
        while self._run.poll() is None and time.monotonic() < until:
            for marker in self.state_dir.glob("write-*"):
                marker.unlink(missing_ok=True)
            select.select([self._terminal], [], [], 0.02)
        while self._read():
            pass
        return self._run.wait(PATIENCE)

    def _read(self) -> bool:
        if not select.select([self._terminal], [], [], 5)[0]:
            return False
        try:
            data = os.read(self._terminal, 65536)
        except OSError:
            return False
        self.printed += data.decode().replace("\r\n", "\n")
        return bool(data)

    def close(self) -> None:
        for one in self.transactions:
            if one.writer and is_alive(one.writer):
                os.kill(one.writer.pid, signal.SIGKILL)
        if self._run and self._run.poll() is None:
            self._run.kill()
            self._run.wait()
        if self._terminal >= 0:
            os.close(self._terminal)

    @property
    def transactions(self) -> list[Transaction]:
        return list(Journal(self.state_dir).each())


@pytest.fixture
def change(tmp_path: Path) -> Iterator[Change]:
    made = Change(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("answer", [b"y\n", b"yes\n", b" YES \n"])
def test_the_plan_is_shown_and_a_yes_carries_it_out(change: Change, answer: bytes) -> None:
    change.start(*BIND)
    change.wait_for(QUESTION)

    assert PLAN in change.printed.partition(QUESTION)[0]
    assert not change.transactions
    change.type(answer)
    assert change.end() == 0
    assert "done, journal " in change.printed.partition(QUESTION)[2]
    assert [str(one.effects.outcome) for one in change.transactions] == ["done"]


@pytest.mark.parametrize("answer", [b"\n", b"n\n", b"no\n", b"yesterday\n", b"\x04"])
def test_anything_else_writes_nothing(change: Change, answer: bytes) -> None:
    """Also the end of the input, which ^D is."""
    change.start(*BIND)
    change.wait_for(QUESTION)
    change.type(answer)

    assert change.end() == 0
    assert "nothing was written" in change.printed
    assert not change.transactions


def test_ctrl_c_at_the_question_writes_nothing(change: Change) -> None:
    change.start(*BIND)
    change.wait_for(QUESTION)
    change.type(b"\x03")

    assert change.end() == 130
    assert "Traceback" not in change.printed
    assert not change.transactions


def test_without_a_terminal_only_yes_is_a_yes(change: Change) -> None:
    change.start(*BIND, terminal=False)

    assert change.end() == 2
    assert "nothing is written without a yes, and there is no terminal to ask on" in change.printed
    assert "hint: say --yes" in change.printed
    assert not change.transactions


def test_with_json_the_question_shows_the_plan_beside_the_document(change: Change) -> None:
    change.start(*BIND, "-o", "json")
    change.wait_for(QUESTION)
    assert PLAN in change.printed
    change.type(b"y\n")

    assert change.end() == 0
    assert json.loads(change.printed[change.printed.index("{") :])["outcome"] == "done"


@pytest.mark.parametrize("write", [0, 1, 3])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_during_a_write_waits_for_it_and_undoes_what_was_begun(
    change: Change, number: signal.Signals, write: int
) -> None:
    change.start(*BIND, "--yes")
    for earlier in range(write):
        change.wait_for_write(earlier).unlink()
    change.wait_for_write(write)
    (at_it,) = change.transactions
    change.send(number)
    time.sleep(0.1)

    assert at_it.writer is not None
    assert is_alive(at_it.writer), "a signal to the group ends no writer"
    assert change.end() == 6
    assert f"{DISK}: it had begun, and is undone [change-interrupted]" in change.printed
    assert "failed, and undone: the devices are where they were" in change.printed
    (told,) = change.transactions
    assert (str(told.effects.outcome), told.running) == ("undone", False)


def test_ctrl_c_at_the_terminal_is_such_a_signal(change: Change) -> None:
    change.start(*BIND, "--yes")
    change.wait_for_write(0)
    change.type(b"\x03")

    assert change.end() == 6
    assert "[change-interrupted]" in change.printed


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_a_write_hangs_leaves_it_pending_told_and_recoverable(
    change: Change, number: signal.Signals
) -> None:
    change.hang = 1
    change.start(*BIND, "--yes", "--deadline", "1")
    change.wait_for_write(0).unlink()
    change.wait_for_write(1)
    change.send(number)

    assert change.end() == 8
    assert "not back yet: the kernel waits for the holder of the device" in change.printed
    (told,) = change.transactions
    assert (str(told.effects.outcome), told.running) == ("pending", True)
    assert told.writer is not None
    assert is_alive(told.writer)
    if number is signal.SIGTERM:
        _recovered_once_it_is_back(change.state_dir, told.writer)


def _recovered_once_it_is_back(state_dir: Path, writer: Writer) -> None:
    again = Change(state_dir)
    again.start("node", "journal", "recover")
    assert again.end() == 8
    assert f"PID {writer.pid} still waits for it since" in again.printed
    os.kill(writer.pid, signal.SIGKILL)
    after = Change(state_dir)
    after.start("node", "journal", "recover")
    assert after.end() == 0, after.printed
    (ended,) = after.transactions
    assert (str(ended.effects.outcome), ended.running) == ("undone", False)


def test_killed_during_a_write_it_is_cut_off_and_recovered(change: Change) -> None:
    change.start(*BIND, "--yes")
    change.wait_for_write(0)
    change.send(signal.SIGKILL)
    change.end()

    listed = Change(change.state_dir)
    listed.start("node", "journal", "list")
    assert listed.end() == 0
    assert "cut off" in listed.printed
    recovered = Change(change.state_dir)
    recovered.start("node", "journal", "recover")
    assert recovered.end() == 0, recovered.printed
    assert str(change.transactions[0].effects.outcome) == "undone"


def test_after_a_reboot_what_was_cut_off_is_history(change: Change) -> None:
    change.start(*BIND, "--yes")
    change.wait_for_write(0).unlink()
    change.wait_for_write(1)
    change.send(signal.SIGKILL)
    change.end()
    (cut,) = change.transactions

    def after(*words: str) -> tuple[int, str]:
        later = Change(change.state_dir, boot="next-boot")
        later.start("node", "journal", *words)
        return later.end(), later.printed

    assert "cut off by a reboot" in after("list")[1]
    code, shown = after("show", cut.id)
    assert (code, "boot this-boot" in shown, "cut off by a reboot" in shown) == (0, True, True)
    assert f"{DISK} " in shown
    for words in (("undo", cut.id, "--yes"), ("undo", cut.id, "--dry-run")):
        code, said = after(*words)
        assert (code, "it was made in an earlier boot" in said) == (5, True)
    code, said = after("recover")
    assert (code, "no change of this boot was cut off or waits" in said) == (0, True)
    # It stands in nobody's way.
    later = Change(change.state_dir, boot="next-boot")
    later.start(*BIND, "--yes")
    assert later.end() == 0, later.printed
