"""What kubelet calls at a plugin's socket: who is there, and the five calls of its device plugin API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from threading import Condition
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from domxml.errors import BadInput, PassgateError
from domxml.text import printable
from hooksidecar import log
from hooksidecar.deadline import refusal
from hooksidecar.deviceplugin.source import Listed, Source, container_message, list_message
from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as wire
from hostdev.kubelet.stubs import pluginregistration_v1_pb2 as registration

M = TypeVar("M", bound=Message)

SERVICE, REGISTRATION = "v1beta1.DevicePlugin", "pluginregistration.Registration"
KIND, VERSION = "DevicePlugin", "v1beta1"
OPTIONS = "GetDevicePluginOptions"
STREAMS = 16
"""Lists that are watched at once. Kubelet forgets to close one when a plugin registers again."""
LOOK = 5.0
"""Seconds after which a stream looks whether it is still read: for a peer that vanished without a word."""


class Calls:
    """Answers kubelet. Nothing in a call says of which resource it is, so each has its own."""

    def __init__(self, resource: str, source: Source) -> None:
        self.resource = resource
        self.on_open: Callable[[], None] = _nothing
        self.on_end: Callable[[], None] = _nothing
        """Called when kubelet begins, and ceases, to watch the list; from any thread."""
        self._source = source
        self._changed = Condition()
        self._message = b""
        self._number = 0
        self._streams = 0
        self._opened = 0
        self._closed = False

    @property
    def opened(self) -> int:
        """How many lists have been watched so far."""
        with self._changed:
            return self._opened

    def await_stream(self, before: int, patience: float) -> bool:
        """Wait until one more is watched than were before."""
        with self._changed:
            return self._changed.wait_for(lambda: self._opened > before or self._closed, patience)

    def update(self, devices: Iterable[Listed]) -> bool:
        """Send the list where it has changed; whether it has."""
        message, left_out = list_message(devices)
        with self._changed:
            if message == self._message and self._number:
                return False
            self._message, self._number = message, self._number + 1
            self._changed.notify_all()
        if left_out:
            log.error("list too long", resource=self.resource, left_out=left_out)
        return True

    def close(self) -> None:
        """End every stream."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def service(self) -> grpc.GenericRpcHandler[bytes, bytes]:
        """Serve each call by its name."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "ListAndWatch": grpc.unary_stream_rpc_method_handler(self._list_and_watch),
                OPTIONS: self._unary(self._options),
                "GetPreferredAllocation": self._unary(self._prefer),
                "Allocate": self._unary(self._allocate),
                "PreStartContainer": self._unary(self._pre_start),
            },
        )

    def _unary(self, answer: Callable[[bytes], Message]) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._answer(answer, request, context))

    def _list_and_watch(self, _request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        if not self._open_stream():
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{STREAMS} lists are watched already")
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
        """Wait for a list that is newer; of several that came meanwhile the last one is left."""
        with self._changed:
            while context.is_active() and not self._closed:
                if self._number > sent:
                    return self._number, self._message
                self._changed.wait(LOOK)
        return None

    def _stream_ended(self) -> None:
        with self._changed:
            self._streams -= 1
            self._changed.notify_all()
        self.on_end()

    def _answer(self, answer: Callable[[bytes], Message], request: bytes, context: grpc.ServicerContext) -> bytes:
        begun = time.monotonic()
        try:
            return answer(request).SerializeToString()
        except PassgateError as error:
            refusal(error, resource=self.resource).end(context)
        except Exception as error:  # noqa: BLE001  gRPC would tell its text, which may hold anything
            log.defect(error)
            text = f"a defect of passgate: {type(error).__name__}; see the agent's log"
            context.abort(grpc.StatusCode.INTERNAL, text)
            raise AssertionError from None  # abort raises
        finally:
            log.debug("answered", resource=self.resource, ms=round((time.monotonic() - begun) * 1000, 1))

    def _options(self, _request: bytes) -> Message:
        return wire.DevicePluginOptions(pre_start_required=True, get_preferred_allocation_available=True)

    def _prefer(self, request: bytes) -> Message:
        answer = wire.PreferredAllocationResponse()
        for asked in _decode(wire.PreferredAllocationRequest, request).container_requests:
            available, must_include = tuple(asked.available_deviceIDs), tuple(asked.must_include_deviceIDs)
            chosen = self._source.prefer(self.resource, available, must_include, asked.allocation_size)
            answer.container_responses.add(deviceIDs=chosen)
        return answer

    def _allocate(self, request: bytes) -> Message:
        asked = _decode(wire.AllocateRequest, request).container_requests
        # Kubelet sorts nothing.
        given = [self._source.allocate(self.resource, sorted(one.devices_ids)) for one in asked]
        return wire.AllocateResponse(container_responses=[container_message(one) for one in given])

    def _pre_start(self, request: bytes) -> Message:
        self._source.check(self.resource, sorted(_decode(wire.PreStartContainerRequest, request).devices_ids))
        return wire.PreStartContainerResponse()


class Announcement:
    """How kubelet gets to know a plugin by itself: it finds the socket in plugins_registry, and asks what it is."""

    def __init__(self, resource: str) -> None:
        self._resource = resource
        self._error = ""
        self.was_answered = False
        """Whether kubelet has said what became of it."""

    def service(self) -> grpc.GenericRpcHandler[bytes, bytes]:
        """Serve each call by its name."""
        answers = {"GetInfo": self._info, "NotifyRegistrationStatus": self._note}
        handlers = {name: grpc.unary_unary_rpc_method_handler(answer) for name, answer in answers.items()}
        return grpc.method_handlers_generic_handler(REGISTRATION, handlers)

    def _info(self, _request: bytes, _context: grpc.ServicerContext) -> bytes:
        # Without an endpoint it is this very socket.
        return registration.PluginInfo(type=KIND, name=self._resource, supported_versions=[VERSION]).SerializeToString()

    def _note(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            status = _decode(registration.RegistrationStatus, request)
        except PassgateError as error:
            refusal(error, resource=self._resource).end(context)
        why = "" if status.plugin_registered else status.error or "no reason"
        # Kubelet tries again and again, and says the same each time.
        if why and why != self._error:
            log.warning("refused", resource=self._resource, why=f"kubelet found it, and says: {printable(why)}")
        self._error, self.was_answered = why, True
        return registration.RegistrationStatusResponse().SerializeToString()


def _nothing() -> None:
    """Before there is something that waits for it."""


def _decode(kind: Callable[[], M], request: bytes) -> M:
    message = kind()
    try:
        message.ParseFromString(request)
    except DecodeError:
        raise BadInput("bad-message", "the request is no message of this call") from None
    return message
