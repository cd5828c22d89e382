"""One device for one pod."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from domxml.errors import SENTENCE_LIMIT, Refused
from hostdev.holders.pods import granted_twice, held_by_others
from hostdev.inventory.machine import Machine
from hostdev.kubelet.checkpoint import Grant
from tests.hostdev.gate.build import at, function, machine
from tests.hostdev.holders.grants import UUID, grant

A, B, C = "0000:3d:02.1", "0000:3d:02.2", "0000:65:00.0"
POD, OTHER = "0a1b2c3d-0000-4000-8000-123456789abc", "0a1b2c3d-0000-4000-8000-123456789abd"
HOST = machine(function(A, group=43), function(B, group=44), function(C, group=44))

CASES: Mapping[str, tuple[tuple[Grant, ...], str]] = {
    "one device in two resources": ((grant(A, pod=POD), grant(A, pod=OTHER, resource="x.y/z")), A),
    "halves of a group": ((grant(B, pod=POD), grant(C, pod=OTHER)), "group 44"),
    "a mediated device": ((grant(UUID, pod=POD), grant(UUID, pod=OTHER)), UUID),
    "two resources of one pod": ((grant(A, pod=POD), grant(A, pod=POD, resource="x.y/z")), ""),
    "a device each": ((grant(A, pod=POD), grant(B, pod=OTHER)), ""),
    "no devices of ours": ((grant("kvm0", pod=POD), grant("kvm0", pod=OTHER)), ""),
}


@pytest.mark.parametrize("case", CASES)
def test_granted_twice(case: str) -> None:
    grants, subject = CASES[case]
    findings = granted_twice(grants, HOST)

    assert [finding.subject for finding in findings] == ([subject] if subject else [])
    for finding in findings:
        assert finding.code == "granted-twice"
        assert POD in finding.message
        assert OTHER in finding.message
        assert len(finding.evidence) == 2
        refusal = Refused(finding.code, finding.message, subject=finding.subject, hint=finding.hint)
        assert len(str(refusal)) < SENTENCE_LIMIT


def test_a_group_on_the_hosts_driver_may_be_shared() -> None:
    """Containers with VFs of a NIC use the kernel's driver, and share a group without harm."""
    host = machine(function(B, group=44, driver="iavf"), function(C, group=44, driver="iavf"))

    assert granted_twice((grant(B, pod=POD), grant(C, pod=OTHER)), host) == ()


def test_what_others_hold() -> None:
    grants = (grant(A, pod=POD), grant(B, pod=OTHER), grant(UUID, pod=OTHER))
    held = held_by_others(grants, {POD}, HOST)

    assert set(held) == {at(B), UUID}
    assert held[at(B)] == f"pod {OTHER}, granted as a.b/c"
    assert held_by_others(grants, {POD, OTHER}, HOST) == {}
    assert set(held_by_others(grants, (), Machine())) == {at(A), at(B), UUID}
