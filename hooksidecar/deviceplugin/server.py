"""A plugin's server and its socket, which no other process ever had, and none takes away."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256

import grpc

from domxml.errors import BadInput
from hooksidecar import log
from hooksidecar.deviceplugin.calls import OPTIONS, SERVICE, STREAMS, Announcement, Calls
from hooksidecar.deviceplugin.source import LARGEST, Source
from hooksidecar.unixsocket import UnixSocket, is_alive
from hostdev.kubelet.directory import PLUGINS
from hostdev.socketpath import target

MODE = 0o600
_DECOY = ".decoy-"
"""How a socket begins that kubelet does not find by itself: it leaves out what begins with a dot."""
_HINT = "mount kubelet's directory plugins_registry, writable, at the same path"
CALLS = STREAMS + 8
"""Threads, made when they are needed: for the lists that are watched, and for kubelet, which asks one at a time."""
_LIMITS = (
    ("grpc.max_receive_message_length", LARGEST),
    ("grpc.max_concurrent_streams", CALLS),
    # A peer that connects and says nothing.
    ("grpc.server_handshake_timeout_ms", 5000),
    # One whose process hangs keeps no message of ours for ever.
    ("grpc.keepalive_time_ms", 60000),
    ("grpc.keepalive_timeout_ms", 20000),
)


class PluginServer:
    """Serves one resource."""

    def __init__(self, kubelet_dir: str, resource: str, source: Source) -> None:
        self.calls = Calls(resource, source)
        self._announcement = Announcement(resource)
        self._directory = os.path.join(kubelet_dir, PLUGINS)  # noqa: PTH118
        self._prefix = f"passgate-{sha256(resource.encode()).hexdigest()[:8]}-"
        self._server: grpc.Server | None = None
        self._socket: UnixSocket | None = None

    @property
    def endpoint(self) -> str:
        """The socket as kubelet is told of it."""
        return _endpoint(self._socket) if self._socket else ""

    @property
    def was_found(self) -> bool:
        """Whether kubelet found the socket by itself, and said what became of it."""
        return self._announcement.was_answered

    def publish(self) -> None:
        """Serve at a new socket, where there is none of ours any more; it answers before it is seen."""
        if self._socket and self._socket.is_there():
            return
        socket = UnixSocket(self._directory, f"{self._prefix}{os.urandom(4).hex()}.sock", mode=MODE, hint=_HINT)
        threads = ThreadPoolExecutor(CALLS, thread_name_prefix="plugin")
        services = [self.calls.service(), self._announcement.service()]
        server = grpc.server(threads, services, options=_LIMITS, maximum_concurrent_rpcs=CALLS)
        socket.publish(lambda path: _listen(server, path))
        before, self._server, self._socket = self._server, server, socket
        if before:
            before.stop(None)

    def others(self) -> tuple[str, ...]:
        """Sockets of the same resource that another agent has, or has left."""
        mine = self._socket.path if self._socket else ""
        return tuple(path for path in self._sockets() if path != mine)

    def clear_leftovers(self) -> None:
        """Remove sockets at which nothing listens, of agents that were killed.

        Each was served before it got its name: where nothing listens, nothing ever will.
        """
        for path in self.others():
            if not is_alive(path):
                log.info("removed the socket of an agent that is gone", socket=path)
                with suppress(OSError):
                    os.unlink(path)  # noqa: PTH108

    def _sockets(self) -> Iterator[str]:
        """What is named like those of this resource, and is a socket."""
        try:
            names = sorted(os.listdir(self._directory))  # noqa: PTH208
        except OSError:
            return
        for name in names:
            path = f"{self._directory}/{name}"
            with suppress(OSError):
                if name.startswith((self._prefix, _DECOY)) and stat.S_ISSOCK(os.lstat(path).st_mode):
                    yield path

    @contextmanager
    def decoy(self) -> Iterator[str]:
        """Serve meanwhile at another socket, of which kubelet is told by the answer, what cannot be registered."""
        socket = UnixSocket(self._directory, f"{_DECOY}{os.urandom(4).hex()}.sock", mode=MODE, hint=_HINT)
        server = grpc.server(ThreadPoolExecutor(2), [_declining()])
        socket.publish(lambda path: _listen(server, path))
        try:
            yield _endpoint(socket)
        finally:
            socket.remove()
            server.stop(None)

    def close(self) -> None:
        """Take the socket away and end all calls."""
        if self._socket:
            self._socket.remove()
        self.calls.close()
        if self._server:
            self._server.stop(None).wait(1.0)


def _endpoint(socket: UnixSocket) -> str:
    """Kubelet joins it to device-plugins."""
    return f"../{PLUGINS}/{os.path.basename(socket.path)}"  # noqa: PTH119


def _listen(server: grpc.Server, path: str) -> None:
    try:
        server.add_insecure_port(target(path))
    except RuntimeError:
        raise BadInput("socket-bind", "no socket can be made here", subject=path, hint=_HINT) from None
    server.start()


def _declining() -> grpc.GenericRpcHandler[bytes, bytes]:
    return grpc.method_handlers_generic_handler(SERVICE, {OPTIONS: grpc.unary_unary_rpc_method_handler(_decline)})


def _decline(_request: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.ABORTED, "declined on purpose: an agent takes over from the one before it")
    raise AssertionError  # abort raises
