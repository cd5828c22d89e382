"""Running `passgate` under an audit hook that notes everything it, or a child of it, would change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.hostdev.cli.running import ROOT, environment

_HOOK = """
import os, sys
log, *words = sys.argv[1:]
FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
           "os.chown", "os.utime", "os.setxattr", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.system",
           "socket.bind", "shutil.rmtree"}
def note(*what):
    # By a descriptor of its own each time: a child closes those that it was born with.
    os.write(fd := os.open(log, os.O_WRONLY | os.O_APPEND), (" ".join(map(str, what)) + "\\n").encode())
    os.close(fd)
def hook(event, arguments):
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & FLAGS:
        if arguments[0] not in (os.devnull, log):
            note(os.getpid(), event, arguments[0])
    elif event in CHANGES and arguments[0] != "/sbin/ldconfig":  # pyudev looks for libudev by it
        note(os.getpid(), event, *arguments[:2])
sys.addaudithook(hook)
sys.dont_write_bytecode = True
"""
_COMMAND = """
from hostdev.cli.main import main
raise SystemExit(main(words))
"""


class Audited(NamedTuple):
    """How a command ended, and what it would have changed, a line each."""

    code: int
    out: str
    err: str
    changes: tuple[str, ...]


def audited(*words: str, log: Path, program: str = _COMMAND) -> Audited:
    """Run a command line, or another program, in a process of its own."""
    log.touch()
    command = [sys.executable, "-c", _HOOK + program, str(log), *words]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment(), check=False, timeout=120
    )
    return Audited(done.returncode, done.stdout, done.stderr, tuple(log.read_text().splitlines()))
