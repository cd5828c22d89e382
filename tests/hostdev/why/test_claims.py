"""A pod whose device comes by a resource claim: whether it was made, and what is said of the device."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from hostdev.why.dump import File, read_dump
from hostdev.why.subject import parse_name
from hostdev.why.why import Why, explain_vm
from tests.hostdev.why.cases import POD, SCHEDULED


def explain(*objects: Mapping[str, Any]) -> Why:
    files = [File("objects.json", json.dumps(list(objects)).encode())]
    return explain_vm(read_dump("the dump", files), parse_name("withpol", ""))


def claiming_pod(**status: Any) -> dict[str, Any]:
    """The pod with its device by a resource claim of a template, and in no limits."""
    pod = copy.deepcopy(POD[0])
    pod["spec"]["resourceClaims"] = [{"name": "devices", "resourceClaimTemplateName": "gpus"}]
    pod["spec"]["containers"][0]["resources"] = {"claims": [{"name": "devices"}]}
    pod["status"]["containerStatuses"][0].pop("allocatedResourcesStatus", None)
    pod["status"] |= status
    return pod


def allocated(*objects: Mapping[str, Any]) -> tuple[str, str]:
    (item,) = (one for one in explain(SCHEDULED, *objects).items if str(one.check) == "allocated")
    return str(item.result), item.message


def test_a_pod_with_a_claim_asks_for_a_device() -> None:
    made = [{"name": "devices", "resourceClaimName": "withpol-devices-x7k2p"}]

    result, what = allocated(claiming_pod(resourceClaimStatuses=made))
    assert (result, "withpol-devices-x7k2p" in what) == ("PASS", True)
    result, what = allocated(claiming_pod(resourceClaimStatuses=made, containerStatuses=[]))
    assert (result, "not started yet; its resource claims are withpol-devices-x7k2p" in what) == ("UNKNOWN", True)
    result, what = allocated(claiming_pod())
    assert (result, what) == ("UNKNOWN", "no resource claim was made for devices (template gpus)")


def test_a_device_of_a_claim_that_is_unhealthy_is_told() -> None:
    made = [{"name": "devices", "resourceClaimName": "withpol-devices-x7k2p"}]
    told = {"resourceID": "units.passgate.dev/claim=x", "health": "Unhealthy", "message": "group 1 is not viable"}
    health = [{"name": "claim:devices/gpu", "resources": [told]}]
    status = {**POD[0]["status"]["containerStatuses"][0], "allocatedResourcesStatus": health}

    first = explain(SCHEDULED, claiming_pod(resourceClaimStatuses=made, containerStatuses=[status])).first

    assert first is not None
    assert first.finding is not None
    assert (str(first.check), first.finding.code) == ("allocated", "device-unhealthy")
    assert "group 1 is not viable" in first.message
