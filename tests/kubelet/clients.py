"""The plugins that kubelet is connected to, by the name of their resource and nothing else."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import Protocol

from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as api
from tests.kubelet.surprises import Surprise
from tests.kubelet.times import Times
from tests.kubelet.wire import Failed, Peer, Wire
from tests.patience import SOON

VERSION = "v1beta1"
_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_PREFIX = "requests."
_LONGEST_DOMAIN, _LONGEST_NAME = 253, 63


def is_extended(resource: str) -> bool:
    """Whether it may be the name of an extended resource."""
    domain, slash, name = resource.partition("/")
    if not slash or "kubernetes.io/" in resource or resource.startswith(_PREFIX):
        return False
    # The quota of a resource is `requests.` and its name, which must be a name, too.
    fits = len(_PREFIX + domain) <= _LONGEST_DOMAIN and len(name) <= _LONGEST_NAME
    return fits and bool(_DOMAIN.fullmatch(domain) and _NAME.fullmatch(name))


class Devices(Protocol):
    """What the device manager takes from its plugins."""

    def connected(self, client: Client) -> None: ...
    def listed(self, resource: str, devices: Sequence[api.Device]) -> None: ...
    def disconnected(self, resource: str) -> None: ...


class Refused(Exception):
    """A registration failed."""


class Client:
    """A connection to the plugin of a resource."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.resource = peer.resource
        self.options = api.DevicePluginOptions()


class Clients:
    """Who is registered now."""

    def __init__(self, wire: Wire, devices: Devices, times: Times, surprises: frozenset[Surprise]) -> None:
        self._wire, self._devices, self._times, self._surprises = wire, devices, times, surprises
        self._current: dict[str, Client] = {}
        self._lock = threading.RLock()
        self.watching = 0
        """How many streams there are whose end has not been dealt with."""
        self._threads: list[threading.Thread] = []
        self._peers: list[Peer] = []

    def connect(
        self,
        resource: str,
        socket: str,
        *,
        deadline: float | None = None,
        options: api.DevicePluginOptions | None = None,
    ) -> None:
        """Register: dial, ask for the options, watch; raises Refused."""
        client = Client(Peer(self._wire, socket, resource))
        with self._lock:
            before = self._current.get(resource)
            self._current[resource] = client
            self._peers.append(client.peer)
        try:
            self._greet(client, deadline, options)
        except Refused:
            # The plugin that had the name is forgotten with the new one, and goes on as if nothing were.
            self._forget(resource, before)
            client.peer.close()
            raise
        with self._lock:
            self.watching += 1
        thread = threading.Thread(target=self._run, args=(client,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _greet(self, client: Client, deadline: float | None, given: api.DevicePluginOptions | None) -> None:
        if not client.peer.dial(self._times.dial):
            raise Refused("failed to dial device plugin: context deadline exceeded")
        if given is not None and Surprise.REGISTER_OPTIONS_IGNORED not in self._surprises:
            client.options = given
        else:
            try:
                client.options = client.peer.call(
                    "GetDevicePluginOptions", api.Empty(), api.DevicePluginOptions, deadline
                )
            except Failed as error:
                raise Refused(f"failed to get device plugin options: {error}") from None
        self._devices.connected(client)

    def _forget(self, resource: str, before: Client | None) -> None:
        with self._lock:
            self._current.pop(resource, None)
            if before and Surprise.FAILED_REGISTER_BLINDS not in self._surprises:
                self._current[resource] = before

    def _run(self, client: Client) -> None:
        for message in client.peer.stream("ListAndWatch", api.Empty(), api.ListAndWatchResponse):
            self._devices.listed(client.resource, message.devices)
        with self._lock:
            current = self._current.get(client.resource)
        mine = current is client or Surprise.STREAM_END_CUTS_THE_CURRENT in self._surprises
        if current and mine:
            self.disconnect(client.resource)
        with self._lock:
            self.watching -= 1
        self._wire.ring()

    def disconnect(self, resource: str) -> None:
        """Of this name, whoever has it now."""
        with self._lock:
            client = self._current.pop(resource, None)
        if client:
            # gRPC for Python takes its time to close; kubelet's does not.
            self._devices.disconnected(resource)
            client.peer.close()

    def close(self) -> None:
        """Kubelet ends: every stream does."""
        with self._lock:
            self._current.clear()
        for peer in self._peers:
            peer.close()
        for thread in self._threads:
            thread.join(SOON)
