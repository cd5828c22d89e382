"""Names and numbers that may be given only once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hostdev.lint.build import QAT, told

NIC = "intel.com/nic"
LIMITS = {QAT: 3, NIC: 3}
DEVICES = {
    "disks": [{"name": "root", "bootOrder": 1, "disk": {}}],
    "interfaces": [{"name": "net", "sriov": {}, "bootOrder": 2, "acpiIndex": 7}],
}


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"bootOrder": 1}, "bootOrder: root has bootOrder 1 already"),
        ({"bootOrder": 2}, "bootOrder: net has bootOrder 2 already"),
        ({"acpiIndex": 7}, "acpiIndex: net has acpiIndex 7 already"),
    ],
)
def test_a_number_that_the_spec_has_given(extra: dict[str, int], message: str) -> None:
    assert told([{"resource": QAT, **extra}], domain={"devices": DEVICES}) == [
        f"error attribute-taken passgate.dev/devices[0].{message}"
    ]


def test_a_number_that_two_entries_want() -> None:
    devices = [{"resource": QAT, "acpiIndex": 3}, {"device": "net", "acpiIndex": 3, "bootOrder": 3}]

    assert told(devices, domain={"devices": DEVICES}) == [
        "error attribute-taken passgate.dev/devices[1].acpiIndex: passgate.dev/devices[0] has acpiIndex 3 already"
    ]


def test_a_device_may_keep_its_own_number() -> None:
    devices = [{"resource": QAT, "bootOrder": 3, "acpiIndex": 1}, {"device": "net", "acpiIndex": 7, "bootOrder": 2}]

    assert told(devices, domain={"devices": DEVICES}) == []


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        ({"resource": QAT, "name": "a", "count": 3}, {"resource": NIC, "name": "a", "count": 3}, "a"),
        ({"resource": QAT, "name": "a"}, {"resource": NIC, "name": "a-2", "count": 3}, "a-2"),
        ({"resource": QAT, "count": 3}, {"resource": NIC, "name": "qat-intel-com-generic"}, "qat-intel-com-generic"),
        ({"resource": NIC, "name": "a-7", "count": 3}, {"resource": QAT, "name": "a", "functions": "all"}, "a-7"),
    ],
)
def test_names_that_may_meet(first: Any, second: Any, name: str) -> None:
    lines = told([first, second], limits=LIMITS)

    assert lines == [
        f"warning name-collision passgate.dev/devices[1]: may be named {name}, and so may passgate.dev/devices[0]"
    ]


def test_resources_that_differ_only_in_what_libvirt_does_not_keep() -> None:
    (line,) = told([{"resource": "a.b/c"}, {"resource": "a-b/c"}], limits={"a.b/c": 1, "a-b/c": 1})

    assert "may be named a-b-c" in line


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"resource": QAT, "name": "a"}, {"resource": NIC, "name": "b"}),
        ({"resource": QAT, "name": "a", "count": 3}, {"resource": NIC, "name": "a-4", "count": 3}),
        ({"resource": QAT}, {"resource": NIC}),
    ],
)
def test_names_that_cannot_meet(first: Any, second: Any) -> None:
    assert told([first, second], limits=LIMITS) == []
