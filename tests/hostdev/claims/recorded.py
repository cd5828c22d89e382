"""Claims and files of a real Kubernetes 1.36.2, as its API server, a driver and the Go library had them."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from tests.house import ROOT

FIXTURES = ROOT / "tests/fixtures/claims"
DRIVER = "units.lab.dev"
_CLAIMS = json.loads((FIXTURES / "resourceclaims.json").read_text())
_FILES = json.loads((FIXTURES / "files.json").read_text())


def claim(name: str = "allocated-reserved", *, parameters: bool = False) -> dict[str, Any]:
    """A claim; without the parameters that the recorded driver took, and this one does not."""
    found: dict[str, Any] = deepcopy(_CLAIMS[name])
    if not parameters:
        found["status"]["allocation"]["devices"].pop("config", None)
    return found


def metadata(name: str) -> dict[str, Any]:
    found: dict[str, Any] = _FILES["metadata"][name]
    return found


def cdi(name: str) -> dict[str, Any]:
    found: dict[str, Any] = _FILES["cdi"][name]
    return found
