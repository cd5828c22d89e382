"""H10: SIGTERM, SIGINT and Shutdown end in 0 within a second, whatever is going on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from domxml.errors import ExitCode
from tests.domxml.domains import load
from tests.hooksidecar.client import Failed
from tests.hooksidecar.procfs import read_status
from tests.hooksidecar.sidecar import Sidecar, Start, environment
from tests.patience import PATIENCE, SOON

SIGNALS = [signal.SIGTERM, signal.SIGINT]
STUCK = b"<domain>stuck</domain>"


@pytest.mark.parametrize("number", SIGNALS)
def test_h10_a_signal_ends_in_0_within_a_second(start: Start, number: signal.Signals) -> None:
    sidecar = start("device")
    sidecar.ready().info()

    code, took = sidecar.end(number)

    assert code == 0
    assert took < SOON
    assert not sidecar.path.exists()
    assert sidecar.log()[-1]["msg"] == "stopped"


def test_h10_shutdown_is_answered_and_then_ends_in_0(start: Start) -> None:
    sidecar = start("device")
    client = sidecar.ready()

    begun = time.monotonic()
    assert client.shutdown() == b""
    code = sidecar.process.wait(PATIENCE)

    assert code == 0
    assert time.monotonic() - begun < SOON
    assert not sidecar.path.exists()


@pytest.mark.parametrize("number", SIGNALS)
def test_h10_a_call_that_hangs_does_not_keep_the_process(start: Start, number: signal.Signals) -> None:
    sidecar = start("stuck", "--wait", "15")
    client = sidecar.ready()

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.define, STUCK)
        time.sleep(0.3)
        code, took = sidecar.end(number)
        assert isinstance(call.exception(), Failed)

    assert code == 0
    assert took < SOON


def test_h10_a_call_that_hangs_does_not_keep_the_process_from_a_shutdown(start: Start) -> None:
    sidecar = start("stuck", "--wait", "15")
    client = sidecar.ready()

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.define, STUCK)
        time.sleep(0.3)
        begun = time.monotonic()
        assert client.shutdown() == b""
        assert sidecar.process.wait(PATIENCE) == 0
        took = time.monotonic() - begun
        assert isinstance(call.exception(), Failed)

    assert took < SOON
    assert not sidecar.path.exists()


def test_a_call_under_way_is_answered_before_the_end(start: Start) -> None:
    sidecar = start("slow")
    client = sidecar.ready()

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.define, b"<domain/>")
        time.sleep(0.25)
        code, _ = sidecar.end()
        assert call.result() == b"<domain/>"

    assert code == 0


@pytest.mark.parametrize("moment", [120, 160, 200, 250])
def test_h10_a_signal_while_it_starts_is_not_lost(start: Start, moment: int) -> None:
    """As process 1 of a container it would ignore what it does not handle; here the handler shows in the exit code."""
    sidecar = start("device")
    while not _handles(sidecar.process.pid, signal.SIGTERM):
        assert sidecar.process.poll() is None
    time.sleep(moment / 1000 - 0.12)

    code, took = sidecar.end()

    assert code == 0
    assert took < SOON


def test_a_limit_of_processes_is_told() -> None:
    """Python's words for it; the kernel's limit itself would reach whatever else this user runs."""
    code = (
        "from hooksidecar.process import run_answered\n"
        'def serve(): raise RuntimeError("can\'t start new thread")\n'
        "raise SystemExit(run_answered(serve))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=False)

    assert done.returncode == ExitCode.NOT_PERMITTED
    assert "[no-threads]" in done.stderr


@pytest.mark.parametrize("mebibytes", [200, 511])
def test_a_limit_of_addresses_is_told(mount: Path, mebibytes: int) -> None:
    """Below it gRPC hangs at times, and no socket appears."""
    words = ["-m", "hooksidecar.main", "--socket-dir", str(mount), "--host", "none"]
    line = f'ulimit -v {mebibytes << 10}; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", line, "sh", sys.executable, *words],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
        timeout=PATIENCE,
    )

    assert done.returncode == ExitCode.NOT_PERMITTED
    assert (
        f"error: the process may use {mebibytes} MiB of addresses, and needs 512 [address-space-limited]" in done.stderr
    )


def test_a_log_that_nobody_reads_is_no_reason_to_fail(mount: Path) -> None:
    reader, writer = os.pipe()
    with Sidecar(mount, "device", "--log-level", "debug", log=writer) as sidecar:
        client = sidecar.ready()
        os.close(writer)
        os.close(reader)

        assert b"ua-passgate-qat" in client.define(load("q35-default"))
        assert client.shutdown() == b""
        assert sidecar.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
def test_without_standard_streams_it_serves_and_ends_as_ever(mount: Path, closed: str) -> None:
    with Sidecar(mount, "device") as sidecar:
        sidecar.end(signal.SIGKILL)
    sidecar.command = ["sh", "-c", f'exec "$@" {closed}', "sh", *sidecar.command]
    with sidecar:
        client = sidecar.ready()
        client.info()

        assert b"ua-passgate-qat" in client.define(load("q35-default"))
        assert sidecar.end()[0] == 0
    sidecar.command = [str(mount / "absent") if word == str(mount) else word for word in sidecar.command]
    with sidecar:
        assert sidecar.process.wait(PATIENCE) == 2


def _handles(pid: int, number: signal.Signals) -> bool:
    return bool(int(read_status(pid, "SigCgt"), 16) >> (number - 1) & 1)
