"""What the boots of the passthrough host told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.vmhost.inside.scenario import Outcome
from tests.vmhost.machine import Result

CONSOLE_TAIL = 25


@dataclass(frozen=True, slots=True)
class Boot:
    """One boot, and the outcome of every scenario that came to an end in it."""

    result: Result
    outcomes: Mapping[str, Outcome]
    share: Path
    """What the scenarios left behind."""


@dataclass(frozen=True, slots=True)
class Report:
    """All of them, by the scenarios that were asked for in each."""

    boots: Mapping[str, Boot]

    def outcome(self, name: str) -> Outcome | None:
        """What became of a scenario; None where it never came to its end."""
        return self.boots[name].outcomes.get(name.partition("@")[0])

    def failure(self, name: str) -> str:
        """Why a scenario did not pass, empty where it did."""
        outcome, result = self.outcome(name), self.boots[name].result
        if outcome and outcome.passed:
            return ""
        console = "\n".join(result.console.splitlines()[-CONSOLE_TAIL:])
        details = outcome.details if outcome else f"no result; the host ended with {result.exit_code}"
        return f"{details}\n--- the host's console, after {result.seconds:.0f} s:\n{console}"
