"""The files of a fleet: a directory with a snapshot for each node, read one by one, and by several processes."""

from __future__ import annotations

import gc
import os
import pickle
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

from domxml.errors import BadInput, HostUnreadable, PassgateError, about_file
from domxml.finding import Finding
from domxml.text import printable
from hostdev.findings.fleet import SNAPSHOT_UNREADABLE
from hostdev.fleet.node import Node, find_held, find_uncounted
from hostdev.inventory.recorded import toml
from hostdev.inventory.recorded.layout import SUFFIX, read_recording
from hostdev.inventory.recorded.memory import RecordedHost
from hostdev.inventory.scan import scan

T = TypeVar("T")

LARGEST = 8 << 20
"""A host with ten thousand functions has as much."""
MOST_FILES = 10_000
_FIRST_TABLE = "\n["
_FEW = 6
"""Nodes for which a second process is not worth its start."""


class Snapshot(NamedTuple):
    """The file of one node."""

    node: str
    path: Path


class Fleet(NamedTuple):
    """A directory of snapshots: the nodes by name, and what lies beside them."""

    directory: str
    snapshots: tuple[Snapshot, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Files that are no snapshots, or may not be looked at."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the nodes."""
        return tuple(one.node for one in self.snapshots)


def find_snapshots(directory: str) -> Fleet:
    """List a directory; files are read later."""
    path = Path(directory)
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208  names that are not UTF-8 are told, not refused
    except OSError as error:
        what = "is no directory" if isinstance(error, NotADirectoryError) else f"cannot be read: {error.strerror}"
        hint = "name the directory that `passgate fleet collect --out DIR` wrote: --from DIR"
        raise BadInput("no-fleet", what, subject=printable(directory, 200), hint=hint) from None
    snapshots: list[Snapshot] = []
    findings: list[Finding] = []
    for name in names:
        if name.startswith("."):
            continue
        why = _refused(path / name, name, len(snapshots))
        if why:
            findings.append(SNAPSHOT_UNREADABLE.found(printable(name, 200), why))
        else:
            snapshots.append(Snapshot(name.removesuffix(SUFFIX), path / name))
    return Fleet(directory, tuple(snapshots), tuple(findings))


def _refused(path: Path, name: str, before: int) -> str:
    """Say why a name in the directory is no snapshot; empty where it is one."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    if not name.endswith(SUFFIX) or name == SUFFIX:
        kind = "a directory" if stat.S_ISDIR(mode) else "a file"
        return f"is {kind} that is not named NODE{SUFFIX}, and was passed over"
    if not stat.S_ISREG(mode):
        return "is no regular file"
    return "" if before < MOST_FILES else f"was left out: there are more than {MOST_FILES} snapshots"


def read_node(snapshot: Snapshot) -> Node:
    """Read one snapshot, or refuse it with a sentence."""
    with about_file(snapshot.path.name):
        recording = toml.parse(read_recording(snapshot.path, LARGEST))
    with RecordedHost(recording, source=snapshot.path.name) as host:
        machine = scan(host)
        held, uncounted = find_held(host, machine), find_uncounted(host, machine)
        return Node(snapshot.node, machine, recording.origin, held, uncounted)


def read_older(snapshot: Snapshot, newer: Snapshot, node: Node) -> Node:
    """Read the older snapshot of a node; with the same machine, where nothing but its head is different."""
    texts = [read_recording(one.path, LARGEST) for one in (snapshot, newer)]
    heads, tables = zip(*(text.partition(_FIRST_TABLE)[::2] for text in texts), strict=True)
    if tables[0] != tables[1]:
        return read_node(snapshot)
    return replace(node, origin=toml.parse(f"{heads[0]}\n").origin)


class Broken(NamedTuple):
    """A file that is no snapshot after all."""

    node: str
    finding: Finding


def survey(fleet: Fleet, work: Callable[[Node], T]) -> Iterator[T | Broken]:
    """Do something with every node, in the order of their names, and with what cannot be read.

    `work` may run in another process: what it answers is small, and can be pickled.
    """
    snapshots = fleet.snapshots
    processes = len(os.sched_getaffinity(0)) if len(snapshots) >= _FEW else 1
    if processes < 2:
        yield from (_done(one, work) for one in snapshots)
        return
    readers: list[_Reader] = []
    try:
        readers.extend(_Reader(snapshots[number::processes], work) for number in range(processes))
        for number in range(len(snapshots)):
            yield readers[number % processes].next()
    finally:
        for reader in readers:
            reader.close()


class _Reader:
    """A process that reads some of the snapshots, and hands over what is made of each."""

    def __init__(self, snapshots: Sequence[Snapshot], work: Callable[[Node], Any]) -> None:
        try:
            reading, writing = os.pipe()
            self._pid = os.fork()
        except OSError as error:
            what = f"no process can be started to read snapshots: {error.strerror}"
            raise HostUnreadable("fleet-not-read", what, hint="is there enough memory? try again") from None
        if self._pid == 0:
            os.close(reading)
            _serve(writing, snapshots, work)
        os.close(writing)
        self._pipe = os.fdopen(reading, "rb")

    def next(self) -> Any:
        """What was made of its next snapshot."""
        try:
            error, result = pickle.load(self._pipe)  # noqa: S301  written by our own child
        except (EOFError, pickle.UnpicklingError):
            what = "a process that reads snapshots was ended from outside"
            raise HostUnreadable("fleet-not-read", what, hint="is there enough memory? try again") from None
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """End it, also before it is done."""
        self._pipe.close()
        os.waitpid(self._pid, 0)


def _serve(writing: int, snapshots: Sequence[Snapshot], work: Callable[[Node], Any]) -> NoReturn:
    """Never come back: the caller's buffers and handlers are another process's."""
    code = 1
    try:
        # What was there before the fork is no garbage, and counting it copies its pages.
        gc.freeze()
        with os.fdopen(writing, "wb") as pipe:
            for one in snapshots:
                pickle.dump(_answer(one, work), pipe)
                pipe.flush()
        code = 0
    except BaseException:  # noqa: BLE001, S110  an interrupt, or a reader that went away
        pass
    finally:
        os._exit(code)


def _answer(snapshot: Snapshot, work: Callable[[Node], Any]) -> tuple[Exception | None, Any]:
    try:
        return None, _done(snapshot, work)
    except Exception as error:  # noqa: BLE001  the caller raises it
        return error, None


def _done(snapshot: Snapshot, work: Callable[[Node], T]) -> T | Broken:
    try:
        node = read_node(snapshot)
    except PassgateError as error:
        return Broken(snapshot.node, SNAPSHOT_UNREADABLE.found(snapshot.path.name, error.message))
    return work(node)
