"""How findings decide on the exit code."""

from __future__ import annotations

from collections.abc import Iterable

from domxml.errors import ExitCode
from domxml.finding import Finding, Severity


def after(findings: Iterable[Finding], fail_on: str | None) -> ExitCode:
    """DONE, or FINDINGS when one of them is at least as bad as `fail_on`."""
    return worst((finding.severity for finding in findings), fail_on)


def worst(severities: Iterable[Severity], fail_on: str | None) -> ExitCode:
    """The same for bare severities."""
    if fail_on is None:
        return ExitCode.DONE
    limit = Severity(fail_on).rank
    return ExitCode.FINDINGS if any(severity.rank >= limit for severity in severities) else ExitCode.DONE
