"""A plugin's server and its socket, which no other process ever had, and none takes away."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc

from hooksidecar.broadcast import STREAMS
from hooksidecar.deviceplugin.calls import KIND, OPTIONS, SERVICE, VERSION, Calls
from hooksidecar.deviceplugin.source import Source
from hooksidecar.pluginsocket import PluginSocket, socket_prefix
from hooksidecar.registration import Announcement
from hostdev.kubelet.directory import PLUGINS

_DECOY = ".decoy-"
"""How a socket begins that kubelet does not find by itself: it leaves out what begins with a dot."""
_HINT = "mount kubelet's directory plugins_registry, writable, at the same path"
CALLS = STREAMS + 8
"""Threads, made when they are needed: for the lists that are watched, and for kubelet, which asks one at a time."""


class PluginServer:
    """Serves one resource."""

    def __init__(self, kubelet_dir: str, resource: str, source: Source) -> None:
        self.calls = Calls(resource, source)
        self._announcement = Announcement(KIND, resource, [VERSION])
        directory = os.path.join(kubelet_dir, PLUGINS)  # noqa: PTH118
        self.socket = PluginSocket(directory, socket_prefix(resource), _HINT, also=[_DECOY])

    @property
    def endpoint(self) -> str:
        """The socket as kubelet is told of it."""
        return _endpoint(self.socket.path) if self.socket.path else ""

    @property
    def was_found(self) -> bool:
        """Whether kubelet found the socket by itself, and said what became of it."""
        return self._announcement.was_answered

    def publish(self) -> None:
        """Serve at a new socket, where there is none of ours any more."""
        if not self.socket.is_there():
            self.socket.publish([self.calls.service(), self._announcement.service()], CALLS)

    @contextmanager
    def decoy(self) -> Iterator[str]:
        """Serve meanwhile at another socket, of which kubelet is told by the answer, what cannot be registered."""
        socket = self.socket.make(_DECOY)
        server = grpc.server(ThreadPoolExecutor(2), [_declining()])
        socket.publish(lambda path: self.socket.listen(server, path))
        try:
            yield _endpoint(socket.path)
        finally:
            socket.remove()
            server.stop(None)

    def close(self) -> None:
        """Take the socket away and end all calls."""
        self.socket.remove()
        self.calls.lists.close()
        self.socket.close()


def _endpoint(path: str) -> str:
    """Kubelet joins it to device-plugins."""
    return f"../{PLUGINS}/{os.path.basename(path)}"  # noqa: PTH119


def _declining() -> grpc.GenericRpcHandler[bytes, bytes]:
    return grpc.method_handlers_generic_handler(SERVICE, {OPTIONS: grpc.unary_unary_rpc_method_handler(_decline)})


def _decline(_request: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.ABORTED, "declined on purpose: an agent takes over from the one before it")
    raise AssertionError  # abort raises
