"""What kubelet calls at a driver's socket: two calls about claims, each of which is answered, and health of devices."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from domxml.errors import PassgateError
from domxml.text import visible
from hooksidecar import log
from hooksidecar.broadcast import Broadcast
from hooksidecar.claims.source import ClaimRef, Claims
from hooksidecar.deadline import Job, current_activity, refusal
from hooksidecar.registration import decode_message
from hostdev.kubelet.stubs import dra_v1_pb2 as wire

SERVICE, HEALTH = "k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin", "v1alpha1.DRAResourceHealth"
KIND, VERSION = "DRAPlugin", "v1.DRAPlugin"
"""Kubelet speaks it since 1.34. KubeVirt's claims need 1.36, so that v1beta1, which no recording proves, would serve
none."""
LONGEST = 45.0
"""Seconds that kubelet waits for an answer."""
EARLY = 2.0
"""Of its deadline so much is left: an answer that comes later reaches nothing."""
MOST = 32
"""Claims that are worked on at once; a pod that starts has a handful."""
TEXT_LIMIT = 1024
"""Bytes of a sentence that an event or a pod's status shows."""

_Answer: TypeAlias = wire.NodePrepareResourceResponse | wire.NodeUnprepareResourceResponse
A = TypeVar("A", bound=_Answer)


class _Call(NamedTuple, Generic[A]):
    """One of the two, as the protocol has it."""

    name: str
    request: Callable[[], wire.NodePrepareResourcesRequest | wire.NodeUnprepareResourcesRequest]
    response: Callable[[], wire.NodePrepareResourcesResponse | wire.NodeUnprepareResourcesResponse]
    answer: type[A]


_PREPARE = _Call(
    "prepare",
    wire.NodePrepareResourcesRequest,
    wire.NodePrepareResourcesResponse,
    wire.NodePrepareResourceResponse,
)
_UNPREPARE = _Call(
    "unprepare",
    wire.NodeUnprepareResourcesRequest,
    wire.NodeUnprepareResourcesResponse,
    wire.NodeUnprepareResourceResponse,
)


class Calls:
    """Answers kubelet, for each claim whatever happens.

    Of a claim that is missing in an answer kubelet says only that it was skipped, and of a call that fails nothing of
    the others.
    """

    def __init__(self, driver: str, claims: Claims) -> None:
        self.health = Broadcast()
        self._driver, self._claims = driver, claims
        # Apart: an API server that hangs is in the way of what is prepared only.
        self._room = {call.name: threading.BoundedSemaphore(MOST) for call in (_PREPARE, _UNPREPARE)}

    def services(self) -> list[grpc.GenericRpcHandler[bytes, bytes]]:
        """Serve each call by its name."""
        watch = grpc.unary_stream_rpc_method_handler(lambda _, context: self.health.stream(context))
        claims = {
            "NodePrepareResources": self._handler(_PREPARE, self._prepare),
            "NodeUnprepareResources": self._handler(_UNPREPARE, self._unprepare),
        }
        handle = grpc.method_handlers_generic_handler
        return [handle(SERVICE, claims), handle(HEALTH, {"NodeWatchResources": watch})]

    def _handler(self, call: _Call[A], work: Callable[[ClaimRef, float], A]) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._serve(call, work, request, context))

    def _serve(
        self, call: _Call[A], work: Callable[[ClaimRef, float], A], request: bytes, context: grpc.ServicerContext
    ) -> bytes:
        try:
            claims = decode_message(call.request, request).claims
            refs = dict.fromkeys(ClaimRef(one.namespace, one.uid, one.name) for one in claims)
            return self._answer(call, work, refs, context.time_remaining()).SerializeToString()
        except PassgateError as error:
            refusal(error, driver=self._driver).end(context)

    def _answer(
        self, call: _Call[A], work: Callable[[ClaimRef, float], A], refs: Iterable[ClaimRef], left: float | None
    ) -> Message:
        """Each claim's beside the others: what hangs with one of them delays none."""
        until = time.monotonic() + min(LONGEST if left is None else left, LONGEST) - EARLY
        begun = [(ref, self._begin(call, work, ref, until)) for ref in refs]
        response = call.response()
        for ref, running in begun:
            response.claims[ref.uid].MergeFrom(self._finish(call, ref, running, until))  # type: ignore[arg-type]
        return response

    def _prepare(self, ref: ClaimRef, within: float) -> wire.NodePrepareResourceResponse:
        answer = self._claims.prepare([ref], within)[ref.uid]
        if isinstance(answer, str) or not answer:
            # Without a device and an error kubelet would start the pod without what it asked for.
            why = str(answer) if answer else "nothing was prepared, and no reason given: see the log of passgate-claims"
            return wire.NodePrepareResourceResponse(error=shorten(why))
        devices = [
            wire.Device(
                request_names=device.requests,
                pool_name=device.pool,
                device_name=device.device,
                cdi_device_ids=device.cdi_ids,
            )
            for device in answer
        ]
        return wire.NodePrepareResourceResponse(devices=devices)

    def _unprepare(self, ref: ClaimRef, _within: float) -> wire.NodeUnprepareResourceResponse:
        return wire.NodeUnprepareResourceResponse(error=shorten(self._claims.unprepare([ref])[ref.uid] or ""))

    def _begin(
        self, call: _Call[A], work: Callable[[ClaimRef, float], A], ref: ClaimRef, until: float
    ) -> _Running[A] | str:
        room = self._room[call.name]
        if not room.acquire(blocking=False):
            return f"busy: {MOST} claims are worked on already: kubelet will ask again"

        def run() -> A:
            try:
                return work(ref, max(0.0, until - time.monotonic()))
            finally:
                room.release()

        job = Job(run, until)
        thread = threading.Thread(target=job.run, name=call.name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            room.release()
            return "busy: no thread can be started, the pod may have no more processes: kubelet will ask again"
        return _Running(job, thread)

    def _finish(self, call: _Call[A], ref: ClaimRef, running: _Running[A] | str, until: float) -> A:
        fields = {"driver": self._driver, "claim": ref.full_name, "uid": ref.uid}
        if isinstance(running, str):
            log.error("refused", **fields, call=call.name, reason=running)
            return call.answer(error=running)
        left = max(0.0, until - time.monotonic())
        if not running.job.wait(left):
            doing = current_activity(running.thread.ident)
            log.error("late", **fields, call=call.name, doing=doing.words, where=doing.where)
            text = f"deadline: no answer in kubelet's time: {doing.words}: kubelet will ask again"
            return call.answer(error=text)
        return self._outcome(call, running.job, fields)

    def _outcome(self, call: _Call[A], job: Job[A], fields: Mapping[str, str]) -> A:
        try:
            answer = job.outcome()
        except PassgateError as error:
            answer = call.answer(error=shorten(error.sentence()))
        except Exception as error:  # noqa: BLE001  its text may hold anything
            log.defect(error, **fields, call=call.name)
            return call.answer(error=f"a defect of passgate: {type(error).__name__}; see the log of passgate-claims")
        if answer.error:
            log.warning("refused", **fields, call=call.name, reason=answer.error)
        else:
            log.info(f"{call.name}d", **fields)
        return answer


class _Running(NamedTuple, Generic[A]):
    job: Job[A]
    thread: threading.Thread


def shorten(text: str) -> str:
    """Cut a text to what is shown of it, and escape what no message can hold."""
    data = visible(text).encode()
    return text if len(data) <= TEXT_LIMIT and text == data.decode() else _cut(data)


def _cut(data: bytes) -> str:
    mark = "…" if len(data) > TEXT_LIMIT else ""
    return data[: TEXT_LIMIT - len(mark.encode())].decode(errors="ignore") + mark
