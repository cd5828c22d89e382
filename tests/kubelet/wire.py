"""What kubelet and the plugins say to each other: made, answered and recorded."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from hostdev.socketpath import target

ASKS, ITEM = "request", "stream-item"
"""Kinds of messages."""
PACKAGES = {"Register": "v1beta1.Registration", "GetInfo": "pluginregistration.Registration"}
PACKAGES["NotifyRegistrationStatus"] = PACKAGES["GetInfo"]
PACKAGES["NodePrepareResources"] = PACKAGES["NodeUnprepareResources"] = "k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin"
PACKAGES["NodeWatchResources"] = "v1alpha1.DRAResourceHealth"
GO_CODES = {
    "UNKNOWN": "Unknown",
    "UNAVAILABLE": "Unavailable",
    "UNIMPLEMENTED": "Unimplemented",
    "INTERNAL": "Internal",
    "FAILED_PRECONDITION": "FailedPrecondition",
    "DEADLINE_EXCEEDED": "DeadlineExceeded",
    "RESOURCE_EXHAUSTED": "ResourceExhausted",
    "INVALID_ARGUMENT": "InvalidArgument",
    "NOT_FOUND": "NotFound",
    "CANCELLED": "Canceled",
}
"""As kubelet's gRPC library writes them."""
_LOOK = 0.1
_NOT_THERE = "failed to connect to all addresses"
_CHANNEL = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 100),
)
Answer = TypeVar("Answer", bound=Message)


class WireMessage(NamedTuple):
    """One message, as in the transcript."""

    at: float
    side: str
    """Whose message it is: kubelet or plugin."""
    resource: str
    call: str
    kind: str
    data: bytes = b""
    deadline: float | None = None
    code: str = ""
    details: str = ""


def written(message: Message) -> bytes:
    """Its bytes; the method of the base class would write nothing."""
    return message.SerializeToString()


class Wire:
    """All messages, and the bell that rings whenever anything changes."""

    def __init__(self) -> None:
        self.bell = threading.Condition(threading.RLock())
        self.messages: list[WireMessage] = []

    def __iter__(self) -> Iterator[WireMessage]:
        return iter(tuple(self.messages))

    def ring(self) -> None:
        """Something has changed."""
        with self.bell:
            self.bell.notify_all()

    def record(self, side: str, resource: str, call: str, kind: str, data: bytes = b"", **more: Any) -> None:
        """Keep a message."""
        with self.bell:
            self.messages.append(WireMessage(time.monotonic(), side, resource, call, kind, data, **more))
            self.bell.notify_all()

    def wait(self, condition: Callable[[], object], timeout: float, what: str = "") -> None:
        """Until it is so; looked at whenever something happens, and now and then, for time itself may bring it."""
        end = time.monotonic() + timeout
        with self.bell:
            while not condition():
                if time.monotonic() < end:
                    self.bell.wait(_LOOK)
                    continue
                last = "\n".join(f"{m.side} {m.resource} {m.call} {m.kind} {m.details}" for m in self.messages[-12:])
                raise AssertionError(f"not within {timeout:g} s: {what or condition}\nsaid last:\n{last}")


class Failed(Exception):
    """A call failed; the text is as kubelet's gRPC library writes it."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(f"rpc error: code = {GO_CODES.get(code, code)} desc = {details}")
        self.code = code


class Peer:
    """A plugin's socket, as kubelet sees it."""

    def __init__(self, wire: Wire, socket: str, resource: str) -> None:
        self.wire, self.socket, self.resource = wire, socket, resource
        self.channel = grpc.insecure_channel(target(socket), options=_CHANNEL)
        self._streams: list[Any] = []

    def dial(self, seconds: float) -> bool:
        """Whether something answers within that time."""
        try:
            grpc.channel_ready_future(self.channel).result(timeout=seconds)
        except grpc.FutureTimeoutError:
            return False
        return True

    def call(self, name: str, request: Message, answer: type[Answer], timeout: float | None = None) -> Answer:
        """Ask, and wait for the answer; raises Failed."""
        self.wire.record("kubelet", self.resource, name, ASKS, request.SerializeToString(), deadline=timeout)
        method = _method(name)
        try:
            data: bytes = self.channel.unary_unary(method, written, bytes)(request, timeout=timeout)
        except (grpc.RpcError, ValueError) as error:
            raise self._failed(name, error) from None
        self.wire.record("plugin", self.resource, name, "response", data)
        return answer.FromString(data)

    def stream(self, name: str, request: Message, answer: type[Answer]) -> Iterator[Answer]:
        """What is told until the stream ends, for whatever reason."""
        self.wire.record("kubelet", self.resource, name, ASKS, request.SerializeToString())
        method = self.channel.unary_stream(_method(name), written, bytes)
        stream = method(request)
        self._streams.append(stream)
        try:
            for data in stream:
                self.wire.record("plugin", self.resource, name, ITEM, data)
                yield answer.FromString(data)
        except (grpc.RpcError, ValueError):
            pass
        self.wire.record("kubelet", self.resource, name, "stream-ended")

    def end_streams(self) -> None:
        """Read no more of them."""
        for stream in self._streams:
            stream.cancel()

    def close(self) -> None:
        """No more of it."""
        self.channel.close()

    def _failed(self, name: str, error: Exception) -> Failed:
        code, details = "CANCELLED", "grpc: the client connection is closing"
        if isinstance(error, grpc.Call):
            code, details = error.code().name, error.details() or ""
        if code == "DEADLINE_EXCEEDED":
            details = "context deadline exceeded"
        if details.startswith(_NOT_THERE):
            why = "connection refused" if os.path.exists(self.socket) else "no such file or directory"  # noqa: PTH110
            details = (
                f'connection error: desc = "transport: Error while dialing: dial unix {self.socket}: connect: {why}"'
            )
        self.wire.record("plugin", self.resource, name, "error", code=code, details=details)
        return Failed(code, details)


def _method(name: str) -> str:
    return f"/{PACKAGES.get(name, 'v1beta1.DevicePlugin')}/{name}"


Call: TypeAlias = tuple[type[Message], Callable[[Any, grpc.ServicerContext], Message]]
"""What it takes, and who answers."""


class _Calls(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # it takes none at run time
    def __init__(self, calls: Mapping[str, Call]) -> None:
        self._calls = calls

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if handler_call_details.method not in self._calls:
            return None
        request, answer = self._calls[handler_call_details.method]
        return grpc.unary_unary_rpc_method_handler(answer, request.FromString, written)


class SocketServer:
    """A server of kubelet's on a unix socket, whose file stays when it ends."""

    def __init__(self, path: str, calls: Mapping[str, Call]) -> None:
        self._server = grpc.server(ThreadPoolExecutor(16), [_Calls(calls)])
        # gRPC unlinks the path that it has bound, and kubelet leaves it; a second link makes the same event as bind().
        hidden = os.path.join(os.path.dirname(os.path.dirname(path)), f".{os.urandom(4).hex()}")  # noqa: PTH118, PTH120
        self._server.add_insecure_port(target(hidden))
        self._server.start()
        os.link(hidden, path)

    def stop(self) -> None:
        """Answer no more."""
        self._server.stop(0).wait()
