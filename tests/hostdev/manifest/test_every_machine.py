"""On every recorded machine: documents that follow their schemas, and VMs that lint has nothing to say against."""

from __future__ import annotations

import itertools
import json
from functools import cache
from typing import Any

import pytest

from domxml.errors import PassgateError
from hostdev.inventory.machine import Machine
from hostdev.lint.lint import lint
from hostdev.manifest.make import Made
from hostdev.manifest.pool import By
from hostdev.manifest.selection import candidates
from hostdev.vmi.file import parse_manifest
from tests.deploy import schemas
from tests.hostdev.cli.running import MACHINES, machine
from tests.hostdev.cli.validator import errors, schema
from tests.hostdev.manifest.making import complaints, made, vm

EVERY = sorted(file.stem for file in MACHINES.glob("*.toml"))
BARREN = {"consumer-gpu", "empty", "no-iommu", "noiommu", "nvme-in-gpu-group", "vmd"}
"""Nothing passes there."""
WAYS = [None, *By]


def selections(host: str) -> list[str]:
    """Every kind that passes, and every function, however unfit; the VFs of one PF are alike."""
    functions = machine(host).functions
    others = {vf for function in functions.values() for vf in function.virtfns[1:]}
    return [*candidates(machine(host)), *(str(address) for address in functions if address not in others)]


@cache
def possible(host: str, by: str | None) -> tuple[list[tuple[str, Made]], list[PassgateError]]:
    """What can be made, and the refusals."""
    found, refused = [], []
    for selection in selections(host):
        # Of most devices nobody knows what a plugin would call them.
        resource = "a.b/c" if by == By.PLUGIN else ""
        try:
            found.append((selection, made(host, selection, by=by, resource=resource)))
        except PassgateError as error:
            refused.append(error)
    return found, refused


def test_there_are_machines_with_candidates() -> None:
    assert {host for host in EVERY if not candidates(machine(host))} == BARREN


@pytest.mark.parametrize("host", EVERY)
@pytest.mark.parametrize("by", WAYS)
def test_the_vm_is_without_fault(host: str, by: str | None) -> None:
    for selection, documents in possible(host, by)[0]:
        assert complaints(documents) == set(), selection
        assert vm(documents).vmi.annotations


@pytest.mark.parametrize("host", EVERY)
@pytest.mark.parametrize("by", WAYS)
def test_what_cannot_be_made_is_told_in_a_sentence(host: str, by: str | None) -> None:
    for error in possible(host, by)[1]:
        assert error.hint
        assert str(error) == error.sentence()


@pytest.mark.parametrize("host", EVERY)
def test_what_passes_can_be_made(host: str) -> None:
    for selection in candidates(machine(host)):
        documents = made(host, selection)

        assert complaints(documents) == set()
        assert [finding for finding in documents.findings if finding.severity == "error"] == []


def test_the_documents_follow_their_schemas() -> None:
    """One of each shape; a schema has little to say about names."""
    shapes: dict[str, Any] = {}
    for host, by in itertools.product(EVERY, WAYS):
        for _, documents in possible(host, by)[0]:
            for document in itertools.chain(*documents.parts.values()):
                shapes.setdefault(json.dumps(_shape(document)), document)

    assert {document["kind"] for document in shapes.values()} == {
        *("ConfigMap", "KubeVirt", "NetworkAttachmentDefinition"),
        *("SriovNetwork", "SriovNetworkNodePolicy", "VirtualMachine", "NodeState"),
        *("DeviceClass", "ResourceClaimTemplate"),
    }
    for document in shapes.values():
        if document["kind"] == "NodeState":
            assert [*errors(document, schema("nodestate.json"))] == []
        else:
            schemas.check(document)


def test_a_kubevirt_object_is_really_checked() -> None:
    (document,) = made("qat", "8086:37c9").parts["cluster"]
    document["spec"]["configuration"]["permittedHostDevices"]["pciHostDevices"][0]["unheardOf"] = 1

    with pytest.raises(Exception, match="unheardOf"):
        schemas.check(document)


def test_lint_would_say_something() -> None:
    """Without what the VM has for it, there is a fault."""
    (document,) = made("qat", "8086:37c9", by="plugin").parts["vm"]
    spec = document["spec"]["template"]["spec"]
    without: list[tuple[dict[str, Any], str]] = [
        (spec, "evictionStrategy"),
        (spec["domain"]["memory"], "reservedOverhead"),
        (spec["domain"], "resources"),
    ]
    for place, key in without:
        kept = place.pop(key)
        text = json.dumps(document).encode()
        place[key] = kept

        assert {finding.code for finding in lint(parse_manifest(text))} - {"network-injector", "sidecar-gate"}, key


@pytest.mark.parametrize("host", EVERY)
def test_the_order_of_the_machine_is_not_seen(host: str) -> None:
    seen = machine(host)
    turned = Machine(**{**{name: getattr(seen, name) for name in seen.__slots__},
                        "functions": dict(reversed(list(seen.functions.items())))})  # fmt: skip
    for selection in candidates(seen):
        assert made(turned, selection) == made(seen, selection)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: item if key == "kind" else _shape(item) for key, item in value.items()}
    return [_shape(item) for item in value] if isinstance(value, list) else type(value).__name__
