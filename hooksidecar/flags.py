"""What the programs beside `passgate` share: their questions about themselves, and times to wait."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hostdev.commandline import HELP, VERSION, Command

GENERAL = (VERSION, HELP)
ASKS_HELP = frozenset({*HELP.names, "help", "-?"})
ASKS_VERSION = frozenset({*VERSION.names, "version"})


def is_question(words: Sequence[str]) -> bool:
    """Whether a command line is about the program itself, and nothing else."""
    return words[:1] == ["help"] or (len(words) == 1 and words[0] in ASKS_HELP | ASKS_VERSION)


def answer_help(words: Sequence[str], command: Command) -> bool:
    """Answer what the words ask about the program itself; false where they ask nothing."""
    from hostdev import helptext  # noqa: PLC0415  only who asks needs it

    if list(words) == ["help", helptext.CODES]:
        sys.stdout.write(helptext.codes_text(command.codes) + "\n")
    elif words[:1] == ["help"] or not set(HELP.names).isdisjoint(words):
        sys.stdout.write(helptext.command_text(command))
    elif words[:1] == ["version"] or list(words) == ["--version"] or "-V" in words:
        sys.stdout.write(helptext.version_text())
    else:
        return False
    return True


def check_host(command: Command, host: str) -> None:
    """Refuse standard input as the host of a server."""
    if host == "-":
        what = "--host -: standard input can be read once, and a server looks at its host again and again"
        raise command.wrong(what, "name a file")


def read_seconds(text: str, most: float) -> float | None:
    """A time to wait, from nothing to the most; None for what is no such number, as `nan` is none."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds <= most else None
