"""The sidecar as a process: its start, its memory, and calls with a connection each: `python -m bench.sidecar`.

Beside it, in the same turns, a bare grpcio server that sends back what it gets: what is above that is ours.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

import grpc

from bench import imports
from bench.command import compile_sources
from bench.echo import DEFINE, INFO
from bench.interleaved import Timing, measure
from bench.table import MILLISECOND, Goal, goals, table
from hooksidecar.stubs import callbacks_v1alpha3_pb2 as callbacks
from tests.domxml.large import large
from tests.hooksidecar.cgroups import Limited, Unavailable, limited
from tests.hooksidecar.procfs import read_status
from tests.hostdev.layout import lay_out

DOMAINS = Path("tests/fixtures/domains")
STARTS = 31
CALLS = 300
PERCENTILE = 99
IDLE = 0.5
"""Seconds after which a server that just started has nothing left to do."""
MOST_KIB = 40 * 1024
MOST_START, MOST_MEMORY = 0.75, 1.05
MOST_FIRST, MOST_FIRST_LIMITED = 1.5, 0.6
MOST_P50 = {3: 1.8, 10: 2.2, 60: 3.5}
MOST_P99 = 3.0
FIRSTS, LIMITED = 21, 7
MACHINE = Path("tests/fixtures/machines/qat.toml")
OURS = ("-m", "hooksidecar.main", "--host", "none", "--wait", "0", "--log-level", "error", "--socket-dir")
ECHO = ("-m", "bench.echo")
OUR_NAME, ECHO_NAME = "passgate-hook", "bare grpcio echo"
CLOCK_OF_PROCESS = 2
"""A process has a clock of its own: the kernel makes the clock's number of its negated id and this."""
ALLOCATION = "QAT1=0000:3d:02.2\n"


class Process:
    """A server of its own, from exec to its end."""

    def __init__(
        self,
        command: tuple[str, ...],
        environment: Mapping[str, str] = MappingProxyType({}),
        before: Sequence[str] = (),
    ) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  as long as the process
        self.mount = Path(tempfile.mkdtemp(prefix="hk-"))
        (self.mount / "userdata" / "passgate").mkdir(parents=True)
        (self.mount / "userdata" / "passgate" / "allocation.env").write_text(ALLOCATION)
        self._command = command
        self._before = before
        self._environment = {**os.environ, "CONTAINER_NAME": "bench", **environment}
        self.path = self.mount / "bench.sock"
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        command = [*self._before, sys.executable, *self._command, str(self.mount)]
        self._process = subprocess.Popen(command, env=self._environment, stderr=self._log)  # noqa: S603
        while not self.path.exists():
            if self._process.poll() is not None:
                raise ChildProcessError(self.log())
            time.sleep(0.001)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.mount)
        self._log.close()

    def call(self, method: str, request: bytes) -> bytes:
        """One call on a connection of its own, as virt-launcher makes it."""
        with grpc.insecure_channel(f"unix:{self.path}") as channel:
            answer: bytes = channel.unary_unary(method, bytes, bytes)(request, timeout=60)
            return answer

    def log(self) -> str:
        """What it told so far."""
        self._log.seek(0)
        return self._log.read().decode()

    def busy(self) -> float:
        """The seconds of processors that it took so far."""
        return time.clock_gettime(~self._process.pid << 3 | CLOCK_OF_PROCESS)

    def memory(self) -> Memory:
        """What is resident now."""
        return Memory(*(int(read_status(self._process.pid, key)) for key in ("VmRSS", "RssAnon")))


class Memory(NamedTuple):
    """KiB: all, and without the pages of files, which processes share."""

    resident: int
    anonymous: int


def run() -> str:
    """All of it, with the bytecode that the image has."""
    compile_sources()
    with tempfile.TemporaryDirectory() as directory:
        lay_out(MACHINE.read_text(), f"{directory}/host")
        firsts = (_firsts(f"{directory}/host"), _firsts_limited(f"{directory}/host"))
    return "\n\n".join((_starts(), *firsts, *_calls(), _imports()))


def _starts() -> str:
    timings = measure({OUR_NAME: _start(OURS, _settings()), ECHO_NAME: _start(ECHO)}, turns=STARTS)
    ours, echo = timings.values()
    times = ours.times(echo)
    goal = Goal(f"at most {MOST_START} times the bare server", f"{times:.2f}", times <= MOST_START)
    return f"{table('From exec to Info answered', timings.values(), echo)}\n{goals([goal])}"


def _start(command: tuple[str, ...], environment: Mapping[str, str] = MappingProxyType({})) -> Callable[[], object]:
    def once() -> float:
        server = Process(command, environment)
        begun = time.perf_counter()
        with server:
            server.call(INFO, b"")
            return time.perf_counter() - begun

    return once


def _firsts(host: str) -> str:
    """Seconds of processors from exec to the first answer that a VM waits for."""
    timings = measure({OUR_NAME: _first(_on(host), _settings()), ECHO_NAME: _first(ECHO)}, turns=FIRSTS)
    ours, echo = timings.values()
    times = ours.times(echo)
    goal = Goal(f"at most {MOST_FIRST} times the bare server", f"{times:.2f}", times <= MOST_FIRST)
    title = "From exec to the first OnDefineDomain answered, 3 KB, one VF, seconds of a processor"
    return f"{table(title, timings.values(), echo)}\n{goals([goal])}"


def _first(command: tuple[str, ...], environment: Mapping[str, str] = MappingProxyType({})) -> Callable[[], object]:
    request = _requests()[3]

    def once() -> float:
        with Process(command, environment) as server:
            _answer_first(server, request)
            return server.busy()

    return once


def _answer_first(server: Process, request: bytes) -> None:
    """Ask what virt-launcher asks first."""
    server.call(INFO, b"")
    server.call(DEFINE, request)


def _firsts_limited(host: str) -> str:
    title = "The same with 200m of a processor and 64 MB, on the clock"
    try:
        with limited() as group:
            begun = [_seconds_limited(_on(host), _settings(), group) for _ in range(LIMITED)]
            bare = [_seconds_limited(ECHO, {}, group) for _ in range(LIMITED)]
    except Unavailable as why:
        return f"{title}\n  not measured: {why}"
    timings = [Timing(OUR_NAME, tuple(begun)), Timing(ECHO_NAME, tuple(bare))]
    seconds = timings[0].median
    goal = Goal(f"at most {MOST_FIRST_LIMITED} s", f"{seconds:.2f} s", seconds <= MOST_FIRST_LIMITED)
    return f"{table(title, timings, timings[1])}\n{goals([goal])}"


def _seconds_limited(command: tuple[str, ...], environment: Mapping[str, str], group: Limited) -> float:
    server, request = Process(command, environment, group.entering()), _requests()[3]
    begun = time.perf_counter()
    with server:
        _answer_first(server, request)
        return time.perf_counter() - begun


def _on(host: str) -> tuple[str, ...]:
    """The sidecar, on a host that it can look at."""
    return tuple(host if word == "none" else word for word in OURS)


def _settings() -> dict[str, str]:
    """How the image sets the allocator of memory."""
    return dict(re.findall(r"\b(MALLOC_\w+)=(\d+)", Path("Dockerfile").read_text()))


def _calls() -> list[str]:
    with Process(OURS, _settings()) as ours, Process(ECHO) as echo:
        for server in (ours, echo):
            server.call(INFO, b"")
        time.sleep(IDLE)
        texts = [_memory("after its start", ours, echo)]
        for size, request in _requests().items():
            texts += [_latency(size, request, ours, echo), _memory(f"after {CALLS} calls of {size} KB", ours, echo)]
        return texts


def _latency(size: int, request: bytes, ours: Process, echo: Process) -> str:
    timings = measure(
        {
            f"{OUR_NAME}, {size} KB": lambda: ours.call(DEFINE, request),
            ECHO_NAME: lambda: echo.call(DEFINE, request),
        },
        turns=CALLS,
    )
    mine, bare = timings.values()
    p50, p99 = mine.times(bare), _percentile(mine) / _percentile(bare)
    aims = [
        Goal(f"at most {MOST_P50[size]} times the bare server", f"{p50:.2f}", p50 <= MOST_P50[size]),
        Goal(
            f"of {PERCENTILE} % of the calls at most {MOST_P99:.0f} times",
            f"{_percentile(mine):.2f} ms, {p99:.2f}",
            p99 <= MOST_P99,
        ),
    ]
    title = f"OnDefineDomain with a connection of its own, {len(request)} bytes asked"
    return f"{table(title, timings.values(), bare)}\n{goals(aims)}"


def _percentile(timing: Timing) -> float:
    return statistics.quantiles(timing.seconds, n=100)[PERCENTILE - 1] * MILLISECOND


def _memory(when: str, ours: Process, echo: Process) -> str:
    mine, bare = ours.memory(), echo.memory()
    times = mine.resident / bare.resident
    lines = [f"Memory {when}", f"  {'':<46} {'resident':>10} {'of it not of files':>20}"]
    for name, memory in ((OUR_NAME, mine), (ECHO_NAME, bare)):
        lines.append(f"  {name:<46} {memory.resident:>6} KiB {memory.anonymous:>16} KiB")
    aims = [
        Goal(f"at most {MOST_KIB} KiB", f"{mine.resident}", mine.resident <= MOST_KIB),
        Goal(f"at most {MOST_MEMORY} times the bare server", f"{times:.2f}", times <= MOST_MEMORY),
    ]
    return "\n".join((*lines, goals(aims)))


def _imports() -> str:
    with Process(("-X", "importtime", *OURS)) as server:
        server.call(DEFINE, next(iter(_requests().values())))
        return imports.table(server.log())


def _requests() -> Mapping[int, bytes]:
    """By kilobytes: VMs as virt-launcher describes them."""
    names = {3: "q35-default", 10: "q35-big-10kb"}
    vms = {
        size: ((DOMAINS / f"{name}.xml").read_bytes(), (DOMAINS / f"{name}.vmi.json").read_bytes())
        for size, name in names.items()
    }
    vms[60] = large()
    return {
        size: callbacks.OnDefineDomainParams(domainXML=xml, vmi=vmi).SerializeToString()
        for size, (xml, vmi) in vms.items()
    }


if __name__ == "__main__":
    sys.stdout.write(run() + "\n")
