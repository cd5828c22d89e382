"""How a command ends: the exit codes, and the words every help text has for them."""

from __future__ import annotations

from typing import Final

from domxml.errors import ExitCode

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
    INTERNAL: "internal error: a defect of passgate",
    OUTPUT_LOST: "the output could not be written",
    INTERRUPTED: "interrupted",
}


class OutputLost(Exception):
    """What was to be printed did not arrive."""
