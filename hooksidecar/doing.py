"""What a thread is doing right now, in words: an answer that is late must say what it waited for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import NamedTuple

WORDS = (
    ("hostdev.allocation.wait", "waiting for the allocation file"),
    ("hostdev.allocation", "reading what was allocated"),
    ("hostdev.cloudinit", "writing the network data"),
    ("hostdev.vmi", "reading the VMI"),
    ("hooksidecar.agent.record", "reading kubelet's record"),
    ("hostdev.kubelet", "reading kubelet's record"),
    ("hostdev.host", "reading the host's files"),
    ("hostdev.scan", "reading the host's devices"),
    ("hostdev.inventory", "reading the host's devices"),
    ("hostdev.gate", "checking the devices"),
    ("domxml.guestpci", "placing the devices in the guest"),
    ("domxml.placement", "placing the devices in the guest"),
    ("domxml.verify", "verifying the answer"),
    ("domxml", "working on the domain XML"),
    ("hostdev", "matching devices and requests"),
)
"""Modules, the closest match first."""
UNKNOWN = "working"


class Doing(NamedTuple):
    """Words for people, and the place in the code for those who know it."""

    words: str
    where: str


def of(thread: int | None) -> Doing:
    """What a thread is at; read from its stack, so that no code needs to keep a diary."""
    frame = sys._current_frames().get(thread or 0)  # noqa: SLF001  the documented way, in spite of its name
    frames = list(_frames(frame))
    for found in frames:
        module = found.f_globals.get("__name__", "")
        for prefix, words in WORDS:
            if f"{module}.".startswith(f"{prefix}."):
                return Doing(words, _where(found))
    return Doing(UNKNOWN, _where(frames[0]) if frames else "")


def place_of(error: BaseException) -> str:
    """Where an error was raised: modules and lines, innermost last, and no values that may be secret."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        places.append(_where(trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    return " > ".join(places[-4:])


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _where(frame: FrameType, line: int | None = None) -> str:
    return f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_name}:{line or frame.f_lineno}"
