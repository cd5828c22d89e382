"""The user's own kubectl: words in, bytes out, with a deadline; each way in which it fails is a sentence."""

from __future__ import annotations

import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum, auto
from typing import NamedTuple

from domxml.errors import BadInput
from domxml.text import visible
from hostdev.printing.output import progress

LARGEST = 64 << 20
_ERRORS = 16384
_AT_ONCE = 1 << 16


class Trouble(Enum):
    """The ways in which a call has no answer."""

    ABSENT = auto()
    FORBIDDEN = auto()
    UNKNOWN_KIND = auto()
    UNREACHABLE = auto()
    HANGS = auto()
    FAILED = auto()


_TROUBLES = (
    (re.compile(r"\(NotFound\)|\bnot found\b"), Trouble.ABSENT),
    (re.compile(r"the server doesn't have a resource type|no matches for kind"), Trouble.UNKNOWN_KIND),
    (re.compile(r"\(Forbidden\)|\bforbidden\b|\(Unauthorized\)|You must be logged in|Unauthorized"), Trouble.FORBIDDEN),
    (
        re.compile(
            r"Unable to connect|connection refused|no such host|i/o timeout|context .* does not exist|was refused|"
            r"no context exists|certificate|no configuration has been provided|ServiceUnavailable|deadline exceeded"
        ),
        Trouble.UNREACHABLE,
    ),
)


class Answer(NamedTuple):
    """What a call brought."""

    data: bytes = b""
    trouble: Trouble | None = None
    why: str = ""


class Kubectl:
    """Runs kubectl as it is found in PATH, with the user's own rights."""

    def __init__(self, *, context: str, namespace: str, deadline: float) -> None:
        found = shutil.which("kubectl")
        if found is None:
            hint = "install it, or give what it printed elsewhere: --from DUMP"
            raise BadInput("no-kubectl", "there is no kubectl in PATH", hint=hint)
        self._program = found
        self._context = ("--context", context) if context else ()
        self.namespace = namespace
        self._deadline = deadline

    def get(self, *words: str, namespace: str | None = None) -> Answer:
        """Ask for objects as JSON."""
        return self.run("get", *words, "-o", "json", namespace=namespace)

    def run(self, *words: str, namespace: str | None = None, partial: bool = False) -> Answer:
        """Run it; with `partial` what it printed is an answer, however it ended."""
        space = self.namespace if namespace is None else namespace
        everywhere = "-A" in words
        options = (*(("-n", space) if space and not everywhere else ()), *self._context)
        # What follows `--` is another program's.
        end = words.index("--") if "--" in words else len(words)
        shown = f"kubectl {' '.join(words[:4])}"
        with progress(f"asking the cluster: {visible(shown)}"):
            done = self._bounded((self._program, *words[:end], *options, *words[end:]))
        if done is None:
            return Answer(trouble=Trouble.HANGS, why=f"`{shown}` gave no answer within {self._deadline:g} s")
        code, data, errors = done
        if code == 0 or (partial and data.strip()):
            return Answer(data)
        return _failed(shown, code, errors)

    def _bounded(self, command: Sequence[str]) -> tuple[int, bytes, str] | None:
        """Exit code, output and errors; None where it does not end in time, or prints without end."""
        try:
            process = subprocess.Popen(  # noqa: S603  a list of words: no shell reads them
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise BadInput("no-kubectl", f"cannot be run: {error.strerror}", subject=self._program) from None
        try:
            with process:
                out, errors = _read_both(process, time.monotonic() + self._deadline)
                if out is None:
                    _end(process)
                    return None
                return process.wait(), out, errors.decode(errors="replace")
        except BaseException:
            _end(process)
            raise


def _read_both(process: subprocess.Popen[bytes], until: float) -> tuple[bytes | None, bytes]:
    """Both of its streams until they end; None after the deadline, or where there is too much."""
    found = (bytearray(), bytearray())
    with selectors.DefaultSelector() as selector:
        for stream, kept in zip((process.stdout, process.stderr), found, strict=True):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, kept)
        while selector.get_map():
            left = until - time.monotonic()
            ready = selector.select(left) if left > 0 else []
            if not ready:
                return None, b""
            for key, _ in ready:
                data = os.read(key.fd, _AT_ONCE)
                if not data:
                    selector.unregister(key.fileobj)
                key.data.extend(data[: LARGEST + 1 - len(key.data)])
                if len(found[0]) > LARGEST:
                    return None, b""
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, until - time.monotonic()))
    if process.poll() is None:
        return None, b""
    return bytes(found[0]), bytes(found[1][:_ERRORS])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it with all that it has started; a plugin for logging in may hang, too."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(OSError):
        process.kill()


def _failed(shown: str, code: int, errors: str) -> Answer:
    lines = [
        line.strip()
        for line in errors.splitlines()
        if line.strip() and not line.startswith(("Warning:", "W0", "I0", "E0"))
    ]
    said = visible(" ".join(lines[-3:]))[:300] or visible(errors.strip())[-300:]
    trouble = next((one for pattern, one in _TROUBLES if pattern.search(errors)), Trouble.FAILED)
    what = said or f"it ended with {code}, without a word"
    return Answer(trouble=trouble, why=f"`{shown}`: {what}")
