"""The manifests of deploy/, rendered, and the objects in them."""

from __future__ import annotations

import tomllib
from typing import Any

from tests.deploy.kustomize import render
from tests.house import ROOT

DEPLOY = ROOT / "deploy"
PLUGINS = ("overlays/plugin", "overlays/plugin-launcher-hooks")
"""The same in the words of the Plugin API's first alpha and of its second."""
MANAGERS = ("overlays/agent-manage", "overlays/offer")
"""The agent that changes its node, and the one that also offers what there is."""
FOLDERS = ("overlays/sidecar", "overlays/agent-observe", "overlays/agent", *MANAGERS, *PLUGINS, "kyverno")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def daemon(folder: str) -> dict[str, Any]:
    """The pod of the agent."""
    found: dict[str, Any] = manifest(folder, "DaemonSet")["spec"]["template"]["spec"]
    return found


def manifest(folder: str, kind: str) -> dict[str, Any]:
    """The only object of a kind."""
    (found,) = (found for found in render(DEPLOY / folder) if found["kind"] == kind)
    return found
