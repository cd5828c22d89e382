"""Keeps a plugin registered: after kubelet's restarts, and whenever kubelet cuts it off."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque

from domxml.errors import PassgateError
from hooksidecar import log
from hooksidecar.deviceplugin.handover import TICK, Handover, Step
from hooksidecar.deviceplugin.kubeletsocket import Identity, KubeletSocket, Refusal
from hooksidecar.deviceplugin.server import PluginServer
from hooksidecar.registration import Standing, State

OPENING = 2.0
"""Seconds within which kubelet opens ListAndWatch after it took a registration; it does so at once."""
FIRST, LONGEST = 0.05, 10.0
"""Seconds until it is tried again; each time twice as long."""
ABSENT = 1.0
"""Where no kubelet answers; a new one is told by its socket."""
AT_ONCE, CALM = 4, 30.0
"""So many losses within so many seconds are no quarrel yet."""


_OPENED, _ENDED = "kubelet watches the list", "kubelet ended ListAndWatch"


class Registrar:
    """Registers one plugin, in a thread of its own: kubelet may take ten seconds to refuse another one."""

    def __init__(self, kubelet: KubeletSocket, server: PluginServer) -> None:
        self._kubelet = kubelet
        self._server = server
        self._wake = threading.Event()
        self._closed = False
        self._foreign = ""
        self._events: deque[str] = deque()
        """What other threads say: that kubelet began to watch the list, or why what was registered is so no more."""
        self._connected = False
        """Kubelet watches the list."""
        self._tried: Identity | None = None
        """The socket of the kubelet that was registered with the last time."""
        self._pause = 0.0
        self._lost_at: deque[float] = deque(maxlen=AT_ONCE + 1)
        self._handover: Handover | None = None
        server.calls.lists.on_open, server.calls.lists.on_end = self.stream_opened, self.stream_ended
        self.outcomes: Counter[str] = Counter()
        self.standing = Standing(State.UNREGISTERED, "has not been registered yet", time.monotonic())

    def start(self) -> None:
        """Register, and again whenever it is needed."""
        threading.Thread(target=self._run, name="registrar", daemon=True).start()

    def close(self) -> None:
        """Register no more."""
        self._closed = True
        self._wake.set()

    def look_again(self) -> None:
        """Kubelet's socket is another one. From any thread."""
        self._wake.set()

    def stream_opened(self) -> None:
        """Kubelet watches the list, by whichever way it came to it."""
        self._say(_OPENED)

    def stream_ended(self) -> None:
        """Kubelet ends the registration of a name with any stream of that name, also of one that was replaced."""
        self._say(_ENDED)

    def register_again(self, why: str) -> None:
        """Kubelet does not show what was registered."""
        self._say(why)

    def yield_to(self, foreign: str) -> None:
        """Another plugin has the name: two that register in turn would end each other's pods. Empty: it has gone."""
        if foreign == self._foreign:
            return
        self._foreign = foreign
        self._say(foreign or "the other plugin of this name has gone")

    def _say(self, event: str) -> None:
        self._events.append(event)
        self._wake.set()

    def _run(self) -> None:
        while not self._closed:
            self._wake.clear()
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001  a defect here must not end what else the agent does
                log.defect(error)
                self._wake.wait(LONGEST)

    def _turn(self) -> None:
        while self._events:
            event = self._events.popleft()
            if event == _OPENED:
                self._connect()
            else:
                self._lose(event)
        if not self._is_due():
            self._rest()
        # What wakes it in a pause may be a reason not to register.
        elif not self._pause or not self._wake.wait(self._pause):
            self._register()

    def _is_due(self) -> bool:
        now = self._kubelet.identity
        if self._foreign:
            self._stand(State.FOREIGN, self._foreign)
            return False
        if now is None:
            if not self._connected:
                self._stand(State.UNREGISTERED, "kubelet has no socket to register at")
            return False
        if self._tried != now:
            # Another kubelet, or the same one after a restart: what was before is no reason to wait.
            self._connected, self._pause = False, 0.0
        return not self._connected

    def _connect(self) -> None:
        is_first = not self.outcomes["taken"]
        self._connected = True
        self._tried = self._kubelet.identity
        self.outcomes["taken"] += 1
        if not self._foreign:
            self._stand(State.REGISTERED)
        if is_first and (others := self._server.socket.others()):
            self._handover = Handover(others)

    def _lose(self, why: str) -> None:
        if not self._connected or self._closed:
            return
        self._connected = False
        if why == _ENDED:
            self.outcomes["ended"] += 1
        self._lost_at.append(time.monotonic())
        # The first times at once: a pod that arrives meanwhile fails for good.
        often = len(self._lost_at) > AT_ONCE and self._lost_at[-1] - self._lost_at[0] < CALM
        self._pause = self._longer() if often else 0.0
        self._stand(State.UNREGISTERED, why)

    def _longer(self) -> float:
        return min(max(FIRST, 2 * self._pause), LONGEST)

    def _rest(self) -> None:
        """Wait for a reason to look again; meanwhile take over from another agent, where there is one."""
        if self._handover is None:
            self._wake.wait()
        elif not self._wake.wait(TICK):
            step = self._handover.next(found_by_itself=self._server.was_found)
            if step is Step.FORGET:
                self._forget()
            elif step is Step.CLEAR:
                self._server.socket.clear_leftovers()
            elif step is Step.REGISTER:
                self._handover, self._connected, self._pause = None, False, 0.0

    def _register(self) -> None:
        self._tried = self._kubelet.await_listener()
        if refusal := self._refusal():
            if refusal.answered:
                # Kubelet has forgotten the plugin now, by whichever way it had come to it.
                self._events.clear()
                self._connected = False
            self.outcomes["refused"] += refusal.answered
            self._pause = self._longer() if refusal.answered else min(self._longer(), ABSENT)
            self._stand(State.UNREGISTERED, refusal.text, refused=refusal.answered)

    def _refusal(self) -> Refusal | None:
        opened = self._server.calls.lists.opened
        try:
            self._server.publish()
        except PassgateError as error:
            return Refusal(error.sentence(), answered=False)
        if self._closed:
            # It was ended while it made its socket, which nothing would take away.
            self._server.close()
            return None
        refusal = self._kubelet.register(self._server.calls.resource, self._server.endpoint)
        if refusal is None and not self._server.calls.lists.await_stream(opened, OPENING):
            return Refusal(f"kubelet took it, and asked for no list within {OPENING:g} seconds", answered=True)
        return refusal

    def _forget(self) -> None:
        try:
            with self._server.decoy() as endpoint:
                self._kubelet.register(self._server.calls.resource, endpoint)
        except PassgateError as error:
            log.warning("no second socket to take over with", reason=error.sentence())
        else:
            log.info("takes over", resource=self._server.calls.resource)

    def _stand(self, state: State, why: str = "", *, refused: bool = False) -> None:
        before, self.standing = self.standing, self.standing.become(state, why, refused=refused)
        if self.standing is not before:
            self.standing.tell(resource=self._server.calls.resource)
