"""The drivers that kubelet is connected to: the endpoints of each, watched for their connections and for health."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import grpc

from hostdev.kubelet.stubs import dra_health_v1alpha1_pb2 as api
from tests.kubelet.clients import Refused
from tests.kubelet.cluster import Cluster
from tests.kubelet.devicehealth import HealthCache
from tests.kubelet.surprises import Surprise
from tests.kubelet.times import Times
from tests.kubelet.wire import Peer, Wire

VERSIONS = ("v1.DRAPlugin", "v1beta1.DRAPlugin")
"""Those that kubelet speaks; the double only the first."""


class Endpoint:
    """One process of a driver."""

    def __init__(self, wire: Wire, driver: str, socket: str, changed: Callable[[], None]) -> None:
        self.peer = Peer(wire, socket, driver)
        self.connected = False
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self._changed = changed
        self.peer.channel.subscribe(self._note, try_to_connect=True)

    def _note(self, state: grpc.ChannelConnectivity) -> None:
        connected = state is grpc.ChannelConnectivity.READY
        if state is grpc.ChannelConnectivity.IDLE and self.connected:
            # Else it would try again only at the next call.
            threading.Thread(target=self._connect, daemon=True).start()
        if connected != self.connected:
            self.connected = connected
            self._changed()

    def _connect(self) -> None:
        with self._lock:
            if not self.ended.is_set():
                self.peer.channel.unsubscribe(self._note)
                self.peer.channel.subscribe(self._note, try_to_connect=True)

    def close(self) -> None:
        """No more of it."""
        with self._lock:
            self.ended.set()
            self.peer.channel.unsubscribe(self._note)
        self.peer.end_streams()
        threading.Thread(target=self._close_channel, daemon=True).start()

    def _close_channel(self) -> None:
        """When gRPC's thread that looks after the connection has ended: it would stumble over one that is closed."""
        while self.peer.channel._connectivity_state.polling:  # type: ignore[attr-defined]
            time.sleep(0.005)
        self.peer.close()


class Drivers:
    """Who is registered now."""

    def __init__(
        self, wire: Wire, cluster: Cluster, health: HealthCache, times: Times, surprises: frozenset[Surprise]
    ) -> None:
        self._wire, self._cluster, self._health, self._times = wire, cluster, health, times
        self._wipes = Surprise.SLICES_ARE_WIPED in surprises
        self.changed: Callable[[str, set[tuple[str, str]]], object] = lambda *_: None
        """Told of the driver, and of devices whose health is another than before."""
        self._lock = threading.RLock()
        self._endpoints: dict[str, list[Endpoint]] = {}
        self._wiping: dict[str, threading.Timer] = {}
        self._threads: list[threading.Thread] = []
        self._closed = False

    def start(self) -> None:
        """No driver has registered yet: none of the node's slices is usable."""
        if self._wipes:
            self._cluster.wipe_slices()

    def register(self, driver: str, socket: str, versions: Sequence[str]) -> None:
        """Connect to one; raises Refused."""
        self.validate(driver, socket, versions)
        with self._lock:
            known = self._endpoints.setdefault(driver, [])
            if any(one.peer.socket == socket for one in known):
                raise Refused(f"endpoint {socket} already registered for DRA driver plugin {driver}")
            endpoint = Endpoint(self._wire, driver, socket, lambda: self._look(driver))
            known.append(endpoint)
            thread = threading.Thread(target=self._watch, args=(driver, endpoint), daemon=True)
            self._threads.append(thread)
        self._look(driver)
        thread.start()

    def validate(self, driver: str, socket: str, versions: Sequence[str]) -> None:
        """Raises Refused where kubelet speaks none of its versions."""
        if not set(versions) & {*VERSIONS}:
            theirs, ours = (" ".join(f'"{one}"' for one in some) for some in (versions, VERSIONS))
            wrong = f"none of services supported by the plugin ([{theirs}]) are supported by the kubelet ([{ours}])"
            if not versions:
                wrong = "empty list of supported gRPC services (aka supported versions)"
            where = f"of DRA driver plugin {driver} at endpoint {socket}"
            raise Refused(f"invalid supported gRPC versions {where}: {wrong}")

    def deregister(self, driver: str, socket: str) -> None:
        """Its socket in plugins_registry is gone."""
        with self._lock:
            known = self._endpoints.get(driver, [])
            gone = [one for one in known if one.peer.socket == socket]
            self._endpoints[driver] = [one for one in known if one not in gone]
        for endpoint in gone:
            endpoint.close()
        self._look(driver)

    def find(self, driver: str) -> Peer | None:
        """The latest of its endpoints that is connected; where none is, the latest."""
        with self._lock:
            known = self._endpoints.get(driver, [])
            connected = [one for one in known if one.connected]
            return (connected or known)[-1].peer if known else None

    def is_connected(self, driver: str) -> bool:
        """Whether it can be asked."""
        with self._lock:
            return any(one.connected for one in self._endpoints.get(driver, []))

    def close(self) -> None:
        """Kubelet ends: what it was told of health stays in its file."""
        with self._lock:
            self._closed = True
            endpoints = [one for known in self._endpoints.values() for one in known]
            for timer in self._wiping.values():
                timer.cancel()
        for endpoint in endpoints:
            endpoint.close()
        for thread in self._threads:
            thread.join(5)

    def _look(self, driver: str) -> None:
        """Its slices go when it cannot be reached for a while."""
        with self._lock:
            if self._closed or not self._wipes:
                pass
            elif self.is_connected(driver):
                if timer := self._wiping.pop(driver, None):
                    timer.cancel()
            elif driver not in self._wiping:
                timer = self._wiping[driver] = threading.Timer(self._times.wipe, self._wipe, [driver])
                timer.daemon = True
                timer.start()
        self._wire.ring()

    def _wipe(self, driver: str) -> None:
        with self._lock:
            if self._wiping.pop(driver, None) is None:
                return
        self._cluster.wipe_slices(driver)
        self._wire.ring()

    def _watch(self, driver: str, endpoint: Endpoint) -> None:
        while not endpoint.ended.is_set():
            stream = endpoint.peer.stream(
                "NodeWatchResources", api.NodeWatchResourcesRequest(), api.NodeWatchResourcesResponse
            )
            for message in stream:
                self.changed(driver, self._health.update(driver, message.devices))
                self._wire.ring()
            if not self._closed:
                # Also what another process of this driver said.
                self._health.clear(driver)
            endpoint.ended.wait(self._times.health_retry)
