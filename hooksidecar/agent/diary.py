"""The agent's log of findings: each is told when it comes, and when it is gone; not at every sweep."""

from __future__ import annotations

from domxml.finding import Finding, Severity
from hooksidecar import log
from hooksidecar.agent.pods import Sweep

_SAY = {Severity.INFO: log.info, Severity.WARNING: log.warning, Severity.ERROR: log.error}


class Diary:
    """Remembers what was told."""

    def __init__(self) -> None:
        self._told: frozenset[Finding] = frozenset()
        self._last: tuple[Finding, ...] = ()

    def write(self, swept: Sweep) -> None:
        """Tell what is new."""
        if swept.dropped or swept.removed or swept.failed:
            log.info(
                "swept",
                dropped=swept.dropped,
                kept=swept.kept,
                removed=swept.removed,
                failed=swept.failed,
                ms=round(swept.seconds * 1000, 1),
            )
        if swept.findings == self._last:
            return
        now = frozenset(swept.findings)
        for finding in sorted(now - self._told):
            _SAY[finding.severity](
                "finding", code=finding.code, subject=finding.subject, what=finding.message, hint=finding.hint
            )
        for finding in sorted(self._told - now):
            log.info("finding gone", code=finding.code, subject=finding.subject, what=finding.message)
        self._told, self._last = now, swept.findings
