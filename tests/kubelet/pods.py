"""Pods as the API server shows them: what was asked, and what kubelet says of it."""

from __future__ import annotations

import threading
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


class Mount(NamedTuple):
    """What of the host a container sees, where CDI says so."""

    container_path: str
    host_path: str


class ClaimUse(NamedTuple):
    """Of a container: which claim of its pod, and which request of it; all of them where it names none."""

    name: str
    request: str = ""


class PodClaim(NamedTuple):
    """Of a pod: its name for a claim, and the ResourceClaim, which may have been made of a template."""

    name: str
    claim: str


class ExtendedClaim(NamedTuple):
    """The ResourceClaim that the scheduler made for extended resources, and what each request of it is for."""

    claim: str
    mappings: tuple[tuple[str, str, str], ...]
    """Container, resource, request."""


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
    mounts: tuple[Mount, ...] = ()
    status: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """allocatedResourcesStatus: by resource, or by claim, the health of each id."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """What it says of an id beside that."""
    claims: tuple[ClaimUse, ...] = ()
    starts: int = 0

    @property
    def is_up(self) -> bool:
        return self.state.name == "running" or self.state.reason == "Completed"


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
    claims: tuple[PodClaim, ...] = ()
    extended: ExtendedClaim | None = None
    bound: bool = False
    """Whether it has a node."""
    has_sandbox: bool = False
    """Whether its claims were prepared, and its containers may start."""
    worker: threading.Lock = field(default_factory=threading.Lock)
    """Kubelet works on a pod in one thread at a time."""
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
        """Whatever any container asks of device plugins."""
        wanted = (name for one in self.containers for name, number in one.limits.items() if number)
        return dict.fromkeys(name for name in wanted if not self.is_claimed(name))

    def is_claimed(self, resource: str) -> bool:
        """Whether a claim serves it, and no device plugin."""
        return self.extended is not None and any(resource == name for _, name, _ in self.extended.mappings)

    def fail(self, reason: str, message: str) -> None:
        """Refused: for ever."""
        self.phase, self.reason, self.message = FAILED, reason, f"Pod was rejected: {message}"
        self.events.append(Event("Warning", reason, message))
