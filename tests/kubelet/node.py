"""The Node object: what kubelet reports of it on its beat, and what the scheduler concludes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from tests.kubelet.manager import Count
from tests.kubelet.pods import NO_ROOM, Event, Pod


class Node:
    """A key is never removed; so it is as old as the last report, and outlives kubelet."""

    def __init__(self) -> None:
        self.capacity: dict[str, int] = {}
        self.allocatable: dict[str, int] = {}
        self._lock = threading.Lock()

    def report(self, counts: Mapping[str, Count]) -> None:
        """What kubelet knows now; of what it no longer knows the old number stays."""
        with self._lock:
            for resource, count in counts.items():
                self.capacity[resource], self.allocatable[resource] = count

    def free(self, resource: str, pods: Iterable[Pod]) -> int:
        """By number, not by device: pods that hold a device that is gone count, too."""
        return self.allocatable.get(resource, 0) - sum(pod.requests(resource) for pod in pods if not pod.ended)

    def schedule(self, pod: Pod, others: Iterable[Pod]) -> bool:
        """Bind a pod if there is room."""
        bound = [one for one in others if one.bound and one is not pod]
        for resource in pod.resources():
            if self.free(resource, bound) < pod.requests(resource):
                pod.events.append(Event("Warning", "FailedScheduling", NO_ROOM.format(resource)))
                return False
        pod.bound = True
        pod.events.append(Event("Normal", "Scheduled", f"Successfully assigned {pod.namespace}/{pod.name} to node"))
        return True
