"""Releases: as the tables name those that mend a thing, and as texts name those that run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

_VERSION = re.compile(r"v?(\d+(?:\.\d+){1,3})", re.ASCII)

LOOK: Mapping[str, str] = MappingProxyType(
    {
        "Linux": "uname -r",
        "QEMU": "qemu-system-x86_64 --version",
        "libvirt": "virsh version",
        "KubeVirt": "kubectl get kubevirt -A -o yaml | grep observedKubeVirtVersion",
        "Kubernetes": "kubectl get nodes",
        "NVIDIA driver": "cat /proc/driver/nvidia/version",
    }
)
"""Each component that a table may name, and the command that tells its version."""


class Release(NamedTuple):
    """A component and its version."""

    component: str
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.component} {'.'.join(map(str, self.version))}"

    @classmethod
    def parse(cls, text: str) -> Release | None:
        """Read `KubeVirt 1.7.4`, also with what a distribution appends; None: there is no version in it."""
        component, _, version = text.rpartition(" ")
        found = _VERSION.match(version)
        return cls(component, tuple(map(int, found[1].split(".")))) if found else None


def is_mended(mended: Iterable[str], release: Release) -> bool | None:
    """Whether a release has the mending, by the first that has it in each branch; None: it cannot be told."""
    firsts = [one.version for one in map(Release.parse, mended) if one and one.component == release.component]
    if not firsts:
        return None
    if release.version >= max(firsts):
        return True
    branch = [first for first in firsts if first[:2] == release.version[:2]]
    if branch and len(release.version) < len(branch[0]):
        return None
    return any(release.version >= first for first in branch)


def describe_settled(issues: Iterable[str], mended: Iterable[str]) -> str:
    """Say where a thing is known upstream, and which releases mend it; empty where neither is known."""
    where, since = ", ".join(issues), ", ".join(mended)
    return " ".join(filter(None, (where and f"Upstream: {where}.", since and f"Mended in {since}, and what is newer.")))
