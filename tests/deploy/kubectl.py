"""The kubectl of this machine as a judge, where one is that knows what deploy/ uses."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

WITH_COMPONENTS = (1, 27)
"""The kubectl whose kustomize knows all that deploy/ uses."""


def skip_without() -> None:
    """Skip a test, with the reason, where nothing can judge."""
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl to compare with")
    said = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"Client Version: v(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < WITH_COMPONENTS:
        pytest.skip(f"this kubectl is too old to compare with: {said.strip()}")


def kubectl(folder: Path) -> list[dict[str, Any]]:
    """What `kubectl kustomize FOLDER` prints."""
    done = subprocess.run(["kubectl", "kustomize", folder], check=True, capture_output=True, text=True)
    assert done.stderr == ""
    return list(yaml.safe_load_all(done.stdout))


def by_name(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same in an order of ours."""
    return sorted(objects, key=lambda found: (found["kind"], found["metadata"]["name"]))
