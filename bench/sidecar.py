"""The sidecar as a process: its start, its memory, and calls with a connection each: `python -m bench.sidecar`.

Beside it, in the same turns, a bare grpcio server that sends back what it gets: what is above that is ours.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import grpc

from bench.interleaved import Timing, measure
from bench.table import Goal, goals, table
from hooksidecar.stubs import callbacks_v1alpha3_pb2 as callbacks
from hooksidecar.stubs import info_pb2 as info

DOMAINS = Path("tests/fixtures/domains")
SIZES = (3, 10, 60)
STARTS = 9
CALLS = 150
MOST_KIB = 62_500
DEFINE = "/kubevirt.hooks.v1alpha3.Callbacks/OnDefineDomain"
INFO = "/kubevirt.hooks.info.Info/Info"
OURS = ("-m", "hooksidecar.main", "--host", "none", "--wait", "0", "--log-level", "error", "--socket-dir")
ECHO = ("-m", "bench.sidecar", "--echo")
ALLOCATION = "QAT1=0000:3d:02.2\n"


class Process:
    """A server of its own, from exec to its end."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self.mount = Path(tempfile.mkdtemp(prefix="hk-"))
        (self.mount / "userdata" / "passgate").mkdir(parents=True)
        (self.mount / "userdata" / "passgate" / "allocation.env").write_text(ALLOCATION)
        self._command = command
        self.path = self.mount / "bench.sock"
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        environment = {**os.environ, "CONTAINER_NAME": "bench"}
        self._process = subprocess.Popen([sys.executable, *self._command, str(self.mount)], env=environment)  # noqa: S603
        while not self.path.exists():
            if self._process.poll() is not None:
                raise ChildProcessError(self._command)
            time.sleep(0.001)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.mount)

    def call(self, method: str, request: bytes) -> bytes:
        """One call on a connection of its own, as virt-launcher makes it."""
        with grpc.insecure_channel(f"unix:{self.path}") as channel:
            answer: bytes = channel.unary_unary(method, bytes, bytes)(request, timeout=60)
            return answer

    def resident(self) -> int:
        """KiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])


def run() -> str:
    """All of it."""
    return "\n\n".join((_starts(), *_latencies()))


def _starts() -> str:
    def start(command: tuple[str, ...]) -> Callable[[], object]:
        def once() -> None:
            with Process(command) as process:
                process.call(INFO, b"")

        return once

    timings = measure({"passgate-hook": start(OURS), "bare grpcio server": start(ECHO)}, turns=STARTS)
    return table("From exec to Info answered, and the end", timings.values(), timings["bare grpcio server"])


def _latencies() -> list[str]:
    texts = []
    with Process(OURS) as ours, Process(ECHO) as echo:
        for size in SIZES:
            request = _request(size)
            ours.call(DEFINE, request)
            candidates = {
                f"passgate-hook, {size} KB": lambda request=request: ours.call(DEFINE, request),
                "bare grpcio echo": lambda request=request: echo.call(DEFINE, request),
            }
            timings = measure(candidates, turns=CALLS)
            texts.append(_with_p99(f"OnDefineDomain, {len(request)} bytes asked", list(timings.values())))
        resident = ours.resident()
    goal = Goal(f"at most {MOST_KIB} KiB resident after all calls", f"{resident}", resident <= MOST_KIB)
    return [*texts, f"Memory\n{goals([goal])}"]


def _with_p99(title: str, timings: list[Timing]) -> str:
    lines = [table(title, timings, timings[-1])]
    for timing in timings:
        p99 = statistics.quantiles(timing.seconds, n=100)[98] * 1000
        lines.append(f"  {timing.name:<46} p99 {p99:.2f} ms")
    return "\n".join(lines)


def _request(kilobytes: int) -> bytes:
    """A domain of about this size; what is missing is filled up with metadata, which every pass carries along."""
    name = "q35-default" if kilobytes < 5 else "q35-big-10kb"
    xml = (DOMAINS / f"{name}.xml").read_bytes()
    metadata = b"".join(b"<note n='%d'>text</note>" % number for number in range(10_000))
    missing = max(0, kilobytes * 1000 - len(xml))
    notes = metadata[: missing - missing % 24] if missing > 1000 else b""
    notes = notes[: notes.rfind(b"</note>") + 7] if notes else b""
    xml = xml.replace(b"<devices>", b"<metadata><n>" + notes + b"</n></metadata><devices>", 1) if notes else xml
    vmi = json.dumps({"kind": "VirtualMachineInstance", "metadata": {"name": "vm"}, "spec": {}}).encode()
    return callbacks.OnDefineDomainParams(domainXML=xml, vmi=vmi).SerializeToString()


def _echo(mount: str) -> None:
    """The bare server: domain in, domain out."""

    def define(request: callbacks.OnDefineDomainParams, _context: object) -> callbacks.OnDefineDomainResult:
        return callbacks.OnDefineDomainResult(domainXML=request.domainXML)

    methods = {
        DEFINE: grpc.unary_unary_rpc_method_handler(
            define, callbacks.OnDefineDomainParams.FromString, callbacks.OnDefineDomainResult.SerializeToString
        ),
        INFO: grpc.unary_unary_rpc_method_handler(
            lambda _request, _context: info.InfoResult(), info.InfoParams.FromString, info.InfoResult.SerializeToString
        ),
    }

    class Handler(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # it takes none at run time
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
            return methods.get(handler_call_details.method)

    server = grpc.server(ThreadPoolExecutor(4), [Handler()])
    server.add_insecure_port(f"unix:{mount}/userdata/made.sock")
    server.start()
    Path(mount, "userdata", "made.sock").rename(Path(mount, "bench.sock"))
    server.wait_for_termination()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--echo"]:
        _echo(sys.argv[2])
    else:
        sys.stdout.write(run() + "\n")
