"""The whole suite in parts that run beside each other, as many as there are processors, the longest first.

`python -m tests.parts [--fast] [OPTION OF PYTEST…]` prints what each of them says when it has ended, and at the end
which took how long; `--fast` leaves out those that need root and a host. Parts share no directory, no port and no host.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, NamedTuple

from tests.house import ROOT
from tests.vmhost.session import BOOTS

SLOW = ("browser", "oracle", "vmhost")
FAST = " and ".join(f"not {tier}" for tier in SLOW)
NO_TESTS = 5
"""Pytest's exit code where the options leave none of a part."""
INTERRUPTED = 130


class Part(NamedTuple):
    """A run of pytest."""

    name: str
    marked: str
    places: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()

    def command(self, options: Sequence[str]) -> list[str]:
        """Its words."""
        ignored = (f"--ignore={place}" for place in self.elsewhere)
        return [sys.executable, "-m", "pytest", "-m", self.marked, *ignored, *options, *self.places]


PROCESSES = ("tests/hooksidecar", "tests/kubelet")
PARTS = (
    Part("the passthrough host", "vmhost and not thorough", ("tests/vmhost", "tests/firmware")),
    Part(
        "libvirts and the browser",
        "(oracle or browser) and not thorough",
        ("tests/oracle", "tests/scenarios", "tests/browser"),
    ),
    Part("all other fast tests", FAST, ("tests",), PROCESSES),
    Part("sidecar, agent and kubelet", FAST, PROCESSES),
)


@dataclass
class Run:
    """A part under way, then what became of it."""

    part: Part
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    begun: float
    took: float = 0.0
    processor: float = 0.0
    code: int = 0

    @property
    def failed(self) -> bool:
        return self.code not in {0, NO_TESTS}

    @property
    def row(self) -> str:
        """A line of the summary."""
        became = f"failed with {self.code}" if self.failed else "passed"
        used = f"{_clock(self.processor)} of a processor"
        return f"{self.part.name:<28}{_clock(self.took):>7}{used:>24}  {became}"


def main(options: Sequence[str], parts: Sequence[Part] = PARTS) -> int:
    """Run all parts; the exit code of the first that failed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    begun = time.monotonic()
    waiting, running, ended = list(parts), dict[int, Run](), list[Run]()
    try:
        while waiting or running:
            while waiting and len(running) < _processors():
                one = _start(waiting.pop(0), options)
                running[one.process.pid] = one
            ended.append(_first_of(running))
            _show(ended[-1])
    except KeyboardInterrupt:
        _interrupt(running)
        return INTERRUPTED
    print(*(one.row for one in ended), f"{'in all':<28}{_clock(time.monotonic() - begun):>7}", sep="\n", flush=True)
    return next((one.code for one in ended if one.failed), 0)


def _processors() -> int:
    return max(1, len(os.sched_getaffinity(0)))


def _start(part: Part, options: Sequence[str]) -> Run:
    output = tempfile.TemporaryFile()  # noqa: SIM115  closed when it has been shown
    boots = max(1, _processors() - len(PARTS) + 1)
    # A group of its own: the terminal's interrupt comes to this process alone, and goes to each part once. Should this
    # process be killed, the kernel interrupts them.
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "INT", *part.command(options)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env={**os.environ, BOOTS: str(boots)},
        process_group=0,
    )
    print(f"{part.name}: begun", flush=True)
    return Run(part, process, output, time.monotonic())


def _first_of(running: dict[int, Run]) -> Run:
    """Wait for the first to end."""
    pid, status, used = os.wait4(-1, 0)
    one = running.pop(pid)
    one.code = one.process.returncode = os.waitstatus_to_exitcode(status)
    one.took, one.processor = time.monotonic() - one.begun, used.ru_utime + used.ru_stime
    return one


def _show(one: Run) -> None:
    print(f"{one.part.name}: ended after {_clock(one.took)}, and said:", flush=True)
    one.output.seek(0)
    shutil.copyfileobj(one.output, sys.stdout.buffer)
    sys.stdout.buffer.flush()
    one.output.close()


def _interrupt(running: dict[int, Run]) -> None:
    """Let each come to its end, and show how far it was."""
    for one in running.values():
        one.process.send_signal(signal.SIGINT)
    while running:
        _show(_first_of(running))


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


if __name__ == "__main__":
    words = sys.argv[1:]
    fast = [part for part in PARTS if part.marked == FAST]
    sys.exit(main(words[1:], fast) if words[:1] == ["--fast"] else main(words))
