"""Reasons to look again: what inotify tells of kubelet's directory, and the clock."""

from __future__ import annotations

import os
import select
from contextlib import suppress
from typing import NamedTuple

from hooksidecar import log
from hooksidecar.inotify import (
    CLOSE_WRITE,
    CREATE,
    DELETE,
    DELETE_SELF,
    IGNORED,
    MOVE_SELF,
    MOVED_TO,
    ONESHOT,
    ONLYDIR,
    OVERFLOW,
    Event,
    Inotify,
)
from hooksidecar.nodewatch.mounts import Mounts
from hostdev.kubelet.checkpoint import FILE
from hostdev.kubelet.claimrecords import records_directory
from hostdev.kubelet.directory import PLUGINS, PODS
from hostdev.kubelet.podresources import SOCKET
from hostdev.kubelet.resourcename import DRIVER

CHECKPOINTS, _, CHECKPOINT = FILE.rpartition("/")
PODRESOURCES = SOCKET.rpartition("/")[0]
POLL = 1.0
"""Seconds between two looks without inotify."""
SURE = 10.0
"""Seconds between two looks with it: an event is a favour, a look is certain."""

_PLACES = ("", CHECKPOINTS, PODS)
"""Kubelet's directory itself tells when the others are made anew."""
CLAIMS = records_directory("", DRIVER)
"""There only where the driver of resource claims is."""
_MOUNTED = (CHECKPOINTS, PODRESOURCES, PODS, PLUGINS)
_CHANGED = CREATE | MOVED_TO | CLOSE_WRITE | DELETE_SELF | MOVE_SELF
_RECORDS = _CHANGED | DELETE
_GONE = DELETE_SELF | MOVE_SELF | IGNORED


class Woken(NamedTuple):
    """Reasons to look: at the checkpoint and what was prepared of claims, at pods, at all of them."""

    checkpoint: bool = False
    pods: frozenset[str] = frozenset()
    everything: bool = False


class Watch:
    """Kubelet's directory, the two in it that matter, and the pods' directories."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._mounts = Mounts(os.path.join(directory, place) for place in _MOUNTED)  # noqa: PTH118
        self._woken_by, self.waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._places: dict[int, str] = {}
        self._of_pods: dict[int, str] = {}
        self._poll = select.poll()
        self._poll.register(self._woken_by, select.POLLIN)
        self._inotify: Inotify | None = None
        try:
            self._inotify = Inotify()
            self._poll.register(self._inotify.fd, select.POLLIN)
        except OSError as error:
            log.warning("no inotify: looking every second instead", reason=error.strerror)

    @property
    def patience(self) -> float:
        """Seconds after which to look at the checkpoint although nothing was told."""
        return POLL if self._inotify is None or self._missing() else SURE

    def check_mounts(self) -> None:
        """Refuse to go on where the directories are mounts of some that kubelet does not look into any more."""
        self._mounts.check()

    def wake(self) -> None:
        """End a wait, now or to come; from any thread."""
        with suppress(BlockingIOError):
            os.write(self.waker, b"!")

    def wait(self, seconds: float) -> Woken:
        """Return when something happened, or the time is over."""
        if self._establish():
            return Woken(checkpoint=True, everything=True)
        self._poll.poll(max(0.0, seconds) * 1000)
        with suppress(BlockingIOError):
            os.read(self._woken_by, 4096)
        return self._happened(list(self._inotify.events()) if self._inotify else [])

    def arm(self, fd: int, uid: str) -> bool:
        """Tell once of the next thing that comes into a pod's directory: no pod can flood the agent with events.

        Not of what goes: a volume that kubelet takes away must not be filled again meanwhile.
        """
        if self._inotify is None:
            return False
        mask = CREATE | MOVED_TO | MOVE_SELF | ONLYDIR | ONESHOT
        try:
            self._of_pods[self._inotify.watch(f"/proc/self/fd/{fd}", mask)] = uid
        except OSError as error:
            log.debug("a pod's directory cannot be watched", pod=uid, reason=error.strerror)
            return False
        return True

    def _missing(self) -> bool:
        return not set(_PLACES) <= set(self._places.values())

    def _establish(self) -> bool:
        """Watch what is not watched yet, or not any more; whether something was to do, and was done."""
        if self._inotify is None:
            return False
        done = False
        for place in {*_PLACES, CLAIMS} - set(self._places.values()):
            changes = _RECORDS if place == CLAIMS else _CHANGED
            with suppress(OSError):
                watch = self._inotify.watch(os.path.join(self._directory, place), changes | ONLYDIR)  # noqa: PTH118
                self._places[watch] = place
                done = True
        return done

    def _happened(self, events: list[Event]) -> Woken:
        checkpoint = everything = False
        pods = set()
        for event in events:
            if event.mask & OVERFLOW:
                checkpoint = everything = True
            elif event.watch in self._of_pods:
                pods.add(self._of_pods[event.watch])
                if event.mask & IGNORED:
                    del self._of_pods[event.watch]
            elif event.watch in self._places and event.mask & _GONE:
                checkpoint = True
                # With kubelet's own directory the others are elsewhere, too.
                if not self._places.pop(event.watch):
                    self._places.clear()
            elif self._places.get(event.watch) == PODS:
                pods.add(event.name)
            elif self._places.get(event.watch) == CHECKPOINTS:
                checkpoint = checkpoint or event.name == CHECKPOINT
            elif self._places.get(event.watch) == CLAIMS:
                checkpoint = True
        return Woken(checkpoint, frozenset(pods), everything)
