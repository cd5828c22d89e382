"""plugins_registry: sockets that appear are asked what they are, those that vanish are let go."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from hostdev.kubelet.stubs import pluginregistration_v1_pb2 as api
from tests.kubelet.clients import VERSION, Clients, Refused, is_extended
from tests.kubelet.times import Times
from tests.kubelet.wire import Failed, Peer, Wire
from tests.patience import SOON


class Handler(Protocol):
    """What is done with a kind of plugins."""

    def validate(self, name: str, socket: str, versions: Sequence[str]) -> None:
        """Raises Refused."""

    def register(self, name: str, socket: str, versions: Sequence[str]) -> None:
        """Raises Refused."""

    def deregister(self, name: str, socket: str) -> None: ...


class DevicePlugins:
    """Those of the device manager."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def validate(self, name: str, socket: str, versions: Sequence[str]) -> None:
        del socket
        if VERSION not in versions:
            told = " ".join(versions)
            raise Refused(f"manager version, {VERSION}, is not among plugin supported versions [{told}]")
        if not is_extended(name):
            raise Refused(f'invalid name of device plugin socket: the ResourceName "{name}" is invalid')

    def register(self, name: str, socket: str, versions: Sequence[str]) -> None:
        del versions
        self._clients.connect(name, socket)

    def deregister(self, name: str, socket: str) -> None:
        del socket
        self._clients.disconnect(name)


class Found(NamedTuple):
    """A plugin that was registered."""

    handler: Handler
    name: str
    endpoint: str


class Socket(NamedTuple):
    """What lies there: another one at the same path is another one."""

    device: int
    inode: int
    made: int


class Registry:
    """The watcher, as a thread; what it sees it sees at its loop."""

    def __init__(self, directory: Path, wire: Wire, handlers: Mapping[str, Handler], times: Times) -> None:
        self._directory, self._wire, self._handlers, self._times = directory, wire, handlers, times
        self._known: dict[str, tuple[Socket, Found]] = {}
        self._next: dict[str, tuple[float, float]] = {}
        """By path, when it may be tried again, and how long the wait was; it survives the socket."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def start(self) -> None:
        """Look for the first time, soon."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join(SOON)

    def _loop(self) -> None:
        self._ended.wait(self._times.registry_at_start)
        while not self._ended.is_set():
            there = dict(_sockets(self._directory))
            gone = [path for path, (socket, _) in self._known.items() if there.get(path) != socket]
            for path in gone:
                # One at the same path is registered at the next look only.
                found = self._known.pop(path)[1]
                found.handler.deregister(found.name, found.endpoint)
            self._register({path: socket for path, socket in there.items() if path not in gone})
            self._ended.wait(self._times.loop)

    def _register(self, there: Mapping[str, Socket]) -> None:
        for path, socket in there.items():
            at, wait = self._next.get(path, (0.0, 0.0))
            if path in self._known or time.monotonic() < at or self._ended.is_set():
                continue
            found = self._ask(path)
            if found is not None:
                self._known[path] = socket, found
                self._next.pop(path, None)
            else:
                wait = min(2 * wait or self._times.backoff, self._times.longest_backoff)
                self._next[path] = time.monotonic() + wait, wait

    def _ask(self, path: str) -> Found | None:
        peer = Peer(self._wire, path, "")
        try:
            if not peer.dial(self._times.get_info):
                return None
            info = peer.call("GetInfo", api.InfoRequest(), api.PluginInfo, self._times.get_info)
            peer.resource = info.name
            error = self._registered(path, info)
            status = api.RegistrationStatus(plugin_registered=not error, error=error)
            peer.call("NotifyRegistrationStatus", status, api.RegistrationStatusResponse, self._times.notify)
        except Failed:
            return None
        finally:
            peer.close()
        endpoint = info.endpoint or path
        return None if error else Found(self._handlers[info.type], info.name, endpoint)

    def _registered(self, path: str, info: api.PluginInfo) -> str:
        """What is wrong with it; empty where it is registered."""
        told = "RegisterPlugin error -- "
        handler, endpoint = self._handlers.get(info.type), info.endpoint or path
        if handler is None:
            return f"{told}no handler registered for plugin type: {info.type} at socket {path}"
        try:
            handler.validate(info.name, endpoint, info.supported_versions)
        except Refused as error:
            return f"{told}plugin validation failed with err: {error}"
        try:
            handler.register(info.name, endpoint, info.supported_versions)
        except Refused as error:
            return f"{told}plugin registration failed with err: {error}"
        return ""


def _sockets(directory: Path) -> Iterator[tuple[str, Socket]]:
    for path in sorted(directory.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(directory).parts):
            continue
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            continue
        if stat.S_ISSOCK(found.st_mode):
            yield str(path), Socket(found.st_dev, found.st_ino, found.st_ctime_ns)
