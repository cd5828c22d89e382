"""The synthesised machines of tests/fixtures/machines, by file name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from hostdev.inventory.host import Host
from hostdev.inventory.recorded.recorder import snapshot
from hostdev.inventory.recorded.recording import Recording
from tests.hostdev import layout
from tests.hostdev.machines import gpus, servers, views

MACHINES: Mapping[str, Callable[[], Recording]] = {
    build.__name__.replace("_", "-"): build for build in (*servers.MACHINES, *gpus.MACHINES, *views.MACHINES)
}


def recorded(name: str) -> str:
    """What `passgate node snapshot` would write on such a machine."""
    recording = MACHINES[name]()
    with TemporaryDirectory() as directory:
        layout.write(recording, Path(directory))
        with Host(directory) as host:
            return snapshot(host, machine=name, note=recording.note)
