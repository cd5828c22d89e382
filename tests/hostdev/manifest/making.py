"""What the tests of manifests share: the documents of a recorded machine."""

from __future__ import annotations

import json
from typing import Any

from hostdev.inventory.machine import Machine
from hostdev.inventory.pciids import namer
from hostdev.lint.lint import lint
from hostdev.manifest.make import Made, make
from hostdev.manifest.pool import By, Wanted
from hostdev.vmi.file import Manifest, parse_manifest
from tests.hostdev.cli.running import ROOT, machine

_WORTH_KNOWING = {"network-injector", "sidecar-gate", "sidecar-limits", "dra-device"}
NAMES = namer(str(ROOT / "tests/hostdev/manifest/pci.ids"))


def made(host: str | Machine, *selections: str, by: str | None = None, **wanted: Any) -> Made:
    """The documents for devices of a machine."""
    seen = machine(host) if isinstance(host, str) else host
    return make(seen, NAMES, selections, Wanted(by=None if by is None else By(by), **wanted))


def of_kind(documents: Made, kind: str) -> list[dict[str, Any]]:
    """The specs of the documents of a kind."""
    return [one["spec"] for part in documents.parts.values() for one in part if one["kind"] == kind]


def vm(documents: Made) -> Manifest:
    """The VM, read as it would be when it is applied."""
    (found,) = (one for one in documents.parts["vm"] if one["kind"] == "VirtualMachine")
    return parse_manifest(json.dumps(found).encode())


def said(documents: Made) -> list[str]:
    """The codes of the findings."""
    return [finding.code for finding in documents.findings]


def complaints(documents: Made) -> set[str]:
    """What `passgate lint` says against the VM."""
    return {finding.code for finding in lint(vm(documents))} - _WORTH_KNOWING
