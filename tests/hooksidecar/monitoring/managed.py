"""The real agent that keeps a node state, with a driver core of the tests for a kernel."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

from hooksidecar.agent import main, manager, options
from hooksidecar.process import stop_on_signals
from hostdev.binding.steward import Steward
from tests.hostdev.binding.hosts import DISK, core, means

HOST = "hgx-h100"
STATE = f"""\
apiVersion: passgate.dev/v1
kind: NodeState
spec:
  devices: [{{match: {{address: "{DISK}"}}, driver: vfio-pci}}]
"""
OFFER = """\
  offer: [{resource: example.com/GPU, match: {id: "10de:2330"}}]
"""


def run(words: list[str]) -> int:
    """Run as the agent does. The first word is how the state is to stand: held, drifted, unread; offered is held."""
    standing, *words = words
    kernel = core(HOST)
    if standing == "drifted":
        kernel.registered.discard("vfio-pci")
    text = STATE + OFFER if standing == "offered" else STATE
    state = b"spec: [" if standing == "unread" else text.encode()
    with tempfile.TemporaryDirectory() as state_dir:
        file = Path(state_dir) / "node-state.yaml"
        file.write_bytes(state)
        steward = Steward(
            lambda: state, "node-state.yaml", None, means(kernel, Path(state_dir)), lambda _host: kernel.machine
        )
        with patch.object(manager, "steward_of", autospec=True, return_value=steward):
            # Of a recorded host, which the command line does not allow.
            chosen = options.parse(words)._replace(manage=str(file), offer=standing == "offered")
            return main._serve(chosen, stop_on_signals())


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
