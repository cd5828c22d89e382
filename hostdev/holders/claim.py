"""A claim: one source's word that a device is held, and how far each source is to be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class How(StrEnum):
    """The sources, best first: in which way a device is held."""

    OPEN = "open"
    TOLD = "told"
    DOMAIN = "domain"
    ENABLED = "enabled"
    CHECKPOINT = "checkpoint"
    CLAIM = "claim"
    PODRESOURCES = "podresources"
    DRIVER = "driver"


class State(StrEnum):
    """The state of a device as far as the sources tell."""

    OPEN = "open"
    ALLOCATED = "allocated"
    HOST = "host"
    FREE = "free"
    UNKNOWN = "unknown"


class Trust(NamedTuple):
    """How far a source proves what it says."""

    proves: State
    looks_at: str
    fails: str


TRUST: dict[How, Trust] = {
    How.OPEN: Trust(State.OPEN, "open files of processes", "the VM is stopped; processes of others need root"),
    How.TOLD: Trust(State.OPEN, "command lines of processes", "the VFIO file was handed over as a number"),
    How.DOMAIN: Trust(
        State.OPEN,
        "the running domains of a libvirt, by their files in /run/libvirt or by `--connect`",
        "each virt-launcher pod has a libvirt of its own",
    ),
    How.ENABLED: Trust(
        State.OPEN, "the file `enable` of a device on a vfio driver", "1 was written there by hand; it names nobody"
    ),
    How.CHECKPOINT: Trust(
        State.ALLOCATED,
        "kubelet's device-manager checkpoint",
        "DRA serves the resource; the pod has ended a while ago; the node was booted since",
    ),
    How.CLAIM: Trust(
        State.ALLOCATED,
        "the records of Passgate's driver of resource claims",
        "the pod has ended and the claim was not given back yet; the records of other drivers are not read",
    ),
    How.PODRESOURCES: Trust(
        State.ALLOCATED,
        "kubelet's PodResources API",
        "kubelet is down; the plugin's names tell no address; the names of DRA's devices never do",
    ),
    How.DRIVER: Trust(State.HOST, "the driver of the host", "a vfio driver says nothing of who uses it"),
}
"""In the order of trust."""
RANK = {how: rank for rank, how in enumerate(TRUST)}


@dataclass(frozen=True, slots=True)
class Claim:
    """One holder of a device; `where` is the file, option, variable or domain that shows it."""

    how: How
    who: str
    """A process, a domain, a driver; of a grant the resource."""
    where: str
    pid: int | None = None
    guest: str | None = None
    pod: str | None = None
    """The pod's UID, where it is known."""
    namespace: str | None = None
    name: str | None = None
    """The pod's."""
    container: str | None = None
    exact: bool = True
    """Not where an IOMMU group of several devices was granted, and it may be any of them."""
    unit: str | None = None
    """Of a grant the id of the unit, where that is what kubelet knows the device by."""
    resource_claim: str | None = None
    """Of a grant the resource claim that it was prepared for, with its namespace."""

    @property
    def granted(self) -> str:
        """What was granted, in words: the resource, the unit, and the resource claim."""
        return name_grant(self.who, self.unit, self.resource_claim)

    @property
    def holder(self) -> str | None:
        """The pod as people know it."""
        return f"{self.namespace}/{self.name}" if self.name else self.pod


def name_grant(resource: str, unit: str | None, claim: str | None = None) -> str:
    """The resource, and the unit and the claim where they are known."""
    return ", ".join((resource, *((f"unit {unit}",) if unit else ()), *((f"claim {claim}",) if claim else ())))
