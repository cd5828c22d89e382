"""The grants of the pods that are on the node now: kubelet keeps those of pods that are gone for a while."""

from __future__ import annotations

import os
from collections.abc import Iterable

from domxml.errors import HostUnreadable
from hooksidecar.agent.record import Record
from hooksidecar.agent.watch import PODS
from hostdev.kubelet.grant import Grant


def living(directory: str, grants: Iterable[Grant]) -> tuple[Grant, ...]:
    """Those of pods that kubelet has a directory of; all, where we are not shown these directories."""
    path = os.path.join(directory, PODS)  # noqa: PTH118
    try:
        there = set(os.listdir(path))  # noqa: PTH208
    except FileNotFoundError:
        return tuple(grants)
    except OSError as error:
        what = f"cannot be listed: {error.strerror}"
        raise HostUnreadable(
            "kubelet-dir-unreadable", what, subject=path, hint="kubelet's directory must be readable"
        ) from None
    return tuple(grant for grant in grants if grant.pod_uid in there)


def fresh(directory: str, record: Record) -> tuple[Grant, ...]:
    """The same from the file as it is now; refuses to answer from an old or broken one."""
    record.look()
    for finding in record.trouble:
        raise HostUnreadable(finding.code, finding.message, subject=finding.subject, hint=finding.hint)
    return living(directory, record.grants)
