"""What earlier processes left: kept while a pod may use it, and taken away when none can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hostdev.kubelet.drastate import FILE
from tests.hooksidecar.claims.node import AWAY, CDI, FIRST, GONE, OTHER, OTHER_BOOT, REF, SECOND, Node, claim
from tests.hostdev.kubelet.claims import DRIVER


def _unallocated() -> dict[str, Any]:
    return {**claim(FIRST), "status": {}}


@pytest.fixture
def node(node: Node) -> Node:
    """A claim is prepared, and kubelet does not hold it any more."""
    node.prepare()
    node.kubelet_holds()
    node.start()
    return node


@pytest.mark.parametrize("answer", [GONE, _unallocated(), claim(FIRST, ref=REF._replace(uid=OTHER.uid))])
def test_a_claim_that_neither_kubelet_nor_the_api_server_has_is_swept(node: Node, answer: Any) -> None:
    heard: list[int] = []
    node.preparer.on_change = lambda: heard.append(1)
    node.api.put(answer)

    assert node.sweep.run() == ()
    assert node.files() == {}
    assert heard == [1]


@pytest.mark.parametrize("answer", [claim(FIRST), {"metadata": {}}, {"metadata": {"uid": REF.uid}, "status": 1}])
def test_a_claim_that_is_allocated_is_kept(node: Node, answer: Any) -> None:
    node.api.put(answer)
    before = node.files()

    node.sweep.run()

    assert node.files() == before


def test_what_kubelet_holds_is_kept_whatever_the_api_server_says(node: Node) -> None:
    node.kubelet_holds(REF)
    node.api.put(GONE)
    before = node.files()

    assert node.sweep.run() == ()
    assert node.files() == before


def test_with_the_api_server_away_everything_is_kept_and_told(node: Node) -> None:
    node.api.put(AWAY)
    before = node.files()

    (finding,) = node.sweep.run()

    assert finding.code == "claim-left-behind"
    assert "whether it is in use is not known: api-unreachable" in finding.message
    assert node.files() == before
    node.api.put(GONE)
    assert node.sweep.run() == ()
    assert node.files() == {}


def _damage(node: Node) -> None:
    (node.kubelet_dir / FILE).write_bytes(b"{}")


def _lose(node: Node) -> None:
    (node.kubelet_dir / FILE).unlink()


@pytest.mark.parametrize("change", [_damage, _lose])
def test_without_kubelets_record_everything_is_kept_and_told(node: Node, change: Callable[[Node], None]) -> None:
    change(node)
    node.api.put(GONE)
    (node.cdi_dir / f"{DRIVER}-{OTHER.uid}.json").write_text("{}")
    before = node.files()

    (finding,) = node.sweep.run()

    assert "kubelet's record of claims cannot be read" in finding.message
    assert node.files() == before
    assert node.api.asked[1:] == []


def test_after_a_reboot_what_kubelet_does_not_hold_is_swept_without_the_api_server(node: Node) -> None:
    node.api.put(AWAY)
    node.start(OTHER_BOOT)

    assert node.sweep.run() == ()
    assert node.files() == {}


def test_after_a_reboot_what_kubelet_holds_is_kept_until_it_is_prepared_again(node: Node) -> None:
    (node.kubelet_dir.parent / CDI).unlink()
    node.kubelet_holds(REF)
    node.start(OTHER_BOOT)
    before = node.files()

    assert node.sweep.run() == ()
    assert node.files() == before
    node.prepare()
    assert CDI in node.files()


def test_missing_files_of_what_is_held_are_made_again_for_containers_that_restart(node: Node) -> None:
    node.kubelet_holds(REF)
    before = node.files()
    for path in before:
        if "claims/" not in path:
            (node.kubelet_dir.parent / path).unlink()

    assert node.sweep.run() == ()
    assert node.files() == before


def test_files_without_a_record_are_swept_and_those_of_others_are_not(node: Node) -> None:
    node.kubelet_holds(REF)
    before = node.files()
    metadata = node.kubelet_dir / f"plugins/{DRIVER}/dra-device-metadata"
    (node.cdi_dir / f"{DRIVER}-{OTHER.uid}.json").write_text("{}")
    (node.cdi_dir / f".{DRIVER}-{OTHER.uid}.json.new").write_text("{")
    (metadata.parent / f"claims/.{OTHER.uid}.json.new").write_text("{")
    (metadata / "default_other/gpu").mkdir(parents=True)
    (metadata / "default_other/gpu/metadata.json").write_text("{}")
    kept = [node.cdi_dir / "vendor.example.com-x.json", node.cdi_dir / f"{DRIVER}.example-{OTHER.uid}.json"]
    for path in kept:
        path.write_text("{}")

    assert node.sweep.run() == ()
    assert set(node.files()) == {*before, *(str(path.relative_to(node.kubelet_dir.parent)) for path in kept)}
    assert not (metadata / "default_other").exists()


@pytest.mark.parametrize("content", [b"{", b'{"apiVersion": "passgate.dev/v2", "kind": "ClaimRecord"}'])
def test_what_belongs_to_a_record_that_cannot_be_read_is_kept(node: Node, content: bytes) -> None:
    next(node.kubelet_dir.glob("plugins/*/claims/*.json")).write_bytes(content)
    before = node.files()

    node.sweep.run()

    assert node.files() == before


def test_files_without_a_record_of_what_kubelet_holds_are_kept(node: Node) -> None:
    node.kubelet_holds(REF, OTHER)
    node.api.put(AWAY, OTHER)
    path = node.cdi_dir / f"{DRIVER}-{OTHER.uid}.json"
    path.write_text("{}")

    (finding,) = node.sweep.run()

    assert finding.code == "claim-record-unreadable"
    assert "what was prepared of it is lost: api-unreachable" in finding.message
    assert path.exists()


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(b"{")])
def test_a_record_that_is_lost_while_kubelet_holds_the_claim_is_made_again(
    node: Node, change: Callable[[Path], object]
) -> None:
    node.kubelet_holds(REF)
    before = node.files()
    change(next(node.kubelet_dir.glob("plugins/*/claims/*.json")))

    assert node.sweep.run() == ()
    assert node.files() == before


def test_a_claim_that_is_prepared_again_while_it_is_judged_is_kept(node: Node) -> None:
    def answer(_within: float) -> dict[str, Any]:
        node.kubelet_holds(REF)
        node.prepare()
        return _unallocated()

    node.api.put(answer)

    assert node.sweep.run() == ()
    assert CDI in node.files()


def test_an_api_server_that_is_away_is_waited_for_once_a_run(node: Node) -> None:
    node.api.put(claim(SECOND, ref=OTHER), OTHER)
    node.prepare(OTHER)
    for ref in (REF, OTHER):
        node.api.put(AWAY, ref)
    before = len(node.api.asked)

    assert [finding.subject for finding in node.sweep.run()] == [f"claim default/{REF.name}", "claim default/other"]
    assert len(node.api.asked) == before + 1
