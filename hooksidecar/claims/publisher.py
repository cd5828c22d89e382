"""Publishes what a node has as ResourceSlices, and again whenever they are not as published."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from domxml.errors import PassgateError
from domxml.finding import Finding
from hooksidecar import log
from hooksidecar.claims.apierrors import ApiRefused
from hooksidecar.claims.apiserver import ApiServer, Object
from hooksidecar.claims.liveslices import SLICES, LiveSlices
from hooksidecar.claims.turn import Turn
from hostdev.claims.devices import Inventory
from hostdev.claims.slices import Create, Delete, Owner, Step, plan_slices
from hostdev.findings.claims import SLICES_BEHIND

SETTLE = 0.05
"""Seconds: kubelet wipes slice by slice."""
FIRST, LONGEST = 0.25, 10.0
"""Seconds until it is tried again; each time twice as long, and not all nodes at once."""
WAITING = 0.5
"""Seconds between two looks whether the other process has ended."""
REPAIRS, CALM = 5, 60.0
"""So many repairs within so many seconds are no accident."""
PATIENCE = 30.0
"""Seconds behind that are no finding: an API server restarts."""
GRACE = 5.0


class Standing(NamedTuple):
    """How the slices stand to what the node has."""

    is_current: bool
    why: str = ""
    """Where they are not as they should be."""
    since: float = 0.0
    """Of time.monotonic: how long it has been so."""
    generation: int = 0
    slices: int = 0
    devices: int = 0


class Wanted(NamedTuple):
    """What is to be published."""

    inventory: Inventory
    plain: Callable[[], Inventory]
    """The same without counters, for an API server that has none."""


class Publisher:
    """Keeps the slices of a node as the newest inventory wants them, from `start` to `close`; they stay then."""

    def __init__(self, api: ApiServer, node: str, driver: str, lock: Path | None = None) -> None:
        self._api, self._node, self._driver = api, node, driver
        self._turn = Turn(lock) if lock else None
        self._wake = threading.Event()
        self._closed = False
        self._live = LiveSlices(api, node, driver, self._wake.set)
        self._owner: Owner | None = None
        self._wanted: Wanted | None = None
        self._published: object = None
        self._drops_counters = False
        self._pause, self._failed_at = FIRST, float("-inf")
        self._repaired_at: deque[float] = deque(maxlen=REPAIRS)
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self.errors = 0
        """How often the API server was not reached, or refused."""
        self.standing = Standing(is_current=False, why="nothing has been published yet", since=time.monotonic())

    def start(self) -> None:
        """Publish what there is to publish, from now on."""
        self._thread.start()

    def publish(self, inventory: Inventory, plain: Callable[[], Inventory] | None = None) -> None:
        """From any thread; only the newest counts."""
        self._wanted = Wanted(inventory, plain or (lambda: inventory))
        self._wake.set()

    def findings(self) -> Iterator[Finding]:
        """That the slices have not been as they should for a while."""
        standing = self.standing
        if not standing.is_current and time.monotonic() - standing.since > PATIENCE:
            yield SLICES_BEHIND.found(self._driver, standing.why)

    def close(self) -> None:
        """End; the slices stay, for the process that comes after this one."""
        self._closed = True
        self._wake.set()
        self._live.forget()
        if self._thread.is_alive():
            self._thread.join(GRACE)
        if self._turn:
            self._turn.give_up()

    def _run(self) -> None:
        while not self._closed:
            self._wake.clear()
            tried = self._wanted
            try:
                rest = self._look()
            except PassgateError as error:
                rest = self._fail(error)
            except Exception as error:  # noqa: BLE001  a defect here must not end what else the driver does
                log.defect(error)
                self._live.forget()
                rest = LONGEST
            self._rest(rest, tried)

    def _rest(self, seconds: float, tried: object) -> None:
        """Until something changes; or for a time, which only another inventory makes shorter."""
        if not seconds:
            self._wake.wait()
            time.sleep(SETTLE)
            return
        until = time.monotonic() + seconds
        while not self._closed and self._wanted is tried and (left := until - time.monotonic()) > 0:
            self._wake.wait(left)
            self._wake.clear()

    def _look(self) -> float:
        """Make the slices what they shall be; how long to rest then, 0 until something changes."""
        if self._turn and not self._turn.take():
            self._fall_behind(f"another process of the driver on this node publishes: it has locked {self._turn.path}")
            return WAITING
        wanted = self._wanted
        if wanted is None:
            self._fall_behind("it is not known yet what the node has")
            return 0
        owner = self._see()
        is_plain = self._drops_counters
        inventory = wanted.plain() if is_plain else wanted.inventory
        plan = plan_slices(inventory, self._live.objects(), owner, self._driver)
        if plan.steps and self._published is wanted and self._is_quarrel():
            self._fall_behind(f"something else changes the slices of this node: {REPAIRS} repairs in {CALM:g} seconds")
            return LONGEST
        if plan.steps and self.standing.is_current:
            self._fall_behind("a change is being published")
        for step in plan.steps:
            self._make(step)
            if self._drops_counters is not is_plain:
                return SETTLE
        self._published = wanted
        self._arrive(plan.generation)
        return 0

    def _see(self) -> Owner:
        """Know what is live, and whose it is: a node that was made anew has another uid, and its slices go away."""
        self._live.check()
        if not self._live.is_followed:
            self._live.refresh()
            self._owner = None
        if self._live.take_doubt() or self._owner is None:
            node = self._api.get(f"/api/v1/nodes/{quote(self._node, safe='')}")
            self._owner = Owner(self._node, node["metadata"]["uid"])
        return self._owner

    def _is_quarrel(self) -> bool:
        now = time.monotonic()
        if len(self._repaired_at) == REPAIRS and now - self._repaired_at[0] < CALM:
            self._repaired_at.clear()
            return True
        self._repaired_at.append(now)
        return False

    def _make(self, step: Step) -> None:
        if isinstance(step, Delete):
            self._delete(step)
            return
        content: Object = dict(step.object)
        if isinstance(step, Create):
            stored = self._api.create(SLICES, content)
        else:
            stored = self._api.update(_path(content["metadata"]["name"]), content)
        self._live.store(stored)
        if content["spec"].get("sharedCounters") and not _spec(stored).get("sharedCounters"):
            self._drops_counters = True
            log.warning("the API server keeps no shared counters: its feature gate DRAPartitionableDevices is off")

    def _delete(self, step: Delete) -> None:
        try:
            self._api.delete(_path(step.name), uid=step.uid, version=step.version)
        except ApiRefused as refusal:
            if refusal.status != 404:
                raise
        self._live.remove(step.uid)

    def _fail(self, error: PassgateError) -> float:
        """What is live is not what was thought, or is not known: it is listed again."""
        self.errors += 1
        self._live.forget()
        self._fall_behind(str(error))
        now = time.monotonic()
        # What fails again soon after it went well has not been mended by that.
        is_lasting = now - self._failed_at < 2 * LONGEST
        self._pause = min(2 * self._pause, LONGEST) if is_lasting else FIRST
        self._failed_at = now
        asked = error.retry_after if isinstance(error, ApiRefused) and error.retry_after else 0.0
        return max(asked, self._pause * random.uniform(0.5, 1))  # noqa: S311  no secret

    def _fall_behind(self, why: str) -> None:
        standing = self.standing
        if standing.is_current or standing.why != why:
            since = time.monotonic() if standing.is_current else standing.since
            self.standing = standing._replace(is_current=False, why=why, since=since)
            log.info("slices are behind", driver=self._driver, why=why)

    def _arrive(self, generation: int) -> None:
        live = self._live.objects()
        devices = sum(len(_spec(one).get("devices") or ()) for one in live)
        standing = Standing(True, "", self.standing.since, generation, len(live), devices)
        if standing != self.standing:
            self.standing = standing._replace(since=time.monotonic())
            log.info("published", driver=self._driver, generation=generation, slices=len(live), devices=devices)


def _spec(one: Object) -> Object:
    spec = one.get("spec")
    return spec if isinstance(spec, dict) else {}


def _path(name: str) -> str:
    return f"{SLICES}/{quote(name, safe='')}"
