"""An interface of a network binding plugin: network-info may name its device, which KubeVirt does not see."""

from __future__ import annotations

from tests.hostdev.lint.build import found

FRONT = {"devices": {"interfaces": [{"name": "front", "binding": {"name": "passgate"}}]}}


def codes(**domain: object) -> set[str]:
    return {finding.code for finding in found([{"device": "front"}], domain={**FRONT, **domain}, limits={})}


def test_it_may_have_a_device() -> None:
    assert codes() == set()


def test_its_device_needs_locked_memory() -> None:
    assert codes(memory={"guest": "4Gi"}) == {"memlock-not-raised"}
