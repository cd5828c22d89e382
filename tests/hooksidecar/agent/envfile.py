"""What the agent is to write for a grant, and reading what it wrote."""

from __future__ import annotations

from pathlib import Path

from hostdev.allocation.env_file import parse_env_file

ENVS = {"QAT0": "0000:3d:02.2", "NAME-WITH-DASH": "a=b 'c' \"d\" $e"}
BOOT = "0b2a8e5e-6e0c-4f8e-9d2c-6f9a3c1d7e11"


def variables(path: Path) -> dict[str, str]:
    """What the sidecar reads, the agent's mark left out."""
    file = parse_env_file(path.read_bytes())
    assert file.findings == ()
    return {name: value for name, value in file.variables.items() if not name.startswith("#")}
