"""Asking kubelet by its directory: the checkpoint, PodResources, and which pods there are."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from domxml.errors import BadInput, PassgateError
from domxml.text import listed, printable
from hostdev.holders.claim import How
from hostdev.holders.grants import Kubelet
from hostdev.holders.holders import Asked
from hostdev.kubelet import checkpoint, podresources
from hostdev.kubelet.claimrecords import ClaimRecords, read_records, records_directory
from hostdev.kubelet.directory import list_pods, read_checkpoint
from hostdev.kubelet.resourcename import DRIVER

T = TypeVar("T")

DEFAULT = "var/lib/kubelet"
"""Below the root of the host."""
LOGS = "var/log/pods"
"""Below the root of the host: a directory for each pod, named after it."""
CGROUP = "sys/fs/cgroup"
_DEPTHS = ("kubepods*/*pod*", "kubepods*/*/*pod*", "kubelet*/kubepods*/*pod*", "kubelet*/kubepods*/*/*pod*")
_POD = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})


def ask_kubelet(named: str | None, root: Path | None) -> tuple[Kubelet, tuple[Asked, ...]]:
    """Ask the kubelet of a directory, or the one of the host at `root`, if it has one."""
    directory = Path(named) if named else root and root / DEFAULT
    # Unlike Path.is_dir this does not raise where it may not look.
    there = directory is not None and os.path.isdir(directory)  # noqa: PTH112
    if named and not there:
        what = "there is no such directory, or it may not be looked into"
        raise BadInput("no-kubelet", what, subject=named, hint="name kubelet's --root-dir, or a copy of it")
    if directory is None or not there:
        absent = "there is no directory of kubelet"
        return Kubelet(), (Asked(How.CHECKPOINT, absent, missing=True), Asked(How.PODRESOURCES, absent, missing=True))
    record, written = _answered(How.CHECKPOINT, lambda: _checkpoint(directory))
    listing, spoken = _answered(How.PODRESOURCES, lambda: _listing(directory))
    prepared = read_records(str(directory), DRIVER)
    pods = _pods(directory)
    running = _running(root) if root and listing is None else None
    if running is not None:
        # After a boot, until kubelet runs: its record and the directories of pods are there, and none of the pods is.
        pods = running if pods is None else pods & running
    kubelet = Kubelet(
        grants=record.grants if record else None,
        listed=listing.devices if listing else None,
        boot_id=record.boot_id if record else "",
        alive=pods,
        logs=_logs(root) if root else (),
        claimed=_unrecorded(listing, prepared) if listing else (),
        records=prepared.records,
    )
    if record and record.unread:
        written = Asked(How.CHECKPOINT, f"{len(record.unread)} of its entries cannot be read")
    if kubelet.claimed:
        names = listed(map(printable, kubelet.claimed))
        spoken = Asked(How.PODRESOURCES, f"of devices of resource claims it tells drivers' names alone: {names}")
    return kubelet, (written, *_recorded(directory, prepared), spoken)


def _recorded(directory: Path, prepared: ClaimRecords) -> tuple[Asked, ...]:
    """Our driver's records as a source, where there is the driver."""
    if prepared.findings:
        return (Asked(How.CLAIM, "; ".join(f"{one.subject} {one.message}" for one in prepared.findings[:2])),)
    there = os.path.isdir(records_directory(str(directory), DRIVER))  # noqa: PTH112
    return (Asked(How.CLAIM),) if there else ()


def _unrecorded(listing: podresources.Listing, prepared: ClaimRecords) -> tuple[str, ...]:
    """Devices of claims that no record tells more of than their drivers' names."""
    ours = {f"{record.driver}/{one.pool}/{one.device}" for record in prepared.records for one in record.units}
    return tuple(device for claim in listing.claims for device in claim.devices if device not in ours)


def _answered(how: How, question: Callable[[], T]) -> tuple[T | None, Asked]:
    """The answer, or in words why there is none."""
    try:
        return question(), Asked(how)
    except PassgateError as error:
        return None, Asked(how, ": ".join(part for part in (error.message, error.hint) if part))
    except OSError as error:
        return None, Asked(how, error.strerror or str(error), missing=error.errno in _ABSENT)


def _checkpoint(directory: Path) -> checkpoint.Checkpoint:
    return checkpoint.parse(read_checkpoint(str(directory)))


def _listing(directory: Path) -> podresources.Listing:
    socket = directory / podresources.SOCKET
    if not stat.S_ISSOCK(socket.stat().st_mode):
        raise BadInput("no-socket", "there is something that is no socket")
    if not os.access(socket, os.W_OK):
        raise PermissionError(errno.EACCES, "its socket is root's; ask again as root")
    return podresources.list_podresources(str(socket))


def _pods(directory: Path) -> frozenset[str] | None:
    try:
        return list_pods(str(directory))
    except OSError:
        return None


def _running(root: Path) -> frozenset[str] | None:
    """The pods that have a cgroup, and so are running; None where cgroups are not to be seen."""
    top = next((one for one in (root / CGROUP, root / CGROUP / "systemd") if (one / "cgroup.procs").exists()), None)
    if top is None:
        return None
    found = (_POD.search(path.name) for depth in _DEPTHS for path in top.glob(depth))
    return frozenset(one[1].replace("_", "-") for one in found if one)


def _logs(root: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted(path.name for path in (root / LOGS).iterdir()))
    except OSError:
        return ()
