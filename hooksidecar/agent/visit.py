"""A visit to one pod: its volumes are found, the allocation file is put into each mount, or taken away."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from domxml.finding import Finding
from hooksidecar import log
from hooksidecar.agent.drop import drop, remove
from hooksidecar.agent.volumes import MOST_ENTRIES, VOLUMES, Volume, mounts, open_directory, open_volume
from hooksidecar.container import ALLOCATION_FILE
from hostdev.findings.holders import DROP_FAILED, DROP_OBSTRUCTED

PLANTED = frozenset(
    {errno.ELOOP, errno.ENOTDIR, errno.EXDEV, errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY, errno.EBUSY, errno.EAGAIN}
)
"""What the kernel says when a thing is not what it should be; the rest is trouble of the machine."""

Arm = Callable[[int, str], bool]
"""Tell of the next thing that comes into a directory of a pod; false where that cannot be."""


class Visit(NamedTuple):
    """The record of one visit."""

    dropped: int = 0
    kept: int = 0
    removed: int = 0
    findings: tuple[Finding, ...] = ()
    """One for each mount that failed."""
    found: bool = False
    """Whether the pod has a volume for the file."""
    watched: bool = True
    """Whether we shall be told of what changes in it."""


def visit(pods: int, uid: str, content: bytes, arm: Arm) -> Visit:
    """Let every mount of a pod have this content; empty means no file."""
    done = Visit()
    for volume in VOLUMES:
        try:
            with open_volume(pods, uid, volume) as fd:
                if fd is not None:
                    # Watched before looked at: what comes in between is told.
                    watched = arm(fd, uid) if content else True
                    done = done._replace(found=True, watched=done.watched and watched)
                    done = _in_volume(done, _File(uid, content, arm), volume, fd)
        except OSError as error:
            done = _failed(done, uid, volume.name, content, error)
    return done


class _File(NamedTuple):
    """What each mount of a pod should have."""

    uid: str
    content: bytes
    arm: Arm


def _in_volume(done: Visit, file: _File, volume: Volume, fd: int) -> Visit:
    places, crowded = mounts(volume, fd)
    if crowded and file.content:
        done = _crowded(done, file.uid, volume)
    wanted = places if file.content and places else ()
    # Earlier agents put it into the volume itself, beside the folders, too.
    stale = {*(places or ()), *((".",) if volume.itself else ())} - {*wanted}
    done = done._replace(watched=done.watched and places is not None)
    done = _in_mounts(done, file, volume, fd, wanted)
    return _in_mounts(done, file._replace(content=b""), volume, fd, sorted(stale))


def _in_mounts(done: Visit, file: _File, volume: Volume, fd: int, places: Iterable[str]) -> Visit:
    # Kubelet gives the volume to the pod's fsGroup, which KubeVirt sets to 107 for every VM.
    owner = os.fstat(fd).st_gid
    for place in places:
        where = f"{volume.name}/{place}".removesuffix("/.")
        try:
            with _opened(fd, place) as mount:
                what, watched = _at(mount, file, owner)
        except FileNotFoundError:
            continue  # The pod is being taken away, or renames its folders; either way it is looked at again.
        except OSError as error:
            done = _failed(done, file.uid, where, file.content, error)
            continue
        if what in {"dropped", "removed"}:
            log.info("allocation written" if file.content else "allocation removed", pod=file.uid, mount=where)
        done = done._replace(watched=done.watched and watched)
        done = done._replace(**{what: getattr(done, what) + 1}) if what else done
    return done


def _at(mount: int, file: _File, owner: int) -> tuple[str, bool]:
    """What was done, as a field of Visit, empty if nothing was to do; and whether we shall be told of a change."""
    if not file.content:
        return ("removed" if remove(mount) else ""), True
    watched: list[bool] = []
    dropped = drop(mount, file.content, owner, lambda directory: watched.append(file.arm(directory, file.uid)))
    return ("dropped" if dropped else "kept"), all(watched)


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


def _crowded(done: Visit, uid: str, volume: Volume) -> Visit:
    text = f"{volume.name}: has more than {MOST_ENTRIES} names, and no more are read: a sidecar's folder may be missed"
    return done._replace(findings=(*done.findings, DROP_OBSTRUCTED.found(f"pod {uid}", text)))
