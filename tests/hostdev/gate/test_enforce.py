"""The gate as a VM meets it: the first error refuses, unless its author allows it."""

from __future__ import annotations

import pytest

from domxml.errors import Refused
from domxml.source import Mdev
from hostdev.gate.check import check, enforce
from hostdev.inventory.machine import Machine
from tests.hostdev.gate.build import at, function, machine

D = "0000:65:00.0"
UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
RIGHT = machine(function(D))
WRONG = machine(function(D, driver="ixgbe"))
UNSEEN = machine(function(D), unread=((f"/sys/bus/pci/devices/{D}/driver", "Input/output error"),))


def test_what_is_right_is_told_and_not_refused() -> None:
    assert enforce(RIGHT, [at(D)]) == check(RIGHT, [at(D)])


def test_an_error_refuses_with_the_finding() -> None:
    with pytest.raises(Refused) as refused:
        enforce(WRONG, [at(D)])

    assert (refused.value.code, refused.value.subject) == ("not-bound-to-vfio", D)
    assert refused.value.message in {finding.message for finding in check(WRONG, [at(D)])}


def test_what_could_not_be_seen_refuses() -> None:
    with pytest.raises(Refused, match="could not be read"):
        enforce(UNSEEN, [at(D)])


@pytest.mark.parametrize("host", [WRONG, UNSEEN], ids=["wrong", "unseen"])
def test_what_is_allowed_is_told(host: Machine) -> None:
    found = check(host, [at(D)])

    assert enforce(host, [at(D)], allowed={finding.code for finding in found}) == found


def test_a_mediated_device_that_another_has() -> None:
    findings = check(RIGHT, (), mdevs=[UUID], held={UUID: "pod a"})

    assert [(finding.code, finding.subject, finding.message) for finding in findings] == [
        ("mdev-missing", UUID, "no such mediated device, none exists"),
        ("device-in-use", UUID, "is held by pod a"),
    ]
    with pytest.raises(Refused, match="no such mediated device"):
        enforce(RIGHT, [Mdev(UUID)], held={UUID: "pod a"})
