"""A node with a claim that can be prepared; an API server, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hooksidecar.claims.apiserver import ApiServer
from tests.apiserver.server import ApiServerDouble
from tests.hooksidecar.claims.apiclients import client
from tests.hooksidecar.claims.node import FIRST, Node, claim


@pytest.fixture
def node(tmp_path: Path) -> Node:
    found = Node(tmp_path)
    found.api.put(claim(FIRST))
    return found


@pytest.fixture
def double() -> Iterator[ApiServerDouble]:
    with ApiServerDouble() as double:
        yield double


@pytest.fixture
def api(double: ApiServerDouble, tmp_path: Path) -> Iterator[ApiServer]:
    with closing(client(double, tmp_path)) as api:
        yield api
