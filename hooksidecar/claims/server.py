"""A driver's two sockets: the one that kubelet finds, and the one at which it asks for claims; and what keeps them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator

from domxml.errors import PassgateError
from domxml.finding import Finding
from domxml.text import printable
from hooksidecar import log
from hooksidecar.broadcast import STREAMS, take_fitting
from hooksidecar.claims.calls import KIND, VERSION, Calls, shorten
from hooksidecar.claims.source import Claims, DeviceHealth, Health
from hooksidecar.pluginsocket import PluginSocket, socket_prefix
from hooksidecar.registration import Announcement, Standing, State
from hooksidecar.unixsocket import directory_error
from hostdev.findings.offer import CLAIMS_UNREGISTERED
from hostdev.kubelet.directory import DRA_SOCKET, PLUGINS, dra_directory
from hostdev.kubelet.stubs import dra_health_v1alpha1_pb2 as wire

EVERY = 15.0
"""Seconds between two messages of health where nothing changes."""
EXPIRY = 60
"""Seconds after which kubelet takes what was told of a device for unknown: by itself after 30, and then two messages
that a busy node delays would do it. Nothing pushes that to pods: it shows at whatever makes kubelet look again."""
LOOK = 1.0
"""Seconds between two looks at the sockets: kubelet looks as often."""
SETTLING = 5.0
"""Seconds within which kubelet has noticed the end of another process of this driver."""
ENDING = 10.0
"""Seconds for the calls that are being answered when the process ends."""
CALLS = STREAMS + 32
WHY_LIMIT = 400
_STATES = {True: wire.HEALTHY, False: wire.UNHEALTHY, None: wire.UNKNOWN}
_HINT = "mount kubelet's directories plugins_registry and plugins, writable, at the same paths"


class DraServer:
    """Serves one driver.

    The endpoint is another one for each process. Kubelet refuses one that is registered already, so that a process
    that takes over could not register beside the one before it; of several it uses the latest that is connected, and
    as long as one is, it leaves the driver's ResourceSlices alone.
    """

    def __init__(self, kubelet_dir: str, driver: str, claims: Claims, health: Health) -> None:
        self._driver, self._health = driver, health
        self.calls = Calls(driver, claims)
        self._directory = dra_directory(kubelet_dir, driver)
        registry = os.path.join(kubelet_dir, PLUGINS)  # noqa: PTH118
        self._endpoint = PluginSocket(self._directory, DRA_SOCKET, _HINT)
        self._found = PluginSocket(registry, socket_prefix(driver), _HINT)
        self._announcement: Announcement | None = None
        self._others: tuple[str, ...] = ()
        self._until_settled = self._sent = 0.0
        self._sockets = threading.Lock()
        self._changed = threading.Event()
        self._closed = False
        self.standing = Standing(State.UNREGISTERED, "kubelet has not found it yet", time.monotonic())
        self.calls.health.on_open = self.calls.health.on_end = self._look_at_streams

    def start(self) -> None:
        """Serve; raises PassgateError where there can be no socket."""
        self._send_health()
        self._publish()
        threading.Thread(target=self._keep, name="dra-sockets", daemon=True).start()

    def close(self) -> None:
        """Take the sockets away, when what is being answered has its answer."""
        with self._sockets:
            # A socket that was made after this would be taken away by nothing.
            self._closed = True
        self._changed.set()
        self._endpoint.remove()
        self.calls.health.close()
        self._endpoint.close(ENDING)
        # Last: kubelet closes its connection when it is gone, and with that the calls that wait.
        self._found.close()

    def health_changed(self) -> None:
        """Tell kubelet at once. From any thread."""
        self._changed.set()

    def findings(self) -> Iterator[Finding]:
        """What is wrong with the registration."""
        standing = self.standing
        if standing.is_amiss:
            yield CLAIMS_UNREGISTERED.found(self._driver, standing.why)

    def _publish(self) -> None:
        """Make the sockets that are not there; kubelet finds the one only when the other answers."""
        if not self._endpoint.is_there():
            _make_directory(self._directory)
            self._endpoint.publish(self.calls.services(), CALLS)
            # What kubelet was told of is no longer there.
            self._found.remove()
        if not self._found.is_there():
            announcement = Announcement(KIND, self._driver, [VERSION], self._endpoint.path)
            announcement.on_answer = self._note_answer
            self._announcement = announcement
            self._found.publish([announcement.service()], 4)

    def _note_answer(self) -> None:
        if self._announcement and (refusal := self._announcement.refusal):
            self._stand(
                State.UNREGISTERED, f"kubelet found it, and says: {printable(refusal, WHY_LIMIT)}", refused=True
            )
        else:
            self._stand(State.REGISTERED)

    def _look_at_streams(self) -> None:
        """A kubelet that watches health has registered the driver; one that tells of no health watches none."""
        if self.calls.health.open:
            self._stand(State.REGISTERED)
        elif not self._closed:
            self._stand(State.UNREGISTERED, "kubelet has ended its connection")

    def _stand(self, state: State, why: str = "", *, refused: bool = False) -> None:
        before, self.standing = self.standing, self.standing.become(state, why, refused=refused)
        if self.standing is not before:
            self.standing.tell(driver=self._driver)

    def _keep(self) -> None:
        while not self._closed:
            has_changed = self._changed.wait(LOOK)
            self._changed.clear()
            try:
                self._turn(has_changed=has_changed)
            except PassgateError as error:
                self._stand(State.UNREGISTERED, error.sentence())
            except Exception as error:  # noqa: BLE001  a defect here must not end what keeps the driver known
                log.defect(error)

    def _turn(self, *, has_changed: bool) -> None:
        now = time.monotonic()
        self._look_at_others(now)
        if has_changed or now < self._until_settled or now - self._sent >= EVERY:
            self._send_health()
        with self._sockets:
            if not self._closed:
                self._publish()

    def _look_at_others(self, now: float) -> None:
        """Kubelet forgets what is told of a driver's devices when the health stream of any of its processes ends."""
        others = (*self._found.others(), *self._endpoint.others())
        if others != self._others:
            self._until_settled = now + SETTLING
            self._found.clear_leftovers()
            self._endpoint.clear_leftovers()
        self._others = others

    def _send_health(self) -> None:
        self._sent = time.monotonic()
        self.calls.health.send(health_message(self._health.devices(), time.time()), again=True)


def _make_directory(path: str) -> None:
    try:
        os.makedirs(path, mode=0o750, exist_ok=True)  # noqa: PTH103
    except OSError as error:
        raise directory_error(path, error, _HINT) from None


def health_message(devices: Iterable[DeviceHealth], now: float) -> bytes:
    """Encode it, as far as gRPC takes it: those that are well come last."""
    entries = (
        wire.DeviceHealth(
            device=wire.DeviceIdentifier(pool_name=device.pool, device_name=device.device),
            health=_STATES[device.healthy],
            last_updated_time=int(now),
            health_check_timeout_seconds=EXPIRY,
            message=shorten(device.message),
        )
        for device in sorted(devices, key=lambda one: one.healthy is True)
    )
    return wire.NodeWatchResourcesResponse(devices=take_fitting(entries)).SerializeToString()
