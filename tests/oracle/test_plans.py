"""Planned VMs before a real libvirt: it takes each domain, and every device gets the place that was planned."""

from __future__ import annotations

import os

import pytest

from domxml.document import Domain
from domxml.errors import PassgateError
from hostdev.kubevirt.channels import Asked
from hostdev.kubevirt.releases import release_of
from hostdev.kubevirt.vmplan import VmPlan, items_of, plan_vm
from tests.boots import RELEASES
from tests.hostdev.kubevirt.generated import vm
from tests.oracle.client import Defined, Oracle
from tests.oracle.fixtures import teller

pytestmark = pytest.mark.oracle

COUNT = int(os.environ.get("PASSGATE_PLANS", "240"))
"""How many VMs; each is planned for one release."""


def planned(number: int) -> VmPlan | None:
    """None for a VM that virt-launcher would refuse."""
    try:
        return plan_vm(vm(number), Asked(release_of(RELEASES[number % len(RELEASES)])))
    except PassgateError as error:
        assert error.exit_code == 5, (number, error)  # noqa: PT017
        return None


def places(xml: bytes) -> list[tuple[str, str]]:
    """Devices and their places; libvirt renames what has no alias of its own, and a port is no device."""
    found = items_of(Domain.parse(xml))
    return sorted((item.element, str(item.guest)) for item in found if item.guest is not None)


def test_libvirt_puts_every_device_where_it_was_planned(oracle: Oracle, request: pytest.FixtureRequest) -> None:
    plans = [(number, plan) for number in range(COUNT) if (plan := planned(number)) is not None]
    known = [(number, plan) for number, plan in plans if plan.items]
    answers = oracle.define_many([plan.last for _, plan in known], jobs=2)
    wrong = [
        (number, plan.release.name, answer if not isinstance(answer, Defined) else _difference(plan, answer))
        for (number, plan), answer in zip(known, answers, strict=True)
        if not isinstance(answer, Defined) or places(plan.final) != places(answer.xml)
    ]
    teller(request)(
        f"{COUNT} VMs: {len(known)} planned, {len(plans) - len(known)} unknown, {COUNT - len(plans)} refused, "
        f"{len(wrong)} different"
    )

    assert wrong == []
    assert len(known) > COUNT * 0.8


def _difference(plan: VmPlan, answer: Defined) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    mine, libvirts = set(places(plan.final)), set(places(answer.xml))
    return mine - libvirts, libvirts - mine
