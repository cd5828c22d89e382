"""The policy on ResourceSlices, evaluated as it is written: the driver of a node changes its own, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hooksidecar.claims.apierrors import ApiRefused
from tests.apiserver.access import NODE_NAME, Policies, User, denial
from tests.apiserver.server import ApiServerDouble
from tests.deploy import schemas
from tests.deploy.kustomize import documents
from tests.deploy.manifests import DEPLOY
from tests.hooksidecar.claims.apiclients import client

SLICES = "/apis/resource.k8s.io/v1/resourceslices"
DRIVER = "system:serviceaccount:passgate:passgate-claims"
POLICY, BINDING = documents(DEPLOY / "overlays/claims/driver/policy.yaml")
OTHERS = ("system:serviceaccount:gpu:driver", "system:serviceaccount:passgate:passgate-agent", "admin", "system:node:a")


def slice_of(driver: str = "units.passgate.dev", **placed: object) -> dict[str, Any]:
    """A slice of the node a, or placed otherwise."""
    placed = placed or {"nodeName": "a"}
    pool = {"name": "a", "generation": 1, "resourceSliceCount": 1}
    return {"metadata": {"name": "one"}, "spec": {"driver": driver, "pool": pool, "devices": [], **placed}}


def denied(operation: str, one: dict[str, Any], user: dict[str, Any]) -> str:
    """The message, none where it is let through."""
    new, old = (None, one) if operation == "DELETE" else (one, one if operation == "UPDATE" else None)
    seen = {"request": {"operation": operation, "userInfo": user}, "object": new, "oldObject": old}
    found = denial(POLICY, "resourceslices", seen)
    assert found is None or found[2] == "Forbidden"
    return found[1] if found else ""


def on_node(*nodes: str) -> dict[str, Any]:
    """A token of the driver."""
    return {"username": DRIVER, "extra": {NODE_NAME: list(nodes), "authentication.kubernetes.io/pod-name": ["p"]}}


@pytest.mark.parametrize("one", [POLICY, BINDING], ids=lambda one: one["kind"])
def test_it_follows_its_schema(one: dict[str, Any]) -> None:
    assert schemas.check(one) == "kubernetes-validate"


def test_the_binding_denies() -> None:
    assert BINDING["spec"] == {"policyName": POLICY["metadata"]["name"], "validationActions": ["Deny"]}
    assert POLICY["spec"]["failurePolicy"] == "Fail"


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE", "DELETE"])
class TestOperation:
    """Each of the operations that change slices."""

    def test_its_own_slices_are_its_own(self, operation: str) -> None:
        assert denied(operation, slice_of(), on_node("a")) == ""

    @pytest.mark.parametrize(
        "one",
        [
            slice_of(nodeName="b"),
            slice_of(nodeName="A"),
            slice_of(allNodes=True),
            slice_of(perDeviceNodeSelection=True),
            slice_of(nodeSelector={"nodeSelectorTerms": [{}]}),
        ],
        ids=["another node", "another case", "all nodes", "by device", "by selector"],
    )
    def test_those_of_other_nodes_are_not(self, operation: str, one: dict[str, Any]) -> None:
        assert denied(operation, one, on_node("a")) == (
            "passgate-claims on node a may change the ResourceSlices of that node alone"
        )

    def test_those_of_other_drivers_are_not(self, operation: str) -> None:
        assert "of the driver units.passgate.dev alone" in denied(operation, slice_of("gpu.example.com"), on_node("a"))

    @pytest.mark.parametrize(
        "user",
        [{"username": DRIVER}, {"username": DRIVER, "extra": {}}, on_node(), on_node("a", "b"), on_node("")],
        ids=["nothing", "no node", "empty", "two nodes", "no name"],
    )
    def test_a_token_of_no_node_changes_nothing(self, operation: str, user: dict[str, Any]) -> None:
        assert "is bound to no node" in denied(operation, slice_of(nodeName=""), user)

    @pytest.mark.parametrize("name", OTHERS)
    def test_it_is_for_the_driver_alone(self, operation: str, name: str) -> None:
        """Kubelet wipes slices of its node, and other drivers have their own."""
        assert denied(operation, slice_of("gpu.example.com", nodeName="b"), {"username": name}) == ""


def test_other_resources_are_none_of_its_business() -> None:
    assert denial(POLICY, "resourceclaims", {"request": {"operation": "CREATE"}}) is None


@pytest.fixture
def double() -> Iterator[ApiServerDouble]:
    with ApiServerDouble(policies=Policies([POLICY])) as double:
        double.users = {node: User(DRIVER, node=node) for node in ("a", "b")}
        yield double


def test_a_driver_gets_through_with_its_own_and_is_told_why_not_with_others(
    double: ApiServerDouble, tmp_path: Path
) -> None:
    with closing(client(double, tmp_path, user="a")) as mine, closing(client(double, tmp_path, user="b")) as theirs:
        made = mine.create(SLICES, slice_of())
        changes = (
            lambda: theirs.create(SLICES, slice_of()),
            lambda: theirs.update(f"{SLICES}/one", made),
            lambda: theirs.delete(f"{SLICES}/one"),
        )
        for change in changes:
            with pytest.raises(ApiRefused, match="ValidatingAdmissionPolicy 'passgate-claims'") as caught:
                change()
            assert (caught.value.status, "its own slices" in caught.value.hint) == (403, True)
        mine.delete(f"{SLICES}/one")
