"""Claims read from an API server over HTTP, and what is prepared when it is away or says no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hooksidecar.claims.apiserver import ApiServer
from hooksidecar.claims.prepare import Preparer
from hooksidecar.claims.source import ClaimRef
from hooksidecar.claims.sweep import Sweep
from tests.apiserver.faults import refuse
from tests.apiserver.lifecycle import allocate, claim_of, release, reserve
from tests.apiserver.server import ApiServerDouble
from tests.hooksidecar.claims.node import BOOT, NODE, Node, cards, names
from tests.hostdev.kubelet.claims import DRIVER

(FIRST,) = names(cards(0x3D))
POD = "uid-of-pod"


@pytest.fixture
def node(tmp_path: Path, api: ApiServer) -> Node:
    found = Node(tmp_path / "node", cards(0x3D))
    found.preparer = Preparer(api, found.store, found.offer, node=NODE, driver=DRIVER, boot_id=BOOT)
    found.sweep = Sweep(api, found.store, found.preparer, str(found.kubelet_dir), BOOT)
    found.kubelet_holds()
    return found


def allocated(double: ApiServerDouble, name: str) -> tuple[dict[str, Any], ClaimRef]:
    """A claim that the scheduler has given the device."""
    storage = double.storage
    claim = storage.create("resourceclaims", claim_of(name, "gpu", "gpu.example.com", "gpu"), "default")
    result = {"request": "gpu", "driver": DRIVER, "pool": NODE, "device": FIRST}
    claim = reserve(storage, allocate(storage, claim, [result]), "pod", POD)
    return claim, ClaimRef("default", claim["metadata"]["uid"], name)


def test_what_is_prepared_stays_so_with_the_api_server_away_and_is_swept_when_it_is_back(
    double: ApiServerDouble, node: Node
) -> None:
    claim, ref = allocated(double, "first")
    answer = node.prepare(ref)
    url = double.url
    double.stop()

    assert node.prepare(ref) == answer
    (finding,) = node.sweep.run()
    assert "did not get it" in finding.message
    double.start()
    assert double.url == url
    assert node.sweep.run() == ()
    assert node.files() != {}
    release(double.storage, claim, POD)
    assert node.sweep.run() == ()
    assert node.files() == {}


def test_a_claim_that_is_not_there_is_told_with_the_words_of_the_api_server(node: Node) -> None:
    sentence = node.refusal(ClaimRef("default", "f1f1f1f1-1313-498d-8f47-9c7d59942ba3", "gone"))

    assert sentence.startswith(
        "api-refused: resourceclaims/default/gone: the API server refuses to get it, 404 NotFound"
    )


def test_an_api_server_that_has_too_much_to_do_is_asked_again(double: ApiServerDouble, node: Node) -> None:
    _, ref = allocated(double, "first")
    double.fail(refuse(429, retry_after="0"), times=1, verb="get")

    assert node.prepare(ref)


def test_an_account_that_may_not_read_claims_is_told(double: ApiServerDouble, node: Node) -> None:
    _, ref = allocated(double, "first")
    double.fail(refuse(403), times=1, verb="get")

    assert "403" in node.refusal(ref)
    assert node.prepare(ref)
