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
CLAIMS = "overlays/claims"
"""The driver of resource claims, beside that agent."""
FOLDERS = ("overlays/sidecar", "overlays/agent-observe", "overlays/agent", *MANAGERS, CLAIMS, *PLUGINS, "kyverno")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def daemon(folder: str, name: str = "") -> dict[str, Any]:
    """The pod of the agent, or that of another DaemonSet."""
    found: dict[str, Any] = manifest(folder, "DaemonSet", name)["spec"]["template"]["spec"]
    return found


def manifest(folder: str, kind: str, name: str = "") -> dict[str, Any]:
    """The only object of a kind, or that of a name."""
    there = (found for found in render(DEPLOY / folder) if found["kind"] == kind)
    (found,) = (found for found in there if not name or found["metadata"]["name"] == name)
    return found
