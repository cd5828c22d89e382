"""plugins_registry: sockets that appear are asked what they are, those that vanish are let go."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from hostdev.kubelet.stubs import pluginregistration_v1_pb2 as api
from tests.kubelet.clients import VERSION, Clients, Refused, is_extended
from tests.kubelet.times import Times
from tests.kubelet.wire import Failed, Peer, Wire

TYPE = "DevicePlugin"


class Socket(NamedTuple):
    """What lies there: another one at the same path is another one."""

    device: int
    inode: int
    made: int


class Registry:
    """The watcher, as a thread; what it sees it sees at its loop."""

    def __init__(self, directory: Path, wire: Wire, clients: Clients, times: Times) -> None:
        self._directory, self._wire, self._clients, self._times = directory, wire, clients, times
        self._known: dict[str, tuple[Socket, str]] = {}
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
        self._thread.join(10)

    def _loop(self) -> None:
        self._ended.wait(self._times.registry_at_start)
        while not self._ended.is_set():
            there = dict(_sockets(self._directory))
            gone = [path for path, (socket, _) in self._known.items() if there.get(path) != socket]
            for path in gone:
                # One at the same path is registered at the next look only.
                self._clients.disconnect(self._known.pop(path)[1])
            self._register({path: socket for path, socket in there.items() if path not in gone})
            self._ended.wait(self._times.loop)

    def _register(self, there: Mapping[str, Socket]) -> None:
        for path, socket in there.items():
            at, wait = self._next.get(path, (0.0, 0.0))
            if path in self._known or time.monotonic() < at or self._ended.is_set():
                continue
            resource = self._ask(path)
            if resource is not None:
                self._known[path] = socket, resource
                self._next.pop(path, None)
            else:
                wait = min(2 * wait or self._times.backoff, self._times.longest_backoff)
                self._next[path] = time.monotonic() + wait, wait

    def _ask(self, path: str) -> str | None:
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
        return None if error else info.name

    def _registered(self, path: str, info: api.PluginInfo) -> str:
        """What is wrong with it; empty where it is registered."""
        told = "RegisterPlugin error -- "
        if info.type != TYPE:
            return f"{told}no handler registered for plugin type: {info.type} at socket {path}"
        if VERSION not in info.supported_versions:
            versions = " ".join(info.supported_versions)
            wrong = f"manager version, {VERSION}, is not among plugin supported versions [{versions}]"
            return f"{told}plugin validation failed with err: {wrong}"
        if not is_extended(info.name):
            wrong = f'invalid name of device plugin socket: the ResourceName "{info.name}" is invalid'
            return f"{told}plugin validation failed with err: {wrong}"
        try:
            self._clients.connect(info.name, info.endpoint or path)
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
