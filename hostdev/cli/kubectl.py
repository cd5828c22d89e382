"""The user's own kubectl: words in, bytes out, with a deadline; each way in which it fails is a sentence."""

from __future__ import annotations

import re
import shutil
from contextlib import nullcontext
from enum import Enum, auto
from typing import NamedTuple

from domxml.errors import BadInput
from domxml.text import visible
from hostdev.cli.programs import Done, run_program
from hostdev.printing.output import progress

_AGENTS = "app.kubernetes.io/name=passgate,app.kubernetes.io/component=agent"


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


_LOGGED = re.compile(r"Warning:|[IWEF][0-9]{4} ", re.ASCII)
"""What kubectl says beside its own sentence: klog writes a letter, month and day."""


class Answer(NamedTuple):
    """What a call brought."""

    data: bytes = b""
    trouble: Trouble | None = None
    why: str = ""


class Kubectl:
    """Runs kubectl as it is found in PATH, with the user's own rights."""

    def __init__(self, *, context: str, namespace: str, deadline: float, shows: bool = True) -> None:
        found = shutil.which("kubectl")
        if found is None:
            hint = (
                "install it; `passgate why --from DUMP` reads what it printed elsewhere, `passgate fleet collect` files"
            )
            raise BadInput("no-kubectl", "there is no kubectl in PATH", hint=hint)
        self._program = found
        self._context = ("--context", context) if context else ()
        self.namespace = namespace
        self._deadline = deadline
        self._shows = shows
        """Whether a call that takes a while is shown at a terminal; of several at once none is."""

    def get(self, *words: str, namespace: str | None = None) -> Answer:
        """Ask for objects as JSON."""
        return self.run("get", *words, "-o", "json", namespace=namespace)

    def get_agents(self) -> Answer:
        """Ask for the pods of Passgate's agents: everywhere, or, where that is forbidden, in their usual namespace."""
        answer = self.get("pods", "-A", "-l", _AGENTS)
        if answer.trouble is Trouble.FORBIDDEN:
            return self.get("pods", "-l", _AGENTS, namespace="passgate")
        return answer

    def run(self, *words: str, namespace: str | None = None, partial: bool = False) -> Answer:
        """Run it; with `partial` what it printed is an answer, however it ended."""
        space = self.namespace if namespace is None else namespace
        everywhere = "-A" in words
        options = (*(("-n", space) if space and not everywhere else ()), *self._context)
        # What follows `--` is another program's.
        end = words.index("--") if "--" in words else len(words)
        shown = f"kubectl {' '.join(words[:4])}"
        with progress(f"asking the cluster: {visible(shown)}") if self._shows else nullcontext():
            done = self._run((self._program, *words[:end], *options, *words[end:]))
        if done is None:
            return Answer(trouble=Trouble.HANGS, why=f"`{shown}` gave no answer within {self._deadline:g} s")
        if done.code == 0 or (partial and done.data.strip()):
            return Answer(done.data)
        return _failed(shown, done.code, done.errors)

    def _run(self, command: tuple[str, ...]) -> Done | None:
        try:
            return run_program(command, self._deadline)
        except OSError as error:
            raise BadInput("no-kubectl", f"cannot be run: {error.strerror}", subject=self._program) from None


def _failed(shown: str, code: int, errors: str) -> Answer:
    lines = [line.strip() for line in errors.splitlines() if line.strip() and not _LOGGED.match(line)]
    said = visible(" ".join(lines[-3:]))[:300] or visible(errors.strip())[-300:]
    trouble = next((one for pattern, one in _TROUBLES if pattern.search(errors)), Trouble.FAILED)
    what = said or f"it ended with {code}, without a word"
    return Answer(trouble=trouble, why=f"`{shown}`: {what}")
