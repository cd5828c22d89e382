"""A message for all that watch it, and each that follows it: what kubelet's streams of lists and of health are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Condition
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from hostdev.socketpath import LARGEST

STREAMS = 16
"""Streams that are open at once. Kubelet forgets to close one when a plugin registers again."""
LOOK = 5.0
"""Seconds after which a stream looks whether it is still read: for a peer that vanished without a word."""
M = TypeVar("M", bound=Message)


class Broadcast:
    """Of several messages that come while a stream is not read, the last one is left."""

    def __init__(self) -> None:
        self.on_open: Callable[[], None] = lambda: None
        self.on_end: Callable[[], None] = lambda: None
        """Called when a stream begins, and ends; from any thread."""
        self._changed = Condition()
        self._message: bytes | None = None
        self._number = 0
        self._streams = 0
        self._opened = 0
        self._closed = False

    @property
    def opened(self) -> int:
        """How many streams there have been so far."""
        with self._changed:
            return self._opened

    @property
    def open(self) -> int:
        """How many there are now."""
        with self._changed:
            return self._streams

    def await_stream(self, before: int, patience: float) -> bool:
        """Wait until there has been one more than before."""
        with self._changed:
            return self._changed.wait_for(lambda: self._opened > before or self._closed, patience)

    def send(self, message: bytes, *, again: bool = False) -> bool:
        """Send it where it is another one than before, or `again`; whether it was sent."""
        with self._changed:
            if message == self._message and not again:
                return False
            self._message, self._number = message, self._number + 1
            self._changed.notify_all()
            return True

    def close(self) -> None:
        """End every stream."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def stream(self, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Serve one stream."""
        if not self._open_stream():
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{STREAMS} streams are open already")
        if not context.add_callback(self._stream_ended):
            # It has ended before it began.
            self._stream_ended()
            return
        sent = 0
        while found := self._next(sent, context):
            sent, message = found
            yield message

    def _open_stream(self) -> bool:
        with self._changed:
            if self._streams >= STREAMS:
                return False
            self._streams, self._opened = self._streams + 1, self._opened + 1
            self._changed.notify_all()
        self.on_open()
        return True

    def _next(self, sent: int, context: grpc.ServicerContext) -> tuple[int, bytes] | None:
        with self._changed:
            while context.is_active() and not self._closed:
                if self._message is not None and self._number > sent:
                    return self._number, self._message
                self._changed.wait(LOOK)
        return None

    def _stream_ended(self) -> None:
        with self._changed:
            self._streams -= 1
            self._changed.notify_all()
        self.on_end()


def take_fitting(entries: Iterable[M]) -> list[M]:
    """The first entries of a message that is one list, as many as gRPC takes."""
    taken, room = [], LARGEST
    for entry in entries:
        # A tag and two bytes of length come with each.
        room -= entry.ByteSize() + 3
        if room >= 0:
            taken.append(entry)
    return taken
