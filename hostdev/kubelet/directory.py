"""Kubelet's directory on the node: its checkpoint, and the pods that have a directory there."""

from __future__ import annotations

import os

from hostdev.kubelet.checkpoint import FILE, MAX_BYTES

PODS = "pods"
"""Below kubelet's directory: a directory for each pod, named by its UID."""
PLUGINS = "plugins_registry"
"""Sockets of plugins, which kubelet finds there by itself. At its start it removes every socket in device-plugins, and
none here."""
# O_NONBLOCK: whatever lies there must not stop us.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


def read_checkpoint(directory: str) -> bytes:
    """The file as it is now; of one that is too long, enough to tell so."""
    fd = os.open(os.path.join(directory, FILE), _FLAGS)  # noqa: PTH118
    with os.fdopen(fd, "rb") as file:
        return file.read(MAX_BYTES + 1) or b""


def list_pods(directory: str) -> frozenset[str]:
    """The UIDs of the pods that kubelet has a directory of."""
    return frozenset(os.listdir(os.path.join(directory, PODS)))  # noqa: PTH118, PTH208
