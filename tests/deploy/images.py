"""The images that anything in deploy/ pulls, as a list to mirror: `python -m tests.deploy.images` writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.deploy.kustomize import documents, render
from tests.deploy.manifests import DEPLOY, FOLDERS

LIST = DEPLOY / "images/list.txt"
HOOKS = "hooks.kubevirt.io/hookSidecars"
OURS = re.compile(r"passgate-[a-z]+(?::[\w.]+)?")


def pulled() -> list[str]:
    """Every image of Passgate's in an overlay or an example, without the registry, which is the user's."""
    objects = [one for folder in FOLDERS for one in render(DEPLOY / folder)]
    objects += [one for file in sorted(DEPLOY.glob("examples/*/*.yaml")) for one in documents(file)]
    return sorted({name for one in objects for name in _images(one)})


def _images(one: dict[str, Any]) -> Iterator[str]:
    if one["kind"] == "Kustomization":
        return
    text = json.dumps(one)
    yield from (found for found in OURS.findall(text) if ":" in found)


def text() -> str:
    """The list as it is committed."""
    return "".join(f"{name}\n" for name in pulled())


if __name__ == "__main__":
    LIST.write_text(text())
