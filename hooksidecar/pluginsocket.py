"""A server of kubelet's at a socket in its directories, which no other process ever had, and none takes away."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256

import grpc

from domxml.errors import BadInput
from hooksidecar import log
from hooksidecar.unixsocket import UnixSocket, is_alive
from hostdev.kubelet.directory import find_sockets
from hostdev.socketpath import LARGEST, target

MODE = 0o600


class PluginSocket:
    """Serves at a new name each time; gRPC's own end of a server would unlink the path of whichever has it by then."""

    def __init__(self, directory: str, prefix: str, hint: str, *, also: Sequence[str] = ()) -> None:
        self._directory, self._prefix, self._hint = directory, prefix, hint
        self._prefixes = (prefix, *also)
        """How sockets begin that are as ours."""
        self._server: grpc.Server | None = None
        self._socket: UnixSocket | None = None

    @property
    def path(self) -> str:
        return self._socket.path if self._socket else ""

    def is_there(self) -> bool:
        """Whether it is served, and nothing has removed it."""
        return self._socket is not None and self._socket.is_there()

    def publish(self, services: list[grpc.GenericRpcHandler[bytes, bytes]], calls: int) -> None:
        """Serve at a new socket, in the place of the one before; it answers before it is seen."""
        socket = self.make(self._prefix)
        server = grpc.server(
            ThreadPoolExecutor(calls, thread_name_prefix="plugin"),
            services,
            options=_limits(calls),
            maximum_concurrent_rpcs=calls,
        )
        socket.publish(lambda path: self.listen(server, path))
        before, self._server, self._socket = self._server, server, socket
        if before:
            before.stop(None)

    def make(self, prefix: str) -> UnixSocket:
        """Choose a name that no other process has."""
        return UnixSocket(self._directory, f"{prefix}{os.urandom(4).hex()}.sock", mode=MODE, hint=self._hint)

    def listen(self, server: grpc.Server, path: str) -> None:
        """Serve at a path."""
        try:
            server.add_insecure_port(target(path))
        except RuntimeError:
            raise BadInput("socket-bind", "no socket can be made here", subject=path, hint=self._hint) from None
        server.start()

    def others(self) -> tuple[str, ...]:
        """The sockets of the same kind that another process has, or has left."""
        return tuple(path for path in find_sockets(self._directory, self._prefixes) if path != self.path)

    def clear_leftovers(self) -> None:
        """Remove sockets at which nothing listens, of processes that were killed.

        Each was served before it got its name: where nothing listens, nothing ever will.
        """
        for path in self.others():
            if not is_alive(path):
                log.info("removed the socket of a process that is gone", socket=path)
                with suppress(OSError):
                    os.unlink(path)  # noqa: PTH108

    def remove(self) -> None:
        """Take it out of kubelet's sight; what is being answered goes on."""
        if self._socket:
            self._socket.remove()

    def close(self, grace: float | None = None) -> None:
        """Take the socket away, and end all calls, those that go on after so many seconds."""
        self.remove()
        if self._server:
            self._server.stop(grace).wait((grace or 0.0) + 1.0)


def socket_prefix(name: str) -> str:
    """Of a resource or a driver, whose own name may be longer than a socket's path."""
    return f"passgate-{sha256(name.encode()).hexdigest()[:8]}-"


def _limits(calls: int) -> tuple[tuple[str, int], ...]:
    return (
        ("grpc.max_receive_message_length", LARGEST),
        ("grpc.max_concurrent_streams", calls),
        # A peer that connects and says nothing.
        ("grpc.server_handshake_timeout_ms", 5000),
        # One whose process hangs keeps no message of ours for ever.
        ("grpc.keepalive_time_ms", 60000),
        ("grpc.keepalive_timeout_ms", 20000),
    )
