"""The volumes of a virt-launcher pod in which its sidecars look for files, as they lie on the node."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

from hooksidecar.agent.beneath import open_directory

CONTAINER = "compute"
"""The container that QEMU runs in; its devices are the VM's."""
EMPTY_DIRS = "volumes/kubernetes.io~empty-dir"
"""Below a pod's directory."""
MOST_ENTRIES = 1024
"""A pod may fill its volume with names; we read no more of them."""
MOST_FOLDERS = 64


class Volume(NamedTuple):
    """A volume that KubeVirt adds to virt-launcher pods."""

    name: str
    folder: re.Pattern[str]
    """The folders in it, each of which is the whole mount of one sidecar."""
    itself: bool
    """Whether, where it has no such folder, it is the mount."""


VOLUMES = (
    # A folder a container since KubeVirt 1.6; kubelet makes each when its container is about to start.
    Volume("hook-sidecar-sockets", re.compile(r"hook-sidecar-[0-9]{1,4}"), itself=True),
    # A folder a Plugin, as the policy that adds the sidecar names it.
    Volume("kubevirt-plugin-sockets", re.compile(r"(?!userdata$)[a-z0-9][a-z0-9.-]{0,252}"), itself=False),
)


@contextmanager
def opened_volume(pods: int, uid: str, volume: Volume) -> Iterator[int | None]:
    """A pod's volume, or None where there is none (yet). It may be a mount; what is in it may not."""
    try:
        fd = open_directory(pods, f"{uid}/{EMPTY_DIRS}/{volume.name}", may_cross=True)
    except FileNotFoundError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def mounts(volume: Volume, fd: int) -> tuple[str, ...]:
    """Where its sidecars look: names in the volume, or `.` for itself."""
    with os.scandir(fd) as entries:
        names = [entry.name for entry in islice(entries, MOST_ENTRIES) if volume.folder.fullmatch(entry.name)]
    folders = tuple(sorted(names)[:MOST_FOLDERS])
    return folders or ((".",) if volume.itself else ())
