"""An interface of a network binding plugin: network-info may name its device, which KubeVirt does not see."""

from __future__ import annotations

from domxml.finding import Severity
from tests.hostdev.lint.build import found

FRONT = {"devices": {"interfaces": [{"name": "front", "binding": {"name": "passgate"}}]}}


def codes(**domain: object) -> set[str]:
    return {finding.code for finding in found([{"device": "front"}], domain={**FRONT, **domain}, limits={})}


def test_it_may_have_a_device() -> None:
    assert codes() == set()


def test_its_device_needs_locked_memory() -> None:
    assert codes(memory={"guest": "4Gi"}) == {"memlock-not-raised"}


def test_its_sidecar_may_be_the_one_that_reads_the_annotations() -> None:
    (finding,) = found([{"device": "front"}], domain=FRONT, limits={}, hooks=None)

    assert (finding.code, finding.severity) == ("no-hook-sidecar", Severity.INFO)
    assert finding.hint == "nothing to do if the network binding plugin passgate brings Passgate"
