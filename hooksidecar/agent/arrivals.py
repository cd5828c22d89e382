"""Whether the devices that kubelet gave to VMs arrive in their guests: looked at aside, at growing intervals."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from domxml.errors import PassgateError
from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice
from hooksidecar import log
from hooksidecar.agent.volumes import CONTAINER
from hooksidecar.monitoring.metrics import ARRIVAL
from hostdev.holders.grants import devices_of_grant
from hostdev.holders.processes import enabled_claims
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine
from hostdev.inventory.recorded.layout import open_host
from hostdev.kubelet.checkpoint import Grant
from hostdev.vitals.look import Around, look_around, read_uptime, signs_of
from hostdev.vitals.repeat import confirm, next_pause, with_rises
from hostdev.vitals.signs import Held, Verdict, Vital
from hostdev.vitals.verdict import judge

CONFIRM = 1.0
"""Seconds until trouble is looked at a second time."""
WAITING, SETTLED = 30.0, 60.0
"""Seconds between two looks at most at a device that is not open yet, and at one of which the verdict is made."""
LATEST = 3600.0
"""Seconds until a look at the latest, whatever happens."""
_OPEN = frozenset({Verdict.ARRIVED, Verdict.NO_SIGN, Verdict.NOT_YET, Verdict.TROUBLE})


class Arrived(NamedTuple):
    """How long arrivals took since the agent began: how many by the limits of the histogram, and all together."""

    buckets: Mapping[float, int] = MappingProxyType({})
    total: float = 0.0


class Seen(NamedTuple):
    """What the last looks saw."""

    findings: tuple[Finding, ...] = ()
    states: Mapping[str, int] = MappingProxyType({})
    arrived: Arrived = Arrived()


@dataclass(slots=True)
class _Track:
    """A device of a pod, from its start to the verdict."""

    pods: frozenset[str]
    due: float = 0.0
    pause: float = 0.0
    idle_at: float | None = None
    """When it was last seen not to be open."""
    opened: float | None = None
    exact: bool = False
    """Whether it was seen to be opened, and not found open."""
    told: Vital | None = None
    last: Vital | None = None
    counted: bool = False


class Arrivals:
    """Keeps the verdicts, and looks in a thread of its own. No VM waits for it, and none fails by it."""

    def __init__(self, host: str, machine: Callable[[], Machine | None]) -> None:
        self._host = host
        self._machine = machine
        self._grants: tuple[Grant, ...] = ()
        self._started: list[frozenset[str]] = []
        self._tracks: dict[HostDevice, _Track] = {}
        self._arrived = Arrived()
        self._asked = threading.Event()
        self._without = ""
        self.seen = Seen()

    def granted(self, grants: Sequence[Grant]) -> None:
        """Take over what kubelet gave away."""
        if grants is not self._grants:
            self._grants = tuple(grants)
            self._asked.set()

    def started(self, pods: frozenset[str]) -> None:
        """A VM of one of these pods has started, or has come by migration: what was seen of its devices is past."""
        self._started.append(pods)
        self._asked.set()

    def start(self, looked: Callable[[], None]) -> None:
        """Look whenever there is something to look at, and say so."""

        def run() -> None:
            while True:
                self._asked.clear()
                before = self.seen
                pause = self.turn()
                if self.seen != before:
                    looked()
                # However often it is asked for: a burst of pods is one look.
                time.sleep(CONFIRM / 2)
                self._asked.wait(pause)

        threading.Thread(target=run, name="arrivals", daemon=True).start()

    def turn(self) -> float:
        """Look at what is due; seconds until something is."""
        try:
            return self._turn()
        except PassgateError as error:
            log.warning("no vitals", reason=error.sentence())
        except Exception as error:  # noqa: BLE001  a defect here must not end what else the agent does
            log.defect(error)
        return WAITING

    def _turn(self) -> float:
        machine = self._machine()
        if machine is None:
            return CONFIRM
        with open_host(self._host) as host:
            now = read_uptime(host)
            self._follow(machine, now)
            due = [device for device, track in self._tracks.items() if track.due <= now]
            if due:
                self._look(host, machine, due)
        self._tell()
        return max(0.0, min((track.due for track in self._tracks.values()), default=now + LATEST) - now)

    def _follow(self, machine: Machine, now: float) -> None:
        """Begin with devices that were given away since, and anew with those of VMs that started."""
        pods = _pods_of_devices(self._grants, machine)
        for device in self._tracks.keys() - pods.keys():
            del self._tracks[device]
        for device, holders in pods.items():
            track = self._tracks.get(device)
            if track is None or track.pods != holders:
                self._tracks[device] = _Track(holders)
        begun, self._started = self._started, []
        for device, track in self._tracks.items():
            if any(track.pods & pods_of_vm for pods_of_vm in begun):
                idle = track.idle_at if track.opened is None else None
                self._tracks[device] = _Track(track.pods, opened=now if idle is None else idle, exact=True)

    def _look(self, host: Host, machine: Machine, due: Iterable[HostDevice]) -> None:
        around: Around | None = None
        for device in due:
            track = self._tracks[device]
            held = _held(host, machine, device)
            if held.complete and not held.claims:
                _note_idle(track, read_uptime(host))
                continue
            around = around or look_around(host, table=False)
            self._judge(host, machine, device, around, held)
        if around is not None:
            self._say_without(around)

    def _judge(self, host: Host, machine: Machine, device: HostDevice, around: Around, held: Held) -> None:
        track = self._tracks[device]
        if track.opened is None:
            track.opened, track.exact = (around.now, False) if track.idle_at is None else (track.idle_at, True)
            track.pause = 0.0
        signs = signs_of(host, machine, device, around, held._replace(since=track.opened))
        (signs,) = with_rises([signs], [track.last.signs] if track.last else [])
        vital = judge(signs)
        (confirmed,) = confirm([track.last] if track.last else [], [vital])
        doubtful = vital.verdict is Verdict.TROUBLE and confirmed.verdict is not Verdict.TROUBLE
        track.last = vital
        if doubtful:
            track.due = around.now + CONFIRM
            return
        self._settle(track, confirmed, around.now)

    def _settle(self, track: _Track, vital: Vital, now: float) -> None:
        if vital.verdict is Verdict.ARRIVED and track.exact and not track.counted and track.opened is not None:
            track.counted = True
            self._count(max(0.0, now - track.opened))
        if track.told is None or track.told.verdict is not vital.verdict:
            _log(vital, track)
        track.told = vital
        track.pause = next_pause(track.pause) if vital.verdict is Verdict.NOT_YET else SETTLED
        track.due = now + track.pause

    def _count(self, seconds: float) -> None:
        limit, before = ARRIVAL.bucket(seconds), self._arrived
        self._arrived = Arrived(Counter(before.buckets) + Counter([limit]), before.total + seconds)

    def _tell(self) -> None:
        states = Counter(_state(track) for track in self._tracks.values())
        told = [track.told for track in self._tracks.values() if track.told]
        findings = (finding for vital in told for finding in vital.findings)
        self.seen = Seen(tuple(sorted(set(findings))), dict(states), self._arrived)

    def _say_without(self, around: Around) -> None:
        """Say once what a verdict has to do without."""
        if around.log.why != self._without:
            self._without = around.log.why
            log.info(
                "vitals go without" if around.log.why else "vitals have", source="kernel log", reason=self._without
            )


def _pods_of_devices(grants: Iterable[Grant], machine: Machine) -> dict[HostDevice, frozenset[str]]:
    found: dict[HostDevice, set[str]] = {}
    for grant in grants:
        if grant.is_for(CONTAINER):
            for joined in devices_of_grant(grant, machine):
                if joined.exact:
                    found.setdefault(joined.device, set()).add(grant.pod_uid)
    return {device: frozenset(pods) for device, pods in found.items()}


def _held(host: Host, machine: Machine, device: HostDevice) -> Held:
    """Whether it is open: the kernel enables it for as long, and no process needs to be seen for that."""
    function = machine.functions.get(device) if isinstance(device, PciAddress) else None
    if function is None:
        return Held(complete=isinstance(device, PciAddress))
    return Held(enabled_claims(host, function))


def _note_idle(track: _Track, now: float) -> None:
    """Not open: it waits for its VM, or its VM has ended."""
    if track.opened is not None:
        track.opened, track.exact, track.counted, track.last, track.pause = None, False, False, None, 0.0
    track.told, track.idle_at = None, now
    track.pause = min(next_pause(track.pause), WAITING)
    track.due = now + track.pause


def _state(track: _Track) -> str:
    if track.told is None:
        return _word(Verdict.NOT_HELD if track.opened is None else Verdict.NOT_YET)
    return _word(track.told.verdict)


def _word(verdict: Verdict) -> str:
    return verdict.value.replace(" ", "-")


def _log(vital: Vital, track: _Track) -> None:
    say = log.info if vital.verdict in _OPEN else log.debug
    say("vitals", device=str(vital.signs.device), verdict=vital.verdict.value, why=vital.why, pods=sorted(track.pods))
