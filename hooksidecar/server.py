"""The gRPC server, and the hook protocol as tables of methods. Requests are bytes: what is wrong with them, we say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock, Semaphore
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import grpc

from domxml.errors import BadInput
from hooksidecar import log
from hooksidecar.deadline import Busy
from hooksidecar.domainhook import LARGEST, Calls, Question, decode_request, pass_through, refuse
from hooksidecar.options import VERSIONS
from hooksidecar.stubs import callbacks_v1alpha3_pb2 as callbacks
from hostdev.socketpath import target

if TYPE_CHECKING:
    from hooksidecar.cloudinithook import CloudInitCalls


Method: TypeAlias = Callable[[bytes, grpc.ServicerContext], bytes]
Methods: TypeAlias = Mapping[str, Method]
"""By full name: `/package.Service/Method`."""

INFO = "/kubevirt.hooks.info.Info/Info"
SHUTDOWN = "/kubevirt.hooks.v1alpha3.Callbacks/Shutdown"
AT_ONCE = frozenset({INFO, SHUTDOWN})
"""Methods that take nothing from their message, and are answered whatever else is going on."""
NAME = "passgate"


def hook_methods(
    calls: Calls,
    shut_down: Callable[[], None],
    cloud_init: CloudInitCalls | None = None,
    versions: Sequence[str] = VERSIONS,
) -> Methods:
    """The services of a hook sidecar. The messages of v1alpha1 and v1alpha2 are those of v1alpha3, or fewer."""
    from hooksidecar.stubs import info_pb2 as info  # noqa: PLC0415  a plugin has none

    ends = "v1alpha3" in versions
    # PreCloudInitIso only when asked for: where a sidecar subscribes it, virt-launcher panics on a VM without it.
    names = ["OnDefineDomain", *["Shutdown"] * ends, *["PreCloudInitIso"] * (cloud_init is not None)]
    points = [info.HookPoint(name=name, priority=0) for name in names]
    about = info.InfoResult(name=NAME, hookPoints=points, versions=versions).SerializeToString()

    def answer_info(_request: bytes, context: grpc.ServicerContext) -> bytes:
        context.add_callback(calls.warm_up)
        return about

    def on_define_domain(version: str) -> Method:
        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            asked = decode_request(request, callbacks.OnDefineDomainParams, context)
            question = Question("OnDefineDomain", version, asked.domainXML, asked.vmi)
            del asked  # It has copies of both.
            return callbacks.OnDefineDomainResult(domainXML=calls.define(question, context)).SerializeToString()

        return answer

    def shutdown(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        shut_down()
        return callbacks.ShutdownResult().SerializeToString()

    return {
        INFO: answer_info,
        **{f"/kubevirt.hooks.{version}.Callbacks/OnDefineDomain": on_define_domain(version) for version in versions},
        **({SHUTDOWN: shutdown} if ends else {}),
        **(_pre_cloud_init_iso(cloud_init, versions) if cloud_init else {}),
    }


def _pre_cloud_init_iso(cloud_init: CloudInitCalls, versions: Sequence[str]) -> Methods:
    """v1alpha1 has no such call."""

    def method(version: str) -> Method:
        return lambda request, context: cloud_init.write(version, request, context)

    newer = [version for version in versions if version != "v1alpha1"]
    return {f"/kubevirt.hooks.{version}.Callbacks/PreCloudInitIso": method(version) for version in newer}


def plugin_methods(calls: Calls) -> Methods:
    """The service of a Plugin's sidecar."""
    from hooksidecar.stubs import plugin_v1alpha1_pb2 as plugins  # noqa: PLC0415  a hook has none

    def mutate_domain(request: bytes, context: grpc.ServicerContext) -> bytes:
        asked = decode_request(request, plugins.MutateDomainRequest, context)
        question = Question("MutateDomain", "plugin v1alpha1", asked.domain, asked.vmi)
        if asked.sidecar_context.invocation_context == "MigrationTarget":
            domain = pass_through(question, "the target of a migration gets the source's domain")
        elif asked.domain_type != "libvirt":
            refuse(BadInput("bad-domain-type", f"domain_type is {asked.domain_type[:40]!r}, not 'libvirt'"), context)
        else:
            domain = calls.define(question, context)
        return plugins.MutateDomainResponse(domain=domain).SerializeToString()

    return {"/kubevirt.hooks.plugins.v1alpha1.DomainHookService/MutateDomain": mutate_domain}


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
    # Otherwise it takes in whole messages that nothing reads yet.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 64 * 1024),
)
LARGE = 256 * 1024
"""Bytes of a message from which on it has the sidecar to itself: one of the largest takes what memory there is."""
TURN, STALLED = 1.0, 5.0
"""Seconds that a call waits for a large one to be answered, and for the message of another one to come."""
SLICE = 0.1
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
        room = _Room()
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


class _Room:
    """What the calls that wait may take, all together: a sidecar has 64 MB."""

    def __init__(self) -> None:
        self._calls = Semaphore(WAITING)
        self._turn = Lock()
        self._large = Event()

    def answer(self, method: Method, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        if not self._calls.acquire(blocking=False):
            _refuse_busy(f"{WAITING} calls wait for an answer already", context)
        try:
            return self._in_turn(method, messages, context)
        finally:
            self._calls.release()

    def _in_turn(self, method: Method, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        mine = self._take_turn(context)
        try:
            message = next(messages, None)
            if message is None:
                refuse(BadInput("bad-message", "the request holds no message"), context)
            if mine and len(message) >= LARGE:
                self._large.set()
                return method(message, context)
        finally:
            if mine:
                self._large.clear()
                self._turn.release()
        return method(message, context)

    def _take_turn(self, context: grpc.ServicerContext) -> bool:
        """How large a message is shows once it is read. Behind one that does not come all others are read."""
        begun = time.monotonic()
        left = context.time_remaining()
        late = begun + min(STALLED, STALLED if left is None else left / 2)
        while not self._turn.acquire(timeout=SLICE):
            now = time.monotonic()
            if self._large.is_set() and now - begun > TURN:
                _refuse_busy("a call with a large document waits for an answer already", context)
            if now > late:
                return False
        return True


def _refuse_busy(what: str, context: grpc.ServicerContext) -> NoReturn:
    refuse(Busy("busy", what, hint="ask again later"), context)


def _in_room(method: Method, room: _Room) -> _Behavior:
    return lambda messages, context: room.answer(method, messages, context)
