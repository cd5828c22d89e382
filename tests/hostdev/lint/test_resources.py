"""What is wanted in the guest, against what the spec asks kubelet for."""

from __future__ import annotations

from typing import Any

import pytest

from domxml.finding import Severity
from tests.hostdev.lint.build import QAT, found, told

NIC = "intel.com/nic"
LIMITS = "spec.template.spec.domain.resources"
MULTUS = {"networks": [{"name": "n", "multus": {"networkName": "lab/vf"}}]}
VF = {"devices": {"interfaces": [{"name": "n", "sriov": {}}]}}


def test_nothing_is_wrong_with_a_vm_that_is_right() -> None:
    assert told() == []


def test_a_resource_that_nothing_asks_for() -> None:
    (finding,) = found([{"resource": QAT, "count": 2}], limits={})

    assert (finding.code, finding.severity) == ("resource-not-requested", Severity.ERROR)
    assert finding.subject == "passgate.dev/devices[0].resource"
    assert finding.message == f"nothing in the spec asks kubelet for {QAT}"
    assert finding.hint == f'add {QAT}: "2" to {LIMITS}.limits'


def test_a_resource_that_is_misspelt_names_the_nearest() -> None:
    (finding,) = [one for one in found([{"resource": "qat.intel.com/generik"}]) if one.severity is Severity.ERROR]

    assert f"did you mean {QAT}?" in finding.hint


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"spec": MULTUS, "domain": VF}, "maybe the NetworkAttachmentDefinition lab/vf does"),
        ({"vm": {"instancetype": {"name": "u1"}}}, "maybe the instancetype u1 does"),
    ],
)
def test_a_resource_may_come_from_what_the_manifest_does_not_show(changes: Any, where: str) -> None:
    (finding,) = [one for one in found([{"resource": NIC}], **{"limits": {}, **changes}) if NIC in one.message]

    assert (finding.code, finding.severity) == ("resource-not-requested", Severity.WARNING)
    assert where in finding.message


@pytest.mark.parametrize("kind", ["gpus", "hostDevices"])
def test_devices_of_the_spec_ask_for_their_resources(kind: str) -> None:
    devices = {"devices": {kind: [{"name": "a", "deviceName": NIC}, {"name": "b", "deviceName": NIC}]}}

    assert told([{"resource": NIC, "count": 2}], limits={}, domain=devices) == []
    assert told([{"resource": NIC, "count": 3}], limits={NIC: 1}, domain=devices) == []


def test_fewer_than_wanted() -> None:
    assert told([{"resource": QAT, "count": 2}]) == [
        f"error request-count-mismatch passgate.dev/devices[0]: 2 devices of {QAT} wanted, the spec asks kubelet for 1"
    ]
    assert told([{"resource": QAT, "guestAddress": ["0000:09:00.0", "0000:0a:00.0"]}])[0].startswith(
        "error request-count-mismatch"
    )
    assert told([{"resource": QAT, "name": "a", "count": 1}, {"resource": QAT, "name": "b", "count": 1}]) == [
        f"error request-count-mismatch passgate.dev/devices[0]: 2 devices of {QAT} wanted, the spec asks kubelet for 1"
    ]


def test_fewer_than_wanted_but_for_what_the_manifest_does_not_show() -> None:
    (finding,) = found([{"resource": QAT, "count": 2}], vm={"instancetype": {"name": "u1"}})

    assert (finding.code, finding.severity) == ("request-count-mismatch", Severity.WARNING)


def test_more_than_wanted() -> None:
    assert told([{"resource": QAT, "count": 2}], limits={QAT: "3"}) == [
        (
            f"warning request-count-mismatch passgate.dev/devices[0]: 2 devices of {QAT} wanted, the spec asks kubelet "
            "for 3; the rest stays unused"
        )
    ]
    assert told([{"resource": QAT}], limits={QAT: "3"}) == []


def test_an_entry_that_leaves_nothing_to_the_next() -> None:
    devices = [{"resource": QAT, "name": "a"}, {"resource": QAT, "name": "b", "count": 1}]

    assert told(devices, limits={QAT: 2}) == [
        (
            f"error request-count-mismatch passgate.dev/devices[0]: takes every device of {QAT}, of which "
            "passgate.dev/devices[1] wants some too"
        )
    ]


def test_a_resource_that_is_allocated_for_nobody() -> None:
    assert told(limits={QAT: 1, NIC: 2}) == [
        (
            f"info resource-not-passed {LIMITS}.limits[{NIC}]: 2 devices of {NIC} will be allocated, and "
            "passgate.dev/devices does not name it"
        )
    ]


@pytest.mark.parametrize(
    ("devices", "limits"),
    [
        (None, {QAT: 1, NIC: 1}),
        ([{"address": "3d:02.2"}], {QAT: 1}),
        ([{"resource": QAT}], {QAT: 1, NIC: 0}),
    ],
)
def test_a_resource_that_somebody_may_want(devices: Any, limits: Any) -> None:
    assert told(devices, limits=limits) == []


@pytest.mark.parametrize(
    ("limits", "requests", "seen"),
    [
        ({QAT: 1}, {QAT: 2}, f"{QAT}: the request is 2, the limit 1"),
        ({QAT: 1}, {NIC: 1, QAT: 1}, f"{NIC}: the request is 1, there is no limit"),
    ],
)
def test_a_request_that_is_not_its_limit(limits: Any, requests: Any, seen: str) -> None:
    resource = seen.split(":", maxsplit=1)[0]

    assert told(limits=limits, requests=requests) == [
        f"error resource-limits-differ {LIMITS}.requests[{resource}]: {seen}"
    ]


def test_equal_requests_are_fine() -> None:
    assert told(limits={QAT: "1"}, requests={QAT: 1, "cpu": 2}) == []


def test_an_address_in_a_pod_without_devices() -> None:
    (finding,) = found([{"address": "3d:02.2"}], limits={})

    assert (finding.code, finding.severity) == ("address-not-allocated", Severity.WARNING)
    assert "0000:3d:02.2" in finding.message
    assert found([{"address": "3d:02.2"}], limits={}, vm={"instancetype": {"name": "u1"}}) == []
