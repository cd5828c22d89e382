"""Work in a child of its own: a write to sysfs may never return, and cannot be ended once it has begun."""

from __future__ import annotations

import copyreg
import json
import os
import pickle
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn, TypeVar, cast

from domxml.finding import Evidence, Finding, Severity
from hostdev.findings.binding import WRITE_FAILED

T = TypeVar("T")

_PIECE = 1 << 16
_STANDARD = 3
_DEAF = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE)
"""A signal that is ignored does not wake a sleeping write; one that is not makes it unkillable."""


class Writer(NamedTuple):
    """A process that is at it, told from a later one of the same number by when it was started."""

    pid: int
    started: str


class Answer(NamedTuple):
    """How a piece of work ended; findings of severity error say why it did not do what it was for."""

    wrote: bool
    """The write was made, or at least begun."""
    findings: tuple[Finding, ...] = ()

    @property
    def good(self) -> bool:
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


def in_child(work: Callable[[], Answer], deadline: float, begun: Callable[[Writer], None]) -> Answer | None:
    """What the work answers; None where it has not come back, and is left alone.

    It starts after `begun` has returned: whatever happens to this process, it is written down who is at it.
    """
    answer_here, answer_there = os.pipe()
    go_there, go_here = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_the_child(work, go_there, answer_there)
    os.close(answer_there)
    os.close(go_there)
    try:
        begun(Writer(pid, start_of(pid)))
        os.write(go_here, b"!")
        os.close(go_here)
        go_here = -1
        data = _read(answer_here, deadline)
    finally:
        # Without the word to go the child ends by itself.
        for fd in (answer_here, go_here):
            if fd >= 0:
                os.close(fd)
    if data is None:
        return None
    os.waitpid(pid, 0)
    return _answer(data) if data else _cut_off("without an answer")


def look_in_child(work: Callable[[], T], deadline: float) -> T | None:
    """What a look at the host answers; None where it has not come back, and is left alone.

    A look may wait as unkillably as a write: for a file system whose server is gone, or a file of sysfs behind the
    lock of a device.
    """
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        _look(work, there)
    os.close(there)
    try:
        data = _read(here, deadline)
    finally:
        os.close(here)
    if data is None:
        return None
    os.waitpid(pid, 0)
    # What went wrong there goes wrong here, and is told as ever.
    return cast("T", pickle.loads(data)) if data else work()  # noqa: S301  our own process wrote it


def _look(work: Callable[[], object], there: int) -> NoReturn:
    with suppress(BaseException):
        _keep_only(there)
        data = memoryview(pickle.dumps(work()))
        while data:
            data = data[os.write(there, data) :]
    os._exit(0)


def _plain(table: MappingProxyType[Any, Any]) -> tuple[type, tuple[dict[Any, Any]]]:
    return MappingProxyType, (dict(table),)


copyreg.pickle(MappingProxyType, _plain)
"""A picture of a machine has its tables in such."""


def start_of(pid: int) -> str:
    """When a process was started, in ticks since the boot; empty where it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def is_alive(writer: Writer) -> bool:
    """Whether it is still at it."""
    return bool(writer.started) and start_of(writer.pid) == writer.started


def _be_the_child(work: Callable[[], Answer], go: int, answer: int) -> NoReturn:
    with suppress(BaseException):
        # Of a session of its own, no key on a terminal reaches it; and no pipe stays open because of it.
        os.setsid()
        for number in _DEAF:
            signal.signal(number, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in range(_STANDARD):
            os.dup2(null, fd)
        _keep_only(go, answer)
        if os.read(go, 1):
            os.write(answer, _data(_done(work)))
    os._exit(0)


def _keep_only(*descriptors: int) -> None:
    """Let go of all else: a socket that a child hangs on to seems to be served when its server is long gone."""
    low = _STANDARD
    for descriptor in sorted(descriptors):
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))


def _done(work: Callable[[], Answer]) -> Answer:
    try:
        return work()
    except Exception as error:  # noqa: BLE001  it goes to the process that waits
        return _cut_off(f"{type(error).__name__}: {error}")


def _cut_off(what: str) -> Answer:
    return Answer(wrote=True, findings=(WRITE_FAILED.found("", f"the writer ended: {what}"),))


def _read(fd: int, deadline: float) -> bytes | None:
    until = time.monotonic() + deadline
    pieces: list[bytes] = []
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            return None
        piece = os.read(fd, _PIECE)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def _data(answer: Answer) -> bytes:
    return json.dumps([answer.wrote, [finding.as_dict() for finding in answer.findings]]).encode()


def _answer(data: bytes) -> Answer:
    wrote, findings = json.loads(data)
    return Answer(wrote, tuple(map(finding_from, findings)))


def finding_from(data: dict[str, object]) -> Finding:
    """A finding from its JSON form."""
    evidence = data.get("evidence")
    seen = evidence if isinstance(evidence, list) else ()
    return Finding(
        str(data["code"]),
        Severity(str(data["severity"])),
        str(data["subject"]),
        str(data["message"]),
        str(data["hint"]),
        tuple(Evidence(str(one["file"]), str(one["content"])) for one in seen),
    )
