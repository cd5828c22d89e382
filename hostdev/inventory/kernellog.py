"""The kernel's log: its lines, and when each was written in seconds since the boot."""

from __future__ import annotations

import ctypes
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from hostdev.inventory.host import Host

FILE = "dev/kmsg"
RECORD = 1 << 13
"""The kernel writes no longer ones."""
MOST_RECORDS = 1 << 18
_READ_ALL, _SIZE = 3, 10
"""Actions of syslog(2)."""
# Priorities from 8 on have a facility: what a program wrote there, and proves nothing.
_RECORD = re.compile(r"[0-7],\d+,(\d+),[^;]*;(.*)", re.ASCII)
_TIMED = re.compile(r"<[0-7]>\[ *(\d+\.\d+)\](?:\[[^\]]*\])? (.*)", re.ASCII)
_NAMES = re.compile(r"[0-9a-f]{2}:[0-9a-f]{2}(?:\.[0-7]|[),])|[0-9a-f]{8}-[0-9a-f]{4}-", re.ASCII)
"""An address of a function, of a slot, or a UUID."""
_LIBC = ctypes.CDLL(None, use_errno=True)


class LogLine(NamedTuple):
    """A line, and when it was written: since the boot, as processes' starts are told."""

    seconds: float
    text: str


class KernelLog(NamedTuple):
    """What is left of the log: of its lines those that name a device."""

    lines: tuple[LogLine, ...] = ()
    why: str = ""
    """Why it could not be read; empty where it was."""
    since: float = 0.0
    """What was written before this is not in it any more."""


def read_kernel_log(host: Host) -> KernelLog:
    """Read what is left of it, without waiting for more."""
    if not host.live:
        text = host.text(FILE, quiet=True)
        # Of a directory that holds a host's files nothing is as much as not there.
        return KernelLog(why=f"/{FILE} is not there, or no file") if text is None else _kept(_lines(text), 0.0)
    try:
        return _kept(_lines(_records(f"/{FILE}")), _behind())
    except OSError as error:
        # A container has no such node, and may ask the kernel all the same.
        return _asked(error)


def _records(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        if not stat.S_ISCHR(os.fstat(fd).st_mode):
            raise OSError(0, f"{path} is not the kernel's log")
        return "".join(_each_record(fd))
    finally:
        os.close(fd)


def _each_record(fd: int) -> Iterator[str]:
    for _ in range(MOST_RECORDS):
        try:
            record = os.read(fd, RECORD)
        except BlockingIOError:
            return
        except BrokenPipeError:
            continue  # It was overwritten before it was read; the next one is the oldest that is left.
        if not record:
            return
        yield record.decode("utf-8", "replace")


def _asked(refused: OSError) -> KernelLog:
    size = _LIBC.klogctl(_SIZE, None, 0)
    buffer = ctypes.create_string_buffer(max(size, 0) or 1)
    length = _LIBC.klogctl(_READ_ALL, buffer, len(buffer)) if size > 0 else -1
    if length < 0:
        code = ctypes.get_errno()
        return KernelLog(why=os.strerror(code) if code else refused.strerror or str(refused))
    found = map(_TIMED.match, buffer.raw[:length].decode("utf-8", "replace").splitlines())
    return _kept((LogLine(float(one[1]), one[2]) for one in found if one), _behind())


def _lines(text: str) -> Iterator[LogLine]:
    """Records as /dev/kmsg has them: priority, number, microseconds and flags, then the text; fields of it follow."""
    for found in map(_RECORD.match, text.splitlines()):
        if found:
            yield LogLine(int(found[1]) / 1e6, found[2])


def _kept(lines: Iterable[LogLine], behind: float) -> KernelLog:
    first = next(iter(lines := iter(lines)), None)
    if first is None:
        return KernelLog(why="there is no line with a time in it, as after it was cleared")
    kept = (line for line in chain([first], lines) if _NAMES.search(line.text))
    return KernelLog(tuple(LogLine(one.seconds + behind, one.text) for one in kept), since=first.seconds + behind)


def _behind() -> float:
    """The log's clock is not corrected by NTP, and stands still while the host sleeps: that of processes is and goes.

    In a hundred days the two drift minutes apart.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
