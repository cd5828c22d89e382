"""A node with a claim that can be prepared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hooksidecar.claims.node import FIRST, Node, claim


@pytest.fixture
def node(tmp_path: Path) -> Node:
    found = Node(tmp_path)
    found.api.put(claim(FIRST))
    return found
