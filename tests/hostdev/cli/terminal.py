"""Running `passgate` at a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping

from tests.hostdev.cli.running import COMMAND, ROOT, environment
from tests.patience import PATIENCE

SGR = re.compile(r"\x1b\[[0-9;]*m")


def at_terminal(*words: str, width: int = 120, changes: Mapping[str, str] | None = None) -> str:
    """Everything a command prints at a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    env = environment(**{"TERM": "xterm-256color", **(changes or {})})
    with subprocess.Popen([*COMMAND, *words], stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=env) as running:
        os.close(theirs)
        text = b""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and select.select([ours], [], [], PATIENCE)[0]:
            try:
                text += os.read(ours, 65536)
            except OSError:
                break
    os.close(ours)
    assert running.returncode == 0
    return text.decode().replace("\r\n", "\n")
