"""Pods as the API server shows them: what was asked, and what kubelet says of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

VIRT = "compute"
"""The container in which virt-launcher runs."""
PENDING, RUNNING, FAILED, SUCCEEDED = "Pending", "Running", "Failed", "Succeeded"
REFUSED = "UnexpectedAdmissionError"
MISALIGNED = "TopologyAffinityError"
NO_ROOM = "0/1 nodes are available: 1 Insufficient {}. no new claims to deallocate, preemption: "
NO_ROOM += "0/1 nodes are available: 1 No preemption victims found for incoming pod."


class State(NamedTuple):
    """Of a container: waiting, running, or terminated."""

    name: str = "waiting"
    reason: str = ""
    message: str = ""


WAITING = State()


class Event(NamedTuple):
    """What `kubectl describe` shows below."""

    kind: str
    reason: str
    message: str


class Node(NamedTuple):
    """A device node in a container."""

    container_path: str
    host_path: str
    permissions: str


@dataclass
class Container:
    """One container, with its devices once it has been started."""

    name: str = VIRT
    limits: Mapping[str, int] = field(default_factory=dict)
    init: bool = False
    sidecar: bool = False
    """An init container that goes on running."""
    state: State = WAITING
    environment: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[Node, ...] = ()
    status: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """allocatedResourcesStatus: by resource, the health of each id."""
    starts: int = 0


@dataclass(eq=False)
class Pod:
    """A pod of one node."""

    name: str
    limits: Mapping[str, int] = field(default_factory=dict)
    """Of the one container that it has where none are named."""
    containers: tuple[Container, ...] = ()
    namespace: str = "default"
    restart: bool = True
    """Whether a container that ends is started again."""
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    phase: str = PENDING
    reason: str = ""
    message: str = ""
    events: list[Event] = field(default_factory=list)
    bound: bool = False
    """Whether it has a node."""
    admitted: bool = False
    terminating: bool = False

    def __post_init__(self) -> None:
        self.containers = self.containers or (Container(limits=self.limits),)

    def container(self, name: str = VIRT) -> Container:
        """By its name."""
        return next(container for container in self.containers if container.name == name)

    @property
    def running(self) -> bool:
        return self.phase == RUNNING

    @property
    def ended(self) -> bool:
        """Whether it is terminal; it never comes back."""
        return self.phase in {FAILED, SUCCEEDED}

    def requests(self, resource: str) -> int:
        """What the scheduler counts: init containers run before the others, sidecars beside them."""
        beside = sum(one.limits.get(resource, 0) for one in self.containers if not one.init or one.sidecar)
        return max([beside, *(one.limits.get(resource, 0) for one in self.containers if one.init)])

    def resources(self) -> Iterable[str]:
        """Whatever any container asks for."""
        return dict.fromkeys(name for one in self.containers for name, number in one.limits.items() if number)

    def fail(self, reason: str, message: str) -> None:
        """Refused: for ever."""
        self.phase, self.reason, self.message = FAILED, reason, f"Pod was rejected: {message}"
        self.events.append(Event("Warning", reason, message))
