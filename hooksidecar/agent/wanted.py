"""From kubelet's grants to the file that each pod should have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from domxml.finding import Finding
from domxml.text import listed, printable
from hooksidecar.agent.drop import MARK
from hooksidecar.agent.volumes import CONTAINER
from hostdev.allocation.env_file import to_env_file
from hostdev.catalogue.kubelet import CHECKPOINT_ENTRY_UNREADABLE
from hostdev.kubelet.checkpoint import Unread
from hostdev.kubelet.environment import environment
from hostdev.kubelet.grant import Grant


class Wanted(NamedTuple):
    """The content of the files by the UID of the pod."""

    files: Mapping[str, bytes] = {}
    hands_off: frozenset[str] = frozenset()
    """Pods of which kubelet's record cannot be read whole: half of an allocation would be a wrong one."""
    findings: tuple[Finding, ...] = ()


def wanted(granted: Iterable[Grant], unread: Iterable[Unread]) -> Wanted:
    """What the VMs' containers were given, as sidecars read it."""
    grants: dict[str, list[Grant]] = defaultdict(list)
    for grant in granted:
        if grant.container == CONTAINER:
            grants[grant.pod_uid].append(grant)
    hands_off = frozenset(entry.pod_uid for entry in unread if entry.container == CONTAINER)
    files: dict[str, bytes] = {}
    findings: list[Finding] = []
    for uid in grants.keys() - hands_off:
        told = environment(grants[uid])
        if told.variables:
            files[uid] = _marked(to_env_file(told.variables))
        if told.lost:
            text = f"not in the file: {listed(printable(name) for name in told.lost)}"
            findings.append(CHECKPOINT_ENTRY_UNREADABLE.found(f"pod {uid}", text))
    return Wanted(files, hands_off, tuple(sorted(findings)))


def _marked(content: bytes) -> bytes:
    return MARK + (b"\0" if b"\0" in content else b"\n") + content
