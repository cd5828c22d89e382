"""Log lines as KubeVirt's own: one JSON object a line, on standard error. No document is ever logged whole."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterable
from types import FrameType
from typing import Any

from domxml.finding import Finding, Severity

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_LOG = logging.getLogger("hooksidecar")


class _Json(logging.Formatter):
    """A record as JSON in KubeVirt's keys; an exception shows its type and never its text, which may hold secrets."""

    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "component": self._component,
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
            "pos": f"{record.filename}:{record.lineno}",
            "timestamp": f"{moment}.{int(record.msecs * 1000):06d}Z",
        }
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
        line.update(getattr(record, "fields", {}))
        text = json.dumps(line, ensure_ascii=False, default=str)
        # JSON escapes no controls above ASCII and no marks that turn the direction of writing.
        return text if text.isprintable() else json.dumps(line, default=str)


def start(level: str, component: str = "passgate-hook") -> None:
    """Send everything that is logged in this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(component))
    logging.raiseExceptions = False  # A reader of the log who went away is no reason to complain in it.
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    _LOG.setLevel(LEVELS[level])


def debugging() -> bool:
    """Details are wanted."""
    return _LOG.isEnabledFor(logging.DEBUG)


def info(message: str, **fields: object) -> None:
    """Log what happens as it should."""
    _LOG.info(message, extra={"fields": fields}, stacklevel=2)


def warning(message: str, **fields: object) -> None:
    """Log a call that was refused."""
    _LOG.warning(message, extra={"fields": fields}, stacklevel=2)


def findings(noticed: Iterable[Finding]) -> None:
    """Log what was seen on the way to an answer."""
    for finding in noticed:
        fields = {"code": finding.code, "severity": str(finding.severity)}
        _LOG.warning(finding.what, extra={"fields": fields}, stacklevel=2)


def error(message: str, **fields: object) -> None:
    """Log what must not happen."""
    _LOG.error(message, extra={"fields": fields}, stacklevel=2)


def debug(message: str, **fields: object) -> None:
    """Log what only a search for a mistake needs."""
    _LOG.debug(message, extra={"fields": fields}, stacklevel=2)


_SAY = {Severity.INFO: info, Severity.WARNING: warning, Severity.ERROR: error}


class Diary:
    """Findings that stay: each is logged when it comes, and when it is gone; not at every look."""

    def __init__(self) -> None:
        self._told: frozenset[Finding] = frozenset()
        self._last: tuple[Finding, ...] = ()

    def write(self, noticed: tuple[Finding, ...]) -> None:
        """Log what is new."""
        if noticed == self._last:
            return
        now = frozenset(noticed)
        for finding in sorted(now - self._told):
            _SAY[finding.severity](
                "finding", code=finding.code, subject=finding.subject, what=finding.message, hint=finding.hint
            )
        for finding in sorted(self._told - now):
            info("finding gone", code=finding.code, subject=finding.subject, what=finding.message)
        self._told, self._last = now, noticed


def defect(error: BaseException, **fields: object) -> None:
    """Log an error that nothing foresaw: its type and where it was raised, and never its text."""
    fields |= {"exception": type(error).__name__, "where": raised_at(error)}
    _LOG.error("defect", extra={"fields": fields}, stacklevel=2)


def raised_at(error: BaseException) -> str:
    """Where an error was raised: modules and lines, innermost last, and no values that may be secret."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        places.append(place_in(trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    return " > ".join(places[-4:])


def place_in(frame: FrameType, line: int | None = None) -> str:
    """A line of the code, by its module and function."""
    return f"{module_of(frame)}.{frame.f_code.co_name}:{line or frame.f_lineno}"


def module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "?"))
