"""The sidecar as a pod runs it: a process with a mount and an environment, called as virt-launcher calls it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hooksidecar.container import ALLOCATION_FILE
from hooksidecar.rehearsal import readback
from hooksidecar.rehearsal.launcher import Sidecar, collect
from hostdev.kubevirt.boot import Pass, boot
from tests.hooksidecar.guests import guest_of_domain
from tests.hooksidecar.sidecar import Sidecar as Process
from tests.hooksidecar.sidecar import environment
from tests.vmhost.inside.bench import URI
from tests.vmhost.inside.launcher import Guest
from tests.vmhost.inside.scenario import Mismatch, expect

START = 300.0
FLAGS = ("--host", "/", "--wait", "10")
"""A call may take as long as that and 2 s: processors are slow here."""


@contextmanager
def mount(allocation: str = "") -> Iterator[Path]:
    """A hook volume, with an allocation file in it if there is one."""
    with tempfile.TemporaryDirectory(prefix="pod-") as directory:
        file = Path(directory, ALLOCATION_FILE)
        if allocation:
            file.parent.mkdir(parents=True)
            file.write_text(allocation)
        yield Path(directory)


@contextmanager
def sidecar(volume: Path, **variables: str) -> Iterator[Sidecar]:
    """A sidecar in a hook volume, with variables in its environment; Shutdown ends it."""
    with tempfile.TemporaryDirectory(prefix="pod-") as directory:
        # A unix socket has room for 107 bytes, and kubelet's directories take more: a container has a short path.
        place = Path(directory, "hooks")
        place.symlink_to(volume)
        with Process(place, "", *FLAGS, env=environment(**variables)) as process:
            try:
                (found,) = collect([str(place)], 1, START)
                yield found
            except Exception as error:
                raise Mismatch(f"{error}\nthe sidecar's log:\n{process.log_text()}") from error
            found.shutdown()
            code = process.process.wait(START)
            expect(code == 0, f"after Shutdown the sidecar ended with {code}")


def passes(found: Sidecar, guest: Guest) -> Sequence[Pass]:
    """All passes of a boot; libvirt itself reads each answer back."""
    with readback.read_back(URI) as judge:
        domain = guest.domain.encode()
        return boot(domain, lambda xml: found.define(xml, guest.vmi.encode()), judge.define, guest_of_domain(domain))
