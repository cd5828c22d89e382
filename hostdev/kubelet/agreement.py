"""Kubelet asked twice: whether its checkpoint and its PodResources API name the same devices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from domxml.finding import Evidence, Finding
from domxml.text import listed, printable
from hostdev.catalogue.kubelet import KUBELET_DISAGREES
from hostdev.kubelet.checkpoint import FILE
from hostdev.kubelet.grant import Grant
from hostdev.kubelet.podresources import LIST, PodDevices


def disagreements(grants: Sequence[Grant], pods: Sequence[PodDevices]) -> tuple[Finding, ...]:
    """A finding for each container and resource of which only one of the two knows."""
    granted = {(grant.resource, device) for grant in grants for device in grant.device_ids}
    served = {(entry.resource, device) for entry in pods for device in entry.device_ids}
    found = []
    for grant in grants:
        if missing := _missing(grant.resource, grant.device_ids, served):
            text = f"the checkpoint gives {missing} of {printable(grant.resource)}, PodResources does not"
            evidence = (Evidence(FILE, f"PodUID {grant.pod_uid}"),)
            found.append(KUBELET_DISAGREES.found(f"pod {grant.pod_uid}", text, evidence=evidence))
    for entry in pods:
        if missing := _missing(entry.resource, entry.device_ids, granted):
            text = f"PodResources gives {missing} of {printable(entry.resource)}, the checkpoint does not"
            subject = f"pod {printable(entry.namespace)}/{printable(entry.pod)}"
            found.append(KUBELET_DISAGREES.found(subject, text, evidence=(Evidence(LIST, subject),)))
    return tuple(sorted(found))


def _missing(resource: str, devices: Iterable[str], other: set[tuple[str, str]]) -> str:
    return listed(printable(device) for device in devices if (resource, device) not in other)
