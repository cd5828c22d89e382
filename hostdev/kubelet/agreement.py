"""Kubelet asked twice: whether its checkpoint and its PodResources API name the same devices.

The two differ all the time, and nothing is wrong: they are not read at the same moment, and kubelet keeps what a pod
was given in its checkpoint when the pod has ended, until it gives something away the next time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from domxml.finding import Evidence, Finding
from domxml.text import listed, printable
from hostdev.findings.holders import KUBELET_DISAGREES
from hostdev.kubelet.checkpoint import FILE, Grant
from hostdev.kubelet.podresources import CONTAINER, LIST, PodDevices

CONFIRM = 1.0
"""Seconds that something must be so, at every look, to be told."""
_Key: TypeAlias = tuple[str, str]
"""Of a pod's grant: its UID, and the resource."""


class Confirmation:
    """Findings that last: what comes and goes within a moment is none."""

    def __init__(self) -> None:
        self._since: Mapping[Finding, float] = {}

    def confirmed(self, found: Iterable[Finding], now: float) -> tuple[Finding, ...]:
        """Those that have been found at every look for long enough."""
        self._since = {finding: self._since.get(finding, now) for finding in found}
        return tuple(sorted(finding for finding, since in self._since.items() if now - since >= CONFIRM))

    def waits(self, now: float) -> bool:
        """Whether there is one that may become old enough."""
        return any(now - since < CONFIRM for since in self._since.values())


class Agreement:
    """The two sources, compared look after look."""

    def __init__(self) -> None:
        self._unlisted: Mapping[_Key, float] = {}
        self._ended: Mapping[_Key, frozenset[_Key]] = {}

    def forget(self) -> None:
        """One of the two could not be asked: what was seen before proves nothing."""
        self._unlisted, self._ended = {}, {}

    def disagreements(self, grants: Sequence[Grant], pods: Sequence[PodDevices], now: float) -> tuple[Finding, ...]:
        """What differs, and is no sign of a pod that has ended."""
        return (*unrecorded_devices(grants, pods), *self._kept(grants, pods, now))

    def _kept(self, grants: Sequence[Grant], pods: Sequence[PodDevices], now: float) -> list[Finding]:
        """Grants of pods that have ended which kubelet did not take out, though it has given something away since."""
        served = {(entry.resource, device) for entry in pods for device in entry.device_ids}
        there = {_key(grant): grant for grant in grants if grant.container == CONTAINER}
        unlisted = {key for key, grant in there.items() if _missing(grant.resource, grant.device_ids, served)}
        self._unlisted = {key: self._unlisted.get(key, now) for key in unlisted}
        ended = {key for key, since in self._unlisted.items() if now - since >= CONFIRM}
        self._ended = {key: self._ended.get(key, frozenset(there)) for key in ended}
        late = [there[key] for key, before in self._ended.items() if there.keys() - before]
        return [_unlisted(grant, _missing(grant.resource, grant.device_ids, served)) for grant in late]


def unrecorded_devices(grants: Sequence[Grant], pods: Sequence[PodDevices]) -> list[Finding]:
    """A finding for each container and resource of which PodResources alone has devices."""
    granted = {(grant.resource, device) for grant in grants for device in grant.device_ids}
    # Kubelet lists each device by itself.
    devices: dict[tuple[str, str, str, str], list[str]] = {}
    for entry in pods:
        whose = (entry.namespace, entry.pod, entry.container, entry.resource)
        devices.setdefault(whose, []).extend(entry.device_ids)
    found = []
    for (namespace, pod, container, resource), ids in devices.items():
        if missing := _missing(resource, ids, granted):
            text = f"PodResources gives {missing} of {printable(resource)}, the checkpoint does not"
            subject = f"pod {printable(namespace)}/{printable(pod)}"
            evidence = (Evidence(LIST, f"{subject} {printable(container)}"),)
            found.append(KUBELET_DISAGREES.found(subject, text, evidence=evidence))
    return found


def _unlisted(grant: Grant, missing: str) -> Finding:
    text = (
        f"the checkpoint gives {missing} of {printable(grant.resource)}, PodResources does not, "
        "and kubelet has given other devices away since"
    )
    evidence = (Evidence(FILE, f"PodUID {grant.pod_uid}"),)
    return KUBELET_DISAGREES.found(f"pod {grant.pod_uid}", text, evidence=evidence)


def _key(grant: Grant) -> _Key:
    return grant.pod_uid, grant.resource


def _missing(resource: str, devices: Iterable[str], other: set[tuple[str, str]]) -> str:
    return listed(printable(device) for device in devices if (resource, device) not in other)
