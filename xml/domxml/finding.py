"""A finding: one thing that was seen, with a code that explains itself."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from domxml.errors import Refused
from domxml.text import visible


class Severity(StrEnum):
    """How bad it is. `error` means the VM would not start, or would harm the host."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """Order for `--fail-on`: info 0, warning 1, error 2."""
        return list(Severity).index(self)


class Evidence(NamedTuple):
    """Where we looked and what stood there: a verdict rests on it."""

    file: str
    content: str


class Finding(NamedTuple):
    """One verdict about one subject (a device address, a group, an element)."""

    code: str
    severity: Severity
    subject: str
    message: str
    hint: str = ""
    evidence: tuple[Evidence, ...] = ()

    @property
    def what(self) -> str:
        """What was seen, and of what."""
        return f"{self.subject}: {self.message}" if self.subject else self.message

    def refusal(self) -> Refused:
        """The error to raise where it must not go on."""
        return Refused(self.code, self.message, subject=self.subject, hint=self.hint)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; its keys are a contract."""
        return {
            "code": self.code,
            "severity": str(self.severity),
            "subject": self.subject,
            "message": self.message,
            "hint": self.hint,
            "evidence": [{"file": e.file, "content": e.content} for e in self.evidence],
        }


class FindingKind(NamedTuple):
    """A row of the table of knowledge behind `passgate node explain CODE` and `docs/findings/CODE.md`."""

    code: str
    severity: Severity
    title: str
    cause: str
    hint: str
    remedy: str
    says: tuple[str, ...] = ()
    """The words of QEMU, libvirt, the kernel or KubeVirt that people paste when they meet it."""
    issues: tuple[str, ...] = ()
    """Where it is known upstream, open or settled: `owner/name#number`."""
    mended: tuple[str, ...] = ()
    """The first release of each branch in which it does not happen any more: `KubeVirt 1.8.3`."""

    def found(
        self,
        subject: str,
        message: str,
        *,
        hint: str | None = None,
        severity: Severity | None = None,
        evidence: tuple[Evidence, ...] = (),
    ) -> Finding:
        """Make the finding for one subject; `message` tells what was seen."""
        return Finding(
            self.code,
            severity or self.severity,
            subject,
            visible(message),
            self.hint if hint is None else visible(hint),
            evidence,
        )

    def refused(self, subject: str, message: str, hint: str | None = None) -> Refused:
        """Make the error to raise about one subject; `message` tells what was seen."""
        return self.found(subject, message, hint=hint).refusal()
