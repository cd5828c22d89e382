"""A visit to one pod: its volumes are found, the allocation file is put into each mount, or taken away."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from domxml.finding import Finding
from hooksidecar import log
from hooksidecar.agent.drop import drop, remove
from hooksidecar.agent.volumes import VOLUMES, Volume, mounts, open_directory, open_volume
from hooksidecar.container import ALLOCATION_FILE
from hostdev.findings.holders import DROP_FAILED, DROP_OBSTRUCTED

PLANTED = frozenset(
    {errno.ELOOP, errno.ENOTDIR, errno.EXDEV, errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY, errno.EBUSY, errno.EAGAIN}
)
"""What the kernel says when a thing is not what it should be; the rest is trouble of the machine."""

Arm = Callable[[int, str], bool]
"""Watch a volume for what appears in it; false where that cannot be."""


class Visit(NamedTuple):
    """What was done."""

    dropped: int = 0
    kept: int = 0
    removed: int = 0
    findings: tuple[Finding, ...] = ()
    """One for each mount that failed."""
    found: bool = False
    """Whether the pod has a volume for the file."""
    watched: bool = True
    """Whether we shall be told of new mounts in it."""


def visit(pods: int, uid: str, content: bytes, arm: Arm) -> Visit:
    """Let every mount of a pod have this content; empty means no file."""
    done = Visit()
    for volume in VOLUMES:
        try:
            with open_volume(pods, uid, volume) as fd:
                if fd is not None:
                    # Watched before looked at: what comes in between is told.
                    watched = arm(fd, uid) if content else True
                    done = _in_volume(
                        done._replace(found=True, watched=done.watched and watched), uid, volume, fd, content
                    )
        except OSError as error:
            done = _failed(done, uid, volume.name, content, error)
    return done


def _in_volume(done: Visit, uid: str, volume: Volume, fd: int, content: bytes) -> Visit:
    # Kubelet gives the volume to the pod's fsGroup, and KubeVirt's is the VM's user: 107, or none for root.
    owner = os.fstat(fd).st_gid
    places = mounts(volume, fd)
    if not content and volume.itself:
        places = tuple(dict.fromkeys((*places, ".")))
    for place in places:
        where = f"{volume.name}/{place}".removesuffix("/.")
        try:
            with _opened(fd, place) as mount:
                what = _at(mount, content, owner)
        except FileNotFoundError:
            continue  # The pod is being taken away, or renames its folders; either way it is looked at again.
        except OSError as error:
            done = _failed(done, uid, where, content, error)
            continue
        if what in {"dropped", "removed"}:
            log.info("allocation written" if content else "allocation removed", pod=uid, mount=where)
        done = done._replace(**{what: getattr(done, what) + 1}) if what else done
    return done


def _at(mount: int, content: bytes, owner: int) -> str:
    """What was done, as a field of Visit; empty: nothing was to do."""
    if content:
        return "dropped" if drop(mount, content, owner) else "kept"
    return "removed" if remove(mount) else ""


@contextmanager
def _opened(volume: int, place: str) -> Iterator[int]:
    fd = os.dup(volume) if place == "." else open_directory(volume, place)
    try:
        yield fd
    finally:
        os.close(fd)


def _failed(done: Visit, uid: str, where: str, content: bytes, error: OSError) -> Visit:
    if not content and error.errno in PLANTED:
        return done  # Behind it there is no file of ours that could be stale.
    kind = DROP_OBSTRUCTED if error.errno in PLANTED else DROP_FAILED
    finding = kind.found(f"pod {uid}", f"{where}/{ALLOCATION_FILE}: {error.strerror}")
    return done._replace(findings=(*done.findings, finding))
