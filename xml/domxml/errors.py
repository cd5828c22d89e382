"""The one family of errors a user may see: a stable code, a sentence, a subject, a hint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Final

from domxml.text import visible

SENTENCE_LIMIT = 300
"""A refusal ends up in a Kubernetes event, which cuts long texts."""


class ExitCode(IntEnum):
    """How a command ended; every `--help` prints this table."""

    DONE = 0
    FINDINGS = 1
    USAGE = 2
    NOT_PERMITTED = 3
    HOST_UNREADABLE = 4
    REFUSED = 5
    UNDONE = 6
    NOT_UNDONE = 7
    PENDING = 8
    UNKNOWN = 9


class PassgateError(Exception):
    """Something a user can act on. `exit_code` is what a command line ends with."""

    exit_code = ExitCode.USAGE

    def __init__(self, code: str, message: str, *, subject: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.subject = subject
        self.hint = hint

    def __str__(self) -> str:
        return ": ".join(part for part in (self.code, self.subject, self.message, self.hint) if part)

    @property
    def what(self) -> str:
        """What is wrong, and with what."""
        return f"{self.subject}: {self.message}" if self.subject else self.message

    def sentence(self) -> str:
        """The error as one line that fits an event: `code: subject: what: hint`."""
        line = visible(" ".join(str(self).split()))
        return line if len(line) < SENTENCE_LIMIT else line[: SENTENCE_LIMIT - 2] + "…"


@contextmanager
def about_file(name: str) -> Iterator[None]:
    """Name the file that an error is about; - is standard input."""
    try:
        yield
    except PassgateError as error:
        file = "standard input" if name == "-" else name
        if not error.subject.startswith(file):
            error.subject = f"{file}: {error.subject}" if error.subject else file
        raise


class BadInput(PassgateError):
    """The input cannot be read: XML, JSON, an address, a flag."""


class MissingModule(PassgateError):
    """A library is not there; nothing is said of what it was to read."""


class NotPermitted(PassgateError):
    """The operating system says no."""

    exit_code = ExitCode.NOT_PERMITTED


class HostUnreadable(PassgateError):
    """The host's /sys, /proc or /dev cannot be looked at."""

    exit_code = ExitCode.HOST_UNREADABLE


class Refused(PassgateError):
    """A request that is understood and must not, or cannot, be met exactly."""

    exit_code = ExitCode.REFUSED


class UnknownText(PassgateError):
    """A text that is to be explained, and of which nothing is known."""

    exit_code = ExitCode.UNKNOWN


INTERNAL: Final = 70
"""EX_SOFTWARE of sysexits(3)."""
OUTPUT_LOST: Final = 74
"""EX_IOERR of sysexits(3)."""
INTERRUPTED: Final = 130
"""128 + SIGINT, as shells count."""
BROKEN_PIPE: Final = 141
"""128 + SIGPIPE: the reader of our output went away, which is no error."""

MEANINGS: Final = {
    int(ExitCode.DONE): "done",
    int(ExitCode.FINDINGS): "there are findings at or above --fail-on",
    int(ExitCode.USAGE): "wrong usage, or input that cannot be read",
    int(ExitCode.NOT_PERMITTED): "not permitted",
    int(ExitCode.HOST_UNREADABLE): "the host cannot be read",
    int(ExitCode.REFUSED): "refused: the device is not there, or must not be passed through",
    int(ExitCode.UNDONE): "an effect failed and was undone",
    int(ExitCode.NOT_UNDONE): "an effect failed and could not be undone",
    int(ExitCode.PENDING): "an effect has not come back yet: passgate node journal recover looks again",
    int(ExitCode.UNKNOWN): "nothing is known of the text that was to be explained",
    INTERNAL: "internal error: a defect of passgate",
    OUTPUT_LOST: "the output could not be written",
    INTERRUPTED: "interrupted",
}


class OutputLost(Exception):
    """The output did not arrive."""
