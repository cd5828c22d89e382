"""Which of a pod's devices are the VM's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domxml.errors import BadInput
from hostdev.allocation.allocation import Allocation, Usb
from hostdev.holders.pods import devices_of, may_have_devices, outright_devices, pods_of
from hostdev.vmi.vmi import Vmi, parse_vmi
from tests.hostdev.gate.build import at, function, machine
from tests.hostdev.holders.grants import grant

A, B = "0000:3d:02.1", "0000:3d:02.2"
HOST = machine(function(A, group=43), function(B, group=44))
QAT = grant("x", env={"QAT0": A}, resource="qat.intel.com/generic")
NIC = grant(B, resource="intel.com/vf")


def vmi(devices: list[dict[str, Any]] | None = None, spec: Any = None, pods: Any = None) -> Vmi:
    annotations = {} if devices is None else {"passgate.dev/devices": json.dumps(devices)}
    document = {"metadata": {"annotations": annotations}, "spec": spec or {}, "status": {"activePods": pods or {}}}
    return parse_vmi(json.dumps(document).encode())


def interfaces(*bindings: str) -> dict[str, Any]:
    """Interfaces on Multus networks."""
    names = [f"net{number}" for number in range(len(bindings))]
    return {
        "domain": {"devices": {"interfaces": [{"name": n, b: {}} for n, b in zip(names, bindings, strict=True)]}},
        "networks": [{"name": name, "multus": {"networkName": "a"}} for name in names],
    }


LIMITS = {"domain": {"resources": {"limits": {"intel.com/vf": "1"}}}}
HOST_DEVICE = {"domain": {"devices": {"hostDevices": [{"name": "n", "deviceName": "intel.com/vf"}]}}}
ONLY_QAT = [{"resource": "qat.intel.com/generic"}]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (vmi(), [A, B]),
        (vmi(ONLY_QAT), [A]),
        (vmi(ONLY_QAT, LIMITS), [A]),
        (vmi(ONLY_QAT, HOST_DEVICE), [A, B]),
        (vmi(ONLY_QAT, interfaces("sriov")), [A, B]),
        (vmi(ONLY_QAT, interfaces("sriov", "bridge")), [A]),
        (vmi([]), []),
        (vmi([{"address": B}]), [B]),
        (vmi([{"address": A}, *ONLY_QAT]), [A]),
    ],
)
def test_devices(asked: Vmi, found: list[str]) -> None:
    """Without an annotation all is meant, as in the sidecar; with one, what it and the spec name."""
    assert [str(device) for device in devices_of(asked, (QAT, NIC), (), HOST)] == found


def test_which_vms_may_have_devices() -> None:
    spec_less = (vmi(), vmi([]), vmi(spec=interfaces("bridge")))

    assert not any(map(may_have_devices, spec_less))
    assert all(
        map(may_have_devices, (vmi(ONLY_QAT), vmi(spec=LIMITS), vmi(spec=HOST_DEVICE), vmi(spec=interfaces("sriov"))))
    )


def test_other_channels() -> None:
    claimed = (Allocation(at(B)), Allocation(Usb(1, 2)))

    assert devices_of(vmi(), (), claimed, HOST) == (at(B),)


def test_outright() -> None:
    assert outright_devices(vmi([{"address": A}, *ONLY_QAT])) == (at(A),)
    assert outright_devices(vmi()) == ()


def test_pods() -> None:
    migrating = vmi(pods={"one": "node1", "two": "node2"})

    assert pods_of(migrating, "node2") == {"two"}
    assert pods_of(migrating, "") == {"one", "two"}
    assert pods_of(migrating, "node3") == set()
    with pytest.raises(BadInput, match="must be an object"):
        pods_of(vmi(pods="one"), "")
    with pytest.raises(BadInput, match="must be text"):
        pods_of(vmi(pods={"one": 1}), "")
