"""A device plugin that says what it is told to, and keeps what kubelet asks: the recorded plugins' part."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, cast

import grpc
from google.protobuf.message import Message

from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as api
from hostdev.socketpath import target
from tests.kubelet.transcript import MESSAGES
from tests.kubelet.wire import Wire, written

STREAM, HEALTH = "ListAndWatch", "NodeWatchResources"
_END = object()


class Answer(NamedTuple):
    """What a call is answered with: a message, or an error."""

    data: bytes = b""
    code: grpc.StatusCode | None = None
    details: str = ""


class Incoming(NamedTuple):
    """A call of kubelet's, and where its answer goes."""

    call: str
    data: bytes
    deadline: float | None
    answer: Future[Answer]


class Stream:
    """One ListAndWatch, or one NodeWatchResources."""

    def __init__(self) -> None:
        self.messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.ended = False

    def send(self, data: bytes) -> None:
        """A list."""
        self.messages.put(data)

    def end(self) -> None:
        """Return from the call."""
        self.messages.put(_END)


class Player:
    """Serves at one path until it is stopped, and as a plugin that is killed would leave it: the server's own way."""

    def __init__(self, socket: str, wire: Wire) -> None:
        self.socket, self._wire = socket, wire
        self.incoming: list[Incoming] = []
        self.streams: list[Stream] = []
        self.stopped = False
        self._server = grpc.server(ThreadPoolExecutor(16), [_Handler(self)])
        self._server.add_insecure_port(target(socket))
        self._server.start()

    def stop(self) -> None:
        """End; gRPC takes the path away, whoever has bound it since."""
        if self.stopped:
            return
        self.stopped = True
        for stream in self.streams:
            stream.end()
        for asked in self.incoming:
            if not asked.answer.done():
                asked.answer.set_result(Answer(code=grpc.StatusCode.UNAVAILABLE, details="Cancelling all calls"))
        self._server.stop(0).wait()

    def ask(self, call: str, data: bytes, context: grpc.ServicerContext) -> bytes:
        """A call comes in, and waits for what the test has for it."""
        remaining = context.time_remaining()
        # Of a call without a deadline gRPC says that it has ages.
        asked = Incoming(call, data, remaining if remaining is not None and remaining < 1e6 else None, Future())
        self.incoming.append(asked)
        self._wire.ring()
        answer = asked.answer.result()
        if answer.code:
            context.abort(answer.code, answer.details)
        return answer.data

    def first(self) -> bytes:
        """What a stream begins with, by itself; empty leaves it to the test."""
        return b""

    def watch(self, context: grpc.ServicerContext) -> Iterator[bytes]:
        """A list or health is asked for."""
        stream = Stream()

        def end() -> None:
            stream.ended = True
            stream.end()
            self._wire.ring()

        context.add_callback(end)
        if first := self.first():
            stream.send(first)
        self.streams.append(stream)
        self._wire.ring()
        while (message := stream.messages.get()) is not _END:
            yield message


class _Handler(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # it takes none at run time
    def __init__(self, player: Player) -> None:
        self._player = player

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        call = handler_call_details.method.rpartition("/")[2]
        if call not in MESSAGES:
            return None
        if call in {STREAM, HEALTH}:
            return grpc.unary_stream_rpc_method_handler(lambda _, context: self._player.watch(context))
        return grpc.unary_unary_rpc_method_handler(lambda data, context: self._player.ask(call, data, context))


def register(kubelet_socket: str, request: Message, timeout: float) -> Answer:
    """Send Register, and wait for what kubelet says."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    with grpc.insecure_channel(target(kubelet_socket), options=options) as channel:
        call = channel.unary_unary("/v1beta1.Registration/Register", written, api.Empty.FromString)
        try:
            return Answer(call(request, timeout=timeout).SerializeToString())
        except grpc.RpcError as error:
            return Answer(code=cast(grpc.Call, error).code(), details=cast(grpc.Call, error).details() or "")
