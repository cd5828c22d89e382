"""`passgate fleet collect`: a snapshot of each node into a directory, each file whole or not at all."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

from domxml.errors import BadInput, NotPermitted, PassgateError
from domxml.finding import Finding
from domxml.text import printable, visible
from hostdev.cli.fleet.sources import Sources, Taken, find_sources
from hostdev.cli.fleet.survey import note_findings, write_whole_file
from hostdev.cli.programs import end_programs
from hostdev.findings.fleet import NODE_NOT_COLLECTED
from hostdev.fleet.snapshots import LARGEST, find_snapshots
from hostdev.inventory.recorded import toml
from hostdev.inventory.recorded.layout import SUFFIX, read_recording
from hostdev.printing import findings, output
from hostdev.printing.documents import document, emit

AT_ONCE = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,249}", re.ASCII)
_EVERY = 5.0
"""Seconds between two words on how far it is."""


class Collected(NamedTuple):
    """What became of a node."""

    node: str
    taken: str
    """By its snapshot: the new one, or the one that was kept."""
    finding: Finding | None = None
    """Why there is no new one."""


def run(arguments: argparse.Namespace) -> int:
    """Ask all nodes at the same time, and write what they answer."""
    if not arguments.deadline > 0:
        raise BadInput("bad-usage", "--deadline must be more than 0", hint="such as --deadline 60")
    target = _directory(arguments.out)
    sources = find_sources(arguments)
    done = sorted(_collect(sources, target, 0o600 if arguments.keep_identity else 0o644), key=lambda one: one.node)
    failed = [one.finding for one in done if one.finding]
    old = _old(target, {one.node for one in done})
    for note in sources.notes:
        output.note(f"note: {note}")
    if arguments.output == "table":
        for node, taken in old.items():
            output.note(f"note: {printable(node, 200)}{SUFFIX} was not asked for now, and is {_of(taken)}")
        written = len(done) - len(failed)
        output.write(f"{written} of {len(done)} snapshots written to {visible(arguments.out)}\n")
    else:
        items = [
            {
                "node": one.node,
                "collected": one.finding is None,
                "taken": one.taken or None,
                "finding": one.finding and one.finding.as_dict(),
            }
            for one in done
        ]
        kept = [{"node": node, "taken": taken or None} for node, taken in old.items()]
        emit(document("FleetCollection", fleet=arguments.out, items=items, others=kept), arguments.output)
    return findings.exit_code(failed, arguments.fail_on)


def _directory(name: str) -> Path:
    target = Path(name)
    try:
        target.mkdir(exist_ok=True)
    except FileNotFoundError:
        raise BadInput("no-directory", "the directory above it is not there", subject=printable(name, 200)) from None
    except OSError as error:
        what = "is no directory" if isinstance(error, FileExistsError) else f"cannot be made: {error.strerror}"
        raise NotPermitted("not-written", what, subject=printable(name, 200)) from None
    return target


def _collect(sources: Sources, target: Path, mode: int) -> Iterator[Collected]:
    """Yield each node as soon as it is done; an interrupt ends what is still asked."""
    for node, why in sources.absent.items():
        yield _told(_failed(node, why, target))
    asked: dict[Future[Taken], str] = {}
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        for node, source in sources.nodes.items():
            if _NAME.fullmatch(node):
                asked[pool.submit(source)] = node
            else:
                yield _told(_failed(node, "its name cannot be that of a file", target))
        last, left = time.monotonic(), set(asked)
        while left:
            done, left = wait(left, timeout=_EVERY, return_when=FIRST_COMPLETED)
            for future in done:
                yield _told(_kept(asked[future], future.result(), target, mode))
            if left and time.monotonic() - last > _EVERY:
                last = time.monotonic()
                output.note(f"note: {len(asked) - len(left)} of {len(asked)} nodes answered")
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        end_programs()


def _told(one: Collected) -> Collected:
    """A node that did not answer is said at once."""
    if one.finding:
        note_findings([one.finding])
    return one


def _kept(node: str, taken: Taken, target: Path, mode: int) -> Collected:
    """Keep a snapshot under the node's name, if it is one."""
    if taken.why:
        return _failed(node, taken.why, target)
    try:
        origin = toml.parse(taken.text).origin
    except PassgateError as error:
        begin = visible(" ".join(taken.text[:60].split()))
        what = f"answered with something that is no snapshot ({error.message}): '{begin}'"
        return _failed(node, what, target)
    try:
        write_whole_file(target / f"{node}{SUFFIX}", taken.text, mode)
    except OSError as error:
        raise NotPermitted("not-written", f"cannot be written: {error.strerror}", subject=f"{node}{SUFFIX}") from None
    return Collected(node, origin.taken)


def _failed(node: str, why: str, target: Path) -> Collected:
    before = _taken(target, node)
    kept = "" if before is None else f"; its file is kept, and is {_of(before)}"
    return Collected(node, before or "", NODE_NOT_COLLECTED.found(printable(node, 200), f"{why}{kept}"))


def _taken(target: Path, node: str) -> str | None:
    """When the snapshot that is there was taken; None where there is none that can be read."""
    if not _NAME.fullmatch(node):
        return None
    try:
        return toml.parse(read_recording(target / f"{node}{SUFFIX}", LARGEST)).origin.taken
    except PassgateError:
        return None


def _old(target: Path, asked: set[str]) -> dict[str, str]:
    """The snapshots that are there and of which nothing was asked, and when they were taken."""
    others = [one.node for one in find_snapshots(str(target)).snapshots if one.node not in asked]
    return {node: _taken(target, node) or "" for node in others}


def _of(taken: str) -> str:
    return f"of {taken}" if taken else "of an unknown time"
