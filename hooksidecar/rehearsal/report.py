"""What a rehearsal saw, as values and as a document: each pass, what got lost, what came back, how it ended."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from domxml.errors import ExitCode, PassgateError
from hooksidecar.rehearsal.cloudinit import Written
from hooksidecar.rehearsal.devices import Seen
from hooksidecar.rehearsal.readback import ReadBack
from hostdev.printing.documents import Document, document


class Loss(NamedTuple):
    """Something of a device that was gone when the hook was called again."""

    alias: str
    fact: str
    by: str
    """`libvirt`, or KubeVirt's `structs`."""
    restored: bool


class Call(NamedTuple):
    """One pass."""

    given: int
    answered: int
    same: bool
    """The very bytes came back."""
    ms: float
    devices: tuple[Seen, ...]
    lost: tuple[Loss, ...]


class Problem(NamedTuple):
    """Something that would be wrong on a cluster, although nothing was refused."""

    code: str
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.message} [{self.code}]"


class Noticed(NamedTuple):
    """A finding that the sidecar logged."""

    code: str
    severity: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.code}: {self.message}"


class Collected(NamedTuple):
    """The sidecar, as Collect found it."""

    name: str
    version: str
    hook_points: tuple[str, ...]
    ms: float


class Shutdown(NamedTuple):
    """How the server ended."""

    asked: bool
    """By the hook point, or else by a signal."""
    exit_code: int
    ms: float


class Report(NamedTuple):
    """All of it; what was not reached is None or empty."""

    kubevirt: str
    """As it was asked for."""
    release: str
    """What was played for it."""
    read_back: ReadBack
    mode: str = "hook"
    sidecar: Collected | None = None
    cloud_init: Written | None = None
    calls: tuple[Call, ...] = ()
    shutdown: Shutdown | None = None
    problems: tuple[Problem, ...] = ()
    findings: tuple[Noticed, ...] = ()
    log: tuple[str, ...] = ()
    """What else the sidecar said."""
    error: PassgateError | None = None

    @property
    def exit_code(self) -> int:
        """The command's exit code: findings where there is a problem."""
        if self.error is not None:
            return self.error.exit_code
        return ExitCode.FINDINGS if self.problems else ExitCode.DONE

    def document(self) -> Document:
        """The kind Rehearsal."""
        return document(
            "Rehearsal",
            kubevirt=self.kubevirt,
            release=self.release,
            mode=self.mode,
            passed=self.exit_code == ExitCode.DONE,
            readBack=_read_back(self.read_back),
            sidecar=self.sidecar and _sidecar(self.sidecar),
            cloudInit=self.cloud_init and _cloud_init(self.cloud_init),
            passes=[_call(number, call) for number, call in enumerate(self.calls, 1)],
            shutdown=self.shutdown and _shutdown(self.shutdown),
            problems=[problem._asdict() for problem in self.problems],
            findings=[finding._asdict() for finding in self.findings],
            error=self.error and _error(self.error),
        )


def with_log(told: Report, lines: tuple[str, ...]) -> Report:
    """The report with what the sidecar logged: findings once each, the rest as it is."""
    findings: dict[Noticed, None] = {}
    rest = []
    for line in lines:
        finding = _finding(line)
        if finding is None:
            rest.append(line)
        else:
            findings[finding] = None
    return told._replace(findings=tuple(findings), log=tuple(rest))


def _finding(line: str) -> Noticed | None:
    try:
        fields = json.loads(line)
        return Noticed(str(fields["code"]), str(fields["severity"]), str(fields["msg"]))
    except (ValueError, TypeError, KeyError):
        return None


def _read_back(read_back: ReadBack) -> Document:
    return {
        "by": "libvirt" if read_back.real else "stand-in",
        "version": read_back.version or None,
        "uri": read_back.uri or None,
        "cannotProve": list(read_back.cannot_prove),
    }


def _sidecar(found: Collected) -> Document:
    return {"name": found.name, "version": found.version, "hookPoints": list(found.hook_points), "ms": found.ms}


def _cloud_init(written: Written) -> Document:
    return {
        "same": written.same,
        "changed": list(written.changed),
        "networkData": written.network_data or None,
        "ms": written.ms,
    }


def _call(number: int, call: Call) -> Document:
    return {
        "number": number,
        "givenBytes": call.given,
        "answeredBytes": call.answered,
        "same": call.same,
        "ms": call.ms,
        "devices": [
            {"alias": one.alias, "source": one.source, "guestAddress": one.guest, "facts": sorted(one.facts)}
            for one in call.devices
        ],
        "lost": [loss._asdict() for loss in call.lost],
    }


def _shutdown(end: Shutdown) -> Document:
    return {"asked": end.asked, "exitCode": end.exit_code, "ms": end.ms}


def _error(error: PassgateError) -> dict[str, Any]:
    return {"code": error.code, "subject": error.subject, "message": error.message, "hint": error.hint}
