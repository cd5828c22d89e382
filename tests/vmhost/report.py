"""What one boot of the passthrough host told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.vmhost.inside.scenario import Outcome
from tests.vmhost.machine import Result

CONSOLE_TAIL = 25


@dataclass(frozen=True, slots=True)
class Report:
    """The boot as such, and the outcome of every scenario that came to an end."""

    boot: Result
    outcomes: Mapping[str, Outcome]

    def failure(self, name: str) -> str:
        """Why a scenario did not pass, empty where it did."""
        outcome = self.outcomes.get(name)
        if outcome and outcome.passed:
            return ""
        console = "\n".join(self.boot.console.splitlines()[-CONSOLE_TAIL:])
        details = outcome.details if outcome else f"no result; the host ended with {self.boot.exit_code}"
        return f"{details}\n--- the host's console, after {self.boot.seconds:.0f} s:\n{console}"
