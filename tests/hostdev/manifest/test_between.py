"""What is wrong between the VM and the SR-IOV objects that are made for it: nothing, until one of them is changed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from hostdev.lint.repository import document_findings
from tests.hostdev.manifest.making import made


def documents(by: str) -> list[dict[str, Any]]:
    return [copy.deepcopy(one) for part in made("kunpeng", "84:00.0", by=by, vlan=7).parts.values() for one in part]


def of_kind(some: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(document for document in some if document["kind"] == kind)


@pytest.mark.parametrize("by", ["operator", "cni"])
def test_what_is_made_meets(by: str) -> None:
    assert document_findings(documents(by)) == ()


def test_a_policy_that_leaves_the_vfs_to_the_host_is_told() -> None:
    some = documents("operator")
    of_kind(some, "SriovNetworkNodePolicy")["spec"]["deviceType"] = "netdevice"

    assert [finding.code for finding in document_findings(some)] == ["policy-netdevice"]


def test_a_network_in_another_namespace_is_told() -> None:
    some = documents("operator")
    of_kind(some, "SriovNetwork")["spec"]["networkNamespace"] = "elsewhere"

    assert [finding.code for finding in document_findings(some)] == ["namespace-unmet"]
