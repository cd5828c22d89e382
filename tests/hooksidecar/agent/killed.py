"""Kills the agent at its N-th step within a drop, for every N there is: `killed KUBELET_DIR`, a line of JSON each.

Each N is a process of its own, forked from one that has loaded everything; it runs the agent's own entry point.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from hooksidecar.agent import agent, drop  # noqa: F401  loaded once, before the forks
from hooksidecar.agent.main import main
from tests.hooksidecar.agent.kubelet import FILE, SIDECAR

POD_VOLUME = "volumes/kubernetes.io~empty-dir/hook-sidecar-sockets"


class Steps:
    """Stands in the place of the module os, counts the calls and ends the process at one of them."""

    def __init__(self, last: int) -> None:
        self._left = last

    def step(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*words: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                if name == "write":
                    call(words[0], words[1][: len(words[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*words, **named)

        return stepping

    def __getattr__(self, name: str) -> Any:
        found = getattr(os, name)
        return self.step(name, found) if callable(found) and not isinstance(found, type) else found


def run_agent(directory: str, last: int) -> int:
    """Run the agent once in a process of its own; how it ended."""
    child = os.fork()
    if child == 0:
        if last:
            steps = Steps(last)
            vars(drop)["os"] = steps
            vars(drop)["open_directory"] = steps.step("openat2", vars(drop)["open_directory"])
        os._exit(main(["--once", "--host", "none", "--kubelet-dir", directory, "--log-level", "error"]))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run(directory: str, old: str) -> None:
    """All of them. `old`: what lies in the file's place before."""
    (pod,) = Path(directory, "pods").iterdir()
    for last in count(1):
        volume = pod / POD_VOLUME
        volume.rename(pod.parent.parent / f"used-{old}-{last}")
        path = volume / SIDECAR / FILE
        (volume / SIDECAR).mkdir(parents=True)
        if old:
            path.parent.mkdir(parents=True)
            path.write_text(old)
        code = run_agent(directory, last)
        seen = path.read_text() if path.exists() else None
        repaired = run_agent(directory, 0)
        after = sorted(name.name for name in path.parent.iterdir()) if path.parent.exists() else []
        content = path.read_text() if path.exists() else None
        mode = path.stat().st_mode & 0o777 if path.exists() else None
        line = {"code": code, "seen": seen, "repaired": repaired, "after": after, "content": content, "mode": mode}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        if code == 0:
            return


if __name__ == "__main__":
    run(*sys.argv[1:])
