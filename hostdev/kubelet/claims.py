"""Resource claims (DRA) that stand for a resource of a pod's limits: a device plugin has no part in it."""

from __future__ import annotations

from collections.abc import Iterable

from domxml.finding import Evidence, Finding
from domxml.text import listed, printable
from hostdev.findings.holders import DRA_SERVES_RESOURCE
from hostdev.kubelet.podresources import CONTAINER, LIST, PodClaim

_SUFFIX, _TELLING = "-extended-resources-", "-extended-r"
_NAME_LIMIT, _RANDOM = 58, 5
"""The API server cuts what it makes a name of, and adds so many letters."""


def served_by_claims(claims: Iterable[PodClaim]) -> tuple[Finding, ...]:
    """A finding for each claim that the scheduler made, or may have made, of the limits of a VM's container."""
    return tuple(_finding(claim) for claim in claims if claim.container == CONTAINER and may_be_of_limits(claim))


def may_be_of_limits(claim: PodClaim) -> bool:
    """Whether the scheduler may have made it; the claims of a template begin with the pod's name, too."""
    return claim.claim[:-_RANDOM] == _base(claim)


def _base(claim: PodClaim) -> str:
    return f"{claim.pod}{_SUFFIX}"[:_NAME_LIMIT]


def _finding(claim: PodClaim) -> Finding:
    subject = f"pod {printable(claim.namespace)}/{printable(claim.pod)}"
    devices = listed(printable(device) for device in claim.devices) or "no device"
    # Of a pod with a long name too little is left in the claim's.
    serves = "serves" if _base(claim).startswith(f"{claim.pod}{_TELLING}") else "may serve"
    text = f"claim {printable(claim.claim)} {serves} what stands in its limits: {devices}"
    return DRA_SERVES_RESOURCE.found(subject, text, evidence=(Evidence(LIST, f"{subject} dynamic_resources"),))
