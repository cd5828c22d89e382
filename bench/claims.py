"""The driver of resource claims beside the agent, on one host: memory, and what they take while nothing happens.

`python -m bench.claims`.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench.table import MILLISECOND, Goal, goals, show
from tests.hooksidecar.agent.process import AgentProcess
from tests.hooksidecar.claims.cluster import MACHINE, ClaimNode
from tests.kubelet.times import REAL

IDLE = 15.0
"""Seconds that are watched: a turn comes every ten."""
MOST_MEMORY = 1.5
MINUTE = 60.0
"""After which an API server says in a watch that nothing has happened."""


def run() -> Iterator[str]:
    """Both, beside doubles of kubelet and of the API server that are started once."""
    base = Path(tempfile.mkdtemp(prefix="cl-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, base)
        node = ClaimNode(base, stack, REAL)
        node.api.bookmarks_every = MINUTE
        driver = node.serve()
        node.await_driver()
        agent = stack.enter_context(AgentProcess(node.kubelet_dir, "--listen=127.0.0.1:0", host=str(MACHINE))).ready()
        processes = {"the agent": agent, "the driver of claims": driver}
        before = {name: process.cpu_seconds() for name, process in processes.items()}
        time.sleep(IDLE)
        busy = {name: process.cpu_seconds() - before[name] for name, process in processes.items()}
        memory = {name: process.resident() for name, process in processes.items()}
        for name in processes:
            idle = f"{busy[name] * MILLISECOND / IDLE:.1f} ms of a processor a second"
            yield f"  {name:<46} {memory[name]:>8} KiB  {idle}"
        less, more = memory.values()
        yield goals([Goal(f"at most {MOST_MEMORY} times the memory", f"{more / less:.2f}", more <= MOST_MEMORY * less)])


if __name__ == "__main__":
    show(run())
