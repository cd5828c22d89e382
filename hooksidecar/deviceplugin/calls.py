"""What kubelet calls at a plugin's socket: who is there, and the five calls of its device plugin API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import grpc
from google.protobuf.message import Message

from domxml.errors import PassgateError
from hooksidecar import log
from hooksidecar.broadcast import Broadcast
from hooksidecar.deadline import refusal
from hooksidecar.deviceplugin.source import Listed, Source, container_message, list_message
from hooksidecar.registration import decode_message
from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as wire

SERVICE = "v1beta1.DevicePlugin"
KIND, VERSION = "DevicePlugin", "v1beta1"
OPTIONS = "GetDevicePluginOptions"


class Calls:
    """Answers kubelet. Nothing in a call says of which resource it is, so each has its own."""

    def __init__(self, resource: str, source: Source) -> None:
        self.resource = resource
        self.lists = Broadcast()
        self._source = source

    def update(self, devices: Iterable[Listed]) -> bool:
        """Send the list where it has changed; whether it has."""
        message, left_out = list_message(devices)
        has_changed = self.lists.send(message)
        if has_changed and left_out:
            log.error("list too long", resource=self.resource, left_out=left_out)
        return has_changed

    def service(self) -> grpc.GenericRpcHandler[bytes, bytes]:
        """Serve each call by its name."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "ListAndWatch": grpc.unary_stream_rpc_method_handler(lambda _, context: self.lists.stream(context)),
                OPTIONS: self._unary(self._options),
                "GetPreferredAllocation": self._unary(self._prefer),
                "Allocate": self._unary(self._allocate),
                "PreStartContainer": self._unary(self._pre_start),
            },
        )

    def _unary(self, answer: Callable[[bytes], Message]) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._answer(answer, request, context))

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
        for asked in decode_message(wire.PreferredAllocationRequest, request).container_requests:
            available, must_include = tuple(asked.available_deviceIDs), tuple(asked.must_include_deviceIDs)
            chosen = self._source.prefer(self.resource, available, must_include, asked.allocation_size)
            answer.container_responses.add(deviceIDs=chosen)
        return answer

    def _allocate(self, request: bytes) -> Message:
        asked = decode_message(wire.AllocateRequest, request).container_requests
        # Kubelet sorts nothing.
        given = [self._source.allocate(self.resource, sorted(one.devices_ids)) for one in asked]
        return wire.AllocateResponse(container_responses=[container_message(one) for one in given])

    def _pre_start(self, request: bytes) -> Message:
        self._source.check(self.resource, sorted(decode_message(wire.PreStartContainerRequest, request).devices_ids))
        return wire.PreStartContainerResponse()
