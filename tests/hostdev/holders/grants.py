"""Grants of kubelet."""

from __future__ import annotations

from collections.abc import Mapping

from hostdev.kubelet.checkpoint import Grant

UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"


def grant(
    *ids: str,
    env: Mapping[str, str] | None = None,
    nodes: tuple[str, ...] = (),
    resource: str = "a.b/c",
    pod: str = "p",
) -> Grant:
    return Grant(pod, "compute", resource, ids, tuple((env or {}).items()), nodes)
