"""Kills the driver at its N-th effect within a call, for every N there is: a line of JSON for each on standard output.

Each N is a process of its own, forked from one that has loaded everything. What it leaves is then looked after in each
order in which the driver and kubelet may come back.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from hooksidecar.claims import files
from hostdev.inventory.machine import Machine
from tests.hooksidecar.claims.node import AWAY, BOOT, GONE, OTHER_BOOT, REF, Node, cards, claim, names
from tests.hostdev.gate.build import machine
from tests.hostdev.offer.offers import card

EFFECTS = frozenset({"fchmod", "fsync", "ftruncate", "mkdir", "open", "rename", "rmdir", "unlink", "write"})
REPLUGGED = machine(*card(0x3D, 7))
"""The same card, in another IOMMU group."""


class Steps:
    """Stands in the place of the module os, counts the effects and ends the process at one of them."""

    def __init__(self, root: Path, last: int, note: Callable[[str], object]) -> None:
        self._root, self._left, self._note = root, last, note
        self._paths: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(os, name)
        return self._effect(name, found) if name in EFFECTS else found

    def _effect(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def effect(first: Any, *words: Any) -> Any:
            path = self._paths.get(first, "") if isinstance(first, int) else str(Path(first).relative_to(self._root))
            if name != "open" or words[0] & (os.O_WRONLY | os.O_RDWR):
                self._count(name, path, call, first, words)
            found = call(first, *words)
            if name == "open":
                self._paths[found] = path
            return found

        return effect

    def _count(self, name: str, path: str, call: Callable[..., Any], first: Any, words: tuple[Any, ...]) -> None:
        self._left -= 1
        if self._left == 0:
            self._note(f"{name} {path}")
            if name == "write":
                call(first, words[0][: len(words[0]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)


class Call(NamedTuple):
    """What kubelet asks for when the driver is killed."""

    name: str
    machine: Machine
    before: Callable[[Node], object]
    """What was done by a process that lived."""
    call: Callable[[Node], object]
    wants: bool
    """Whether the claim is to be prepared when all is well again."""


def _nothing(_node: Node) -> None:
    """The claim is new."""


CALLS = (
    Call("Prepare", cards(0x3D), _nothing, Node.prepare, wants=True),
    Call("Prepare of a claim whose device has another IOMMU group now", REPLUGGED, Node.prepare, Node.prepare, True),
    Call("Unprepare", cards(0x3D), Node.prepare, Node.unprepare, wants=False),
)


def made(directory: Path, of: Machine, boot: str = BOOT) -> Node:
    """A node with what lies there already."""
    node = Node(directory, of, boot)
    node.kubelet_holds(REF)
    node.api.put(claim(*names(cards(0x3D))))
    return node


def kill(directory: Path, call: Call, last: int) -> str:
    """Let the call be killed at this effect, and tell which one that was; nothing, where it ended before."""
    call.before(made(directory, cards(0x3D)))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        vars(files)["os"] = Steps(directory, last, lambda text: os.write(writing, text.encode()))
        call.call(made(directory, call.machine))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        step = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != (-signal.SIGKILL if step else 0):
        raise RuntimeError(f"the call ended with {code} at {step!r}")
    return step


class After(NamedTuple):
    """An order in which things come back."""

    name: str
    boot: str = BOOT
    is_asked: bool = True
    """Kubelet still holds the claim, and asks for it."""
    is_asked_first: bool = False
    """Kubelet asks before the driver has looked at what was left."""
    is_deleted: bool = False
    """The pod and its claim are gone from the API server."""


AFTERS = (
    After("start, call"),
    After("call, start", is_asked_first=True),
    After("pod deleted", is_deleted=True),
    After("forgotten", is_asked=False, is_deleted=True),
    After("reboot", boot=OTHER_BOOT),
)


def outcome(directory: Path, call: Call, after: After) -> str:
    """What mends it: what is there already, the driver's start, or kubelet's call."""
    if after.boot != BOOT:
        shutil.rmtree(directory / "cdi", ignore_errors=True)  # It is in memory.
    node = made(directory, call.machine, after.boot)
    node.api.put(GONE if after.is_deleted else AWAY)
    if not after.is_asked:
        node.kubelet_holds()
    wants = call.wants and not after.is_deleted
    again = bool(node.store.read_all().records)
    whole = reference(call.name, after.boot, again=again) if wants else {}
    if is_whole(node, whole):
        return "whole"
    for name, step in _steps(node, after, wants):
        answer = step()
        if is_whole(node, whole) and not isinstance(answer, str):
            return name
    return "NOT MENDED"


def _steps(node: Node, after: After, wants: bool) -> Iterator[tuple[str, Callable[[], object]]]:  # noqa: FBT001
    def ask() -> object:
        if not wants:
            return node.unprepare()
        return node.preparer.prepare([REF], 45)[REF.uid]

    def ask_with_api() -> object:
        node.api.put(claim(*names(cards(0x3D))))
        return ask()

    name = "Prepare" if wants else "Unprepare"
    start = ("start", node.sweep.run)
    asked = [(name, ask)] if not wants else [(name, ask), (f"{name} (API server)", ask_with_api)]
    if not after.is_asked:
        asked = []
    yield from (*asked, start) if after.is_asked_first else (start, *asked)


@cache
def reference(name: str, boot: str, *, again: bool) -> dict[str, bytes]:
    """The files as they are where nothing is killed in this call, for a claim that has a record or a new one."""
    of = next(call.machine for call in CALLS if call.name == name)
    with tempfile.TemporaryDirectory() as directory:
        if again:
            made(Path(directory, "x"), cards(0x3D)).prepare()
        node = made(Path(directory, "x"), of, boot)
        node.prepare()
        return {path: data.replace(directory.encode(), b"") for path, data in node.files().items()}


def is_whole(node: Node, whole: dict[str, bytes]) -> bool:
    above = str(node.kubelet_dir.parent.parent).encode()
    return {path: data.replace(above, b"") for path, data in node.files().items()} == whole


KINDS = (("/claims/", "record"), ("dra-device-metadata/", "metadata"), ("cdi/", "CDI"))


def left(directory: Path) -> str:
    """What lies there."""
    found = []
    for path in sorted(directory.rglob("*")):
        kind = next((kind for part, kind in KINDS if part in f"{path}"), "")
        if kind and path.is_file():
            found.append(f"{kind}{' (unfinished)' if path.suffix == '.new' else ''}")
    return ", ".join(sorted(found)) or "nothing"


def run() -> None:
    """All of them."""
    for call in CALLS:
        for last in count(1):
            with tempfile.TemporaryDirectory() as name:
                killed = Path(name, "x")
                step = kill(killed, call, last)
                if not step:
                    break
                row = {"call": call.name, "step": step, "left": left(killed)}
                for number, after in enumerate(AFTERS):
                    copy = Path(name, str(number), "x")
                    shutil.copytree(killed, copy)
                    row[after.name] = outcome(copy, call, after)
                sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    run()
