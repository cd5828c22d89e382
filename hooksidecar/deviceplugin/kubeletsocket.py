"""Kubelet's registration socket: which one it is now, and what it says to a plugin that registers."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import grpc

from domxml.text import printable
from hooksidecar import log
from hooksidecar.deviceplugin.calls import VERSION
from hooksidecar.inotify import CREATE, MOVED_TO, ONLYDIR, Inotify
from hooksidecar.unixsocket import is_alive
from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as wire
from hostdev.socketpath import target

DIRECTORY, NAME = "device-plugins", "kubelet.sock"
REGISTER = "/v1beta1.Registration/Register"
PATIENCE = 20.0
"""Seconds for Register: kubelet itself gives up dialling a plugin after 10."""
POLL = 1.0
"""Seconds between two looks, whatever inotify tells."""
BINDING = 2.0
"""Seconds between a socket's name and its being listened at."""


class Identity(NamedTuple):
    """Of a socket file: a new one of the same name is another kubelet's, or the same one's after a restart."""

    device: int
    inode: int
    changed: float


class Refusal(NamedTuple):
    """How a registration failed."""

    text: str
    answered: bool
    """Whether kubelet has, or may have, heard of it."""


class KubeletSocket:
    """Watches for the socket, and registers at it."""

    def __init__(self, kubelet_dir: str) -> None:
        self._directory = os.path.join(kubelet_dir, DIRECTORY)  # noqa: PTH118
        self.path = os.path.join(self._directory, NAME)  # noqa: PTH118
        self._closed = threading.Event()

    @property
    def identity(self) -> Identity | None:
        """Which one it is now; None where there is none."""
        try:
            found = os.stat(self.path)  # noqa: PTH116
        except OSError:
            return None
        return Identity(found.st_dev, found.st_ino, found.st_ctime)

    def watch(self, changed: Callable[[], None]) -> None:
        """Look at it in a thread of its own, and say when it is another one."""
        threading.Thread(target=self._watch, args=(changed,), name="kubelet-socket", daemon=True).start()

    def close(self) -> None:
        """Watch no longer."""
        self._closed.set()

    def register(self, resource: str, endpoint: str) -> Refusal | None:
        """Make a plugin known, whose socket answers already; None where kubelet took it."""
        request = wire.RegisterRequest(version=VERSION, endpoint=endpoint, resource_name=resource)
        request.options.pre_start_required = request.options.get_preferred_allocation_available = True
        # A channel of its own each time: gRPC lets one that failed rest for a second.
        options = (("grpc.use_local_subchannel_pool", 1),)
        with grpc.insecure_channel(target(self.path), options=options) as channel:
            try:
                channel.unary_unary(REGISTER, bytes, bytes)(request.SerializeToString(), timeout=PATIENCE)
            except grpc.RpcError as error:
                return _refusal(error)
        return None

    def await_listener(self) -> Identity | None:
        """Wait as long as the socket is new and not listened at: it has its name a moment before. Which one it is."""
        while (found := self.identity) and time.time() - found.changed < BINDING and not is_alive(self.path):
            time.sleep(0.002)
        return found

    def _watch(self, changed: Callable[[], None]) -> None:
        waiting = select.poll()
        inotify: Inotify | None = None
        try:
            inotify = Inotify()
            waiting.register(inotify.fd, select.POLLIN)
        except OSError as error:
            log.warning("no inotify: looking for kubelet's socket every second", reason=error.strerror)
        known = self.identity
        while not self._closed.is_set():
            with suppress(OSError):
                # The same directory again is no second watch; one that was made anew is.
                if inotify:
                    inotify.watch(self._directory, CREATE | MOVED_TO | ONLYDIR)
            waiting.poll(POLL * 1000)
            if inotify:
                list(inotify.events())
            if (found := self.identity) != known:
                known = found
                changed()


def _refusal(error: grpc.RpcError) -> Refusal:
    code, details = (error.code(), error.details()) if isinstance(error, grpc.Call) else (None, None)
    if code is grpc.StatusCode.UNAVAILABLE:
        return Refusal("kubelet does not answer at its socket", answered=False)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Refusal(f"kubelet did not answer within {PATIENCE:g} seconds", answered=True)
    return Refusal(f"kubelet refuses it: {printable(details or str(code))}", answered=True)
