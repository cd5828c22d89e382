"""One OnDefineDomain call over a real socket, watched: which files of the product run, which values are made."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from hooksidecar.domainhook import Calls
from hooksidecar.server import Server, hook_methods
from hooksidecar.unixsocket import UnixSocket
from hostdev.inject.gather import Channels
from hostdev.inject.hook import HookCore
from hostdev.inventory.scan import looker
from tests.hooksidecar.client import Client
from tests.hostdev.layout import lay_out
from tests.house import FLOORS, ROOT

FIXTURES = ROOT / "tests" / "fixtures"
ADDRESS = "0000:3d:02.2"
_TREES = {floor: f"{root / floor}/" for floor, root in FLOORS.items()}


@dataclass
class Watched:
    """What ran while it was on."""

    on: bool = False
    files: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    entries: int = 0
    """How often another floor called into domxml, from places of its own."""
    _callers: set[tuple[str, int]] = field(default_factory=set)

    def see(self, frame: FrameType, event: str, _argument: object) -> None:
        """A profiler."""
        if not self.on or event != "call":
            return
        path = frame.f_code.co_filename
        if path == "<string>":
            # The constructors of named tuples and dataclasses are made from text.
            self._made(frame.f_locals.get("_cls") or type(frame.f_locals.get("self")))
        floor = _floor(path)
        if floor:
            self.files.add(path)
            back = frame.f_back
            caller = back and _floor(back.f_code.co_filename)
            if floor == "domxml" and caller in {"hostdev", "hooksidecar"} and back is not None:
                self._callers.add((back.f_code.co_filename, back.f_lineno))
                self.entries = len(self._callers)

    def _made(self, kind: type) -> None:
        if kind.__module__.partition(".")[0] in FLOORS:
            self.values.add(kind.__name__)


def watch_call() -> Watched:
    """Put a VF into a domain of 3 KB, as the sidecar does. The modules are loaded by then: what runs is counted."""
    watched = Watched()
    domain = (FIXTURES / "domains/q35-default.xml").read_bytes()
    vmi = (FIXTURES / "domains/q35-default.vmi.json").read_bytes()
    with tempfile.TemporaryDirectory() as root:
        lay_out((FIXTURES / "machines/qat.toml").read_text(), Path(root, "host"))
        with _served(root) as client:
            client.define(domain, vmi)
        threading.setprofile(watched.see)
        try:
            with _served(root) as client:
                client.info()
                watched.on = True
                answer = client.define(domain, vmi)
                watched.on = False
        finally:
            threading.setprofile(None)
    if ADDRESS.partition(":")[2].partition(":")[0].encode() not in answer:
        raise AssertionError("the call put nothing in")
    return watched


@contextmanager
def _served(root: str) -> Iterator[Client]:
    core = HookCore(lambda: Channels(environment={"QAT0": ADDRESS}), looker(f"{root}/host", bars=True))
    calls = Calls(lambda: core, wait=0)
    server = Server(hook_methods(calls, lambda: None, None))
    place = UnixSocket(root, "watched")
    place.publish(server.listen)
    try:
        yield Client(str(Path(place.path)))
    finally:
        place.remove()
        server.stop()


def _floor(path: str) -> str:
    if "/stubs/" in path:
        return ""
    return next((floor for floor, tree in _TREES.items() if path.startswith(tree)), "")


if __name__ == "__main__":
    sys.stdout.writelines(f"{path}\n" for path in sorted(watch_call().files))
