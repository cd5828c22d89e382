"""The gRPC server around a table of methods. Requests arrive as bytes: what is wrong with them, we say ourselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore
from typing import TypeAlias

import grpc

from domxml.errors import BadInput
from hooksidecar import log
from hooksidecar.deadline import Busy
from hooksidecar.domainhook import LARGEST, refuse
from hooksidecar.protocol import AT_ONCE, Method, Methods
from hostdev.socketpath import target

WAITING = 56
"""Calls that may wait at once, for the rest of their message or for an answer; who comes then is told to come again."""
THREADS = WAITING + 8
"""One for each call that waits, made when it is needed, and some for what is answered at once."""
HARD_LIMIT = 2 * LARGEST
"""Beyond it gRPC refuses unread, in its own words. Up to it we do: what is read is there up to four times meanwhile,
and a sidecar may have 64 MB in all."""
OPTIONS = (
    ("grpc.max_receive_message_length", HARD_LIMIT),
    ("grpc.max_send_message_length", HARD_LIMIT),
)
LONGEST_NAME = 120
"""Of a method in the log."""
GRACE = 0.5
"""Seconds for the calls under way at the end."""


_Behavior: TypeAlias = Callable[[Iterator[bytes], grpc.ServicerContext], bytes]


class Server:
    """Serves on one unix socket."""

    def __init__(self, methods: Methods) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(THREADS, thread_name_prefix="call"), [_Handler(methods)], options=OPTIONS
        )

    def listen(self, path: str) -> None:
        """Bind and answer; `path` is free."""
        try:
            self._server.add_insecure_port(target(path))
        except RuntimeError:
            raise BadInput(
                "socket-bind", "no socket can be made here", subject=path, hint="look at the mount: is it full?"
            ) from None
        self._server.start()

    def stop(self) -> None:
        """Let the calls under way end, briefly."""
        self._server.stop(GRACE).wait(2 * GRACE)


class _Handler(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # it takes none at run time
    def __init__(self, methods: Methods) -> None:
        room = Semaphore(WAITING)
        # Taken for streams, calls come here before their message does: it may be late, or never come.
        self._methods = {
            name: grpc.stream_unary_rpc_method_handler(_at_once(method) if name in AT_ONCE else _in_room(method, room))
            for name, method in methods.items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        found = self._methods.get(handler_call_details.method)
        if found is None:
            # gRPC refuses it without a word to us, and a KubeVirt that calls by other names fails VM after VM.
            log.warning("unknown call", method=handler_call_details.method[:LONGEST_NAME])
        return found


def _at_once(method: Method) -> _Behavior:
    """What takes nothing from its message does not wait for it."""
    return lambda _messages, context: method(b"", context)


def _in_room(method: Method, room: Semaphore) -> _Behavior:
    def behave(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        if not room.acquire(blocking=False):
            refuse(Busy("busy", f"{WAITING} calls wait for an answer already", hint="ask again later"), context)
        try:
            message = next(messages, None)
            if message is None:
                refuse(BadInput("bad-message", "the request holds no message"), context)
            return method(message, context)
        finally:
            room.release()

    return behave
