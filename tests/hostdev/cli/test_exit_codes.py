"""Every way a command can end has its exit code and its words, and none of them is a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_mock import MockType

from domxml import errors
from domxml.errors import ExitCode, NotPermitted
from tests.hostdev.cli.running import COMMAND, ROOT, Ran, environment, host, process
from tests.patience import PATIENCE

LONG = ("node", "list", *host("qat"), "-o", "json")
"""More than a pipe holds."""


def test_the_installed_script_works() -> None:
    script = Path(sys.executable).with_name("passgate")
    if not script.exists():
        pytest.skip("passgate is not installed beside this Python")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("passgate ")
    assert "Python 3." in done.stdout
    assert "libxml2 2." in done.stdout


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        ("/nowhere", ExitCode.HOST_UNREADABLE, "/nowhere: cannot open the directory: No such file"),
        ("pyproject.toml", ExitCode.USAGE, "not a recorded machine"),
        ("README.md", ExitCode.HOST_UNREADABLE, "README.md: cannot open the directory: Not a directory"),
        ("docs", ExitCode.HOST_UNREADABLE, "docs: holds no sys/ directory"),
        ("nowhere.toml", ExitCode.USAGE, "nowhere.toml: there is no such file"),
    ],
)
def test_a_host_that_is_none(spec: str, code: ExitCode, words: str, cli: Callable[..., Ran]) -> None:
    for command in ("list", "groups", "doctor", "draw", "snapshot"):
        ran = cli("node", command, "--host", spec)

        assert (ran.code, ran.out) == (code, "")
        assert words in ran.err
        assert "\nhint: " in ran.err


@pytest.mark.parametrize("text", ["", "format = 1\nnonsense", "format = 1\n[sys]\nx = 1", "\x00", "format = 2"])
def test_a_recording_that_is_none(text: str, tmp_path: Path, cli: Callable[..., Ran]) -> None:
    file = tmp_path / "machine.toml"
    file.write_text(text)
    ran = cli("node", "list", "--host", str(file))

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert ran.err.startswith("error: ")


def test_a_root_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "sys").mkdir()
    tmp_path.chmod(0o000)
    ran = process("node", "list", "--host", str(tmp_path), nobody=True)
    tmp_path.chmod(0o700)

    assert (ran.code, ran.out) == (ExitCode.HOST_UNREADABLE, "")
    assert "Permission denied" in ran.err


def test_subject_message_code_and_hint(cli: Callable[..., Ran]) -> None:
    ran = cli("node", "show", "3d:02.7", *host("qat"))

    assert ran.code == 0
    ran = cli("node", "show", "3d:03.0", *host("qat"))
    assert ran.code == ExitCode.REFUSED
    assert ran.err.splitlines() == [
        "error: 0000:3d:03.0: there is no such device on tests/fixtures/machines/qat.toml [device-missing]",
        "hint: the nearest are 0000:3d:02.0, 0000:3d:02.1, 0000:3d:02.2",
    ]


def test_a_defect_is_one_sentence(cli: Callable[..., Ran], look_machine: MockType) -> None:
    look_machine.side_effect = ZeroDivisionError("two\nlines")
    ran = cli("node", "list")

    assert (ran.code, ran.out) == (errors.INTERNAL, "")
    assert ran.err.splitlines() == [
        "error: internal error, a defect of passgate: ZeroDivisionError: two lines [internal-error]",
        "hint: run it again with --debug to see where, and report it",
    ]
    assert "Traceback (most recent call last)" in cli("node", "list", "--debug").err


def test_the_codes_of_the_core(cli: Callable[..., Ran], look_machine: MockType) -> None:
    look_machine.side_effect = NotPermitted("not-permitted", "this needs root", hint="run it as root")
    ran = cli("node", "list")

    assert ran == Ran(ExitCode.NOT_PERMITTED, "", "error: this needs root [not-permitted]\nhint: run it as root\n")
    assert "Traceback" in cli("--debug", "node", "list").err


def test_an_interrupt_is_silent() -> None:
    with subprocess.Popen(
        [*COMMAND, "node", "explain", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd=ROOT,
    ) as running:  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while b"read" not in _waits_in(running.pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=PATIENCE)

    assert (running.returncode, out, err) == (errors.INTERRUPTED, b"", b"")


def _waits_in(pid: int) -> bytes:
    """The kernel function that a process sleeps in: reading its input."""
    return Path(f"/proc/{pid}/wchan").read_bytes()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_ends_us_in_silence(unbuffered: str) -> None:
    ran = process(*LONG, line='("$@"; echo $? >&2) | head -1', env={"PYTHONUNBUFFERED": unbuffered})

    assert ran.out == "{\n"
    assert ran.err == "141\n"


def test_the_signal_is_the_real_one() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, *LONG], stdout=write, stderr=subprocess.PIPE, cwd=ROOT, env=environment(), check=False
    )
    os.close(write)

    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


@pytest.mark.parametrize("words", [LONG, ("node", "list", *host("empty")), ("--help",), ("--version",)])
@pytest.mark.parametrize(
    ("line", "reason"),
    [('"$@" >/dev/full', "No space left on device"), ('"$@" >&-', "standard output is closed")],
)
def test_output_that_does_not_arrive_is_an_error(words: tuple[str, ...], line: str, reason: str) -> None:
    ran = process(*words, line=line)

    assert ran.code == errors.OUTPUT_LOST
    assert ran.err.startswith("error: ")
    assert reason in ran.err
    assert "Traceback" not in ran.err
    assert "Exception ignored" not in ran.err


@pytest.mark.parametrize("line", ['"$@" 2>&-', '"$@" 2>/dev/full'])
def test_nobody_listens_to_errors(line: str) -> None:
    assert process("node", "list", "--host", "/nowhere", line=line) == Ran(ExitCode.HOST_UNREADABLE, "", "")


def test_letters_that_the_terminal_does_not_have(tmp_path: Path) -> None:
    names = tmp_path / "pci.ids"
    names.write_text("8086  Intel\n\t1572  Карта\n", encoding="utf-8")
    words = ("node", "list", *host("two-socket-x710"), "--pci-ids", str(names))
    ran = process(*words, env={"PYTHONIOENCODING": "ascii"})

    assert ran.code == 0
    assert r"\u041a\u0430\u0440\u0442\u0430" in ran.out


def test_fail_on_decides_between_done_and_findings(cli: Callable[..., Ran]) -> None:
    passing = ("node", "list", "3b:02.0", *host("two-socket-x710"))
    failing = ("node", "list", "3b:00.0", *host("two-socket-x710"))

    assert cli(*passing, "--fail-on", "error").code == ExitCode.DONE
    assert cli(*failing).code == ExitCode.DONE
    assert cli(*failing, "--fail-on", "error").code == ExitCode.FINDINGS
    assert cli(*failing, "--fail-on", "warning").code == ExitCode.FINDINGS
