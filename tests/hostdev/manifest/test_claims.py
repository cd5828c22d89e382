"""What `--by claim` makes: the units of `--by passgate`, a class for each resource, and a VM of either shape."""

from __future__ import annotations

import copy
import json
from typing import Any

import kubernetes_validate
import pytest

from domxml.errors import BadInput
from hostdev.binding.state import By
from hostdev.binding.statefile import read_states
from hostdev.claims.devices import make_inventory
from hostdev.manifest.make import Made
from hostdev.offer.compose import compose_offer
from hostdev.vmi.annotations import DEVICES
from tests.deploy.cel import evaluate
from tests.hostdev.cli.running import machine
from tests.hostdev.gate.build import function
from tests.hostdev.gate.build import machine as built
from tests.hostdev.manifest.making import complaints, made, of_kind, said, vm

GPU = "nvidia.com/TU102_GEFORCE_RTX_2080_TI"


def claimed(*selections: str, host: Any = "consumer-gpu", **wanted: Any) -> Made:
    return made(host, *(selections or ("10de:1e04",)), by="claim", **wanted)


def device(resource: str, driver: str = "units.passgate.dev") -> dict[str, Any]:
    """A device as the API server shows it to a selector."""
    return {"driver": driver, "attributes": {driver: {"resource": resource}}}


def test_the_units_are_those_of_the_plugin_and_only_who_hands_them_out_differs() -> None:
    (by_plugin,), (by_claim,) = (made("consumer-gpu", "10de:1e04", by=by).parts["node"] for by in ("passgate", "claim"))

    expected = copy.deepcopy(by_plugin)
    expected["spec"]["offer"][0]["by"] = "claim"
    assert by_claim == expected
    (state,) = read_states(json.dumps(by_claim).encode(), "x")
    assert [offer.by for offer in state.offers] == [By.CLAIM]


def test_a_class_means_the_units_of_its_resource_and_no_others() -> None:
    (spec,) = of_kind(claimed(), "DeviceClass")
    (selector,) = spec["selectors"]
    expression = selector["cel"]["expression"]

    assert spec["extendedResourceName"] == GPU
    assert evaluate(expression, device=device(GPU)) is True
    assert evaluate(expression, device=device("nvidia.com/OTHER")) is False
    assert evaluate(expression, device=device(GPU, "gpu.example.com")) is False


def test_a_vm_asks_by_a_claim_with_a_request_a_device() -> None:
    host = built(function("0000:3d:00.0"), function("0000:3e:00.0", group=44))
    documents = claimed("3d:00.0", "3e:00.0", host=host, name="render")
    (template,) = of_kind(documents, "ResourceClaimTemplate")
    (spec,) = of_kind(documents, "VirtualMachine")
    inner = spec["template"]["spec"]

    devices = inner["domain"]["devices"]["hostDevices"]
    requests = template["spec"]["devices"]["requests"]
    assert [one["requestName"] for one in devices] == [one["name"] for one in requests]
    assert [one["exactly"]["count"] for one in requests] == [1, 1]
    assert {one["exactly"]["deviceClassName"] for one in requests} == {
        one["metadata"]["name"] for one in documents.parts["cluster"] if one["kind"] == "DeviceClass"
    }
    assert inner["resourceClaims"] == [{"name": "devices", "resourceClaimTemplateName": "render"}]
    assert {one["claimName"] for one in devices} == {"devices"}
    assert complaints(documents) == set()
    assert documents.gates == ("HostDevices", "HostDevicesWithDRA", "Sidecar")


def test_a_whole_card_comes_into_the_guest_by_claim_too() -> None:
    documents = claimed()
    (one,) = vm(documents).vmi.devices

    assert json.loads(vm(documents).vmi.annotations[DEVICES]) == [{"device": one.name, "functions": "all"}]
    assert one.claim == "devices"
    assert documents.gates == ("GPUsWithDRA", "HostDevices", "Sidecar")


def test_kubevirt_permits_nothing_for_a_vm_by_claim_and_the_name_for_one_by_name() -> None:
    assert of_kind(claimed(), "KubeVirt") == []
    (spec,) = of_kind(claimed(extended=True), "KubeVirt")

    assert spec["configuration"]["permittedHostDevices"]["pciHostDevices"] == [
        {"pciVendorSelector": "10DE:1E04", "resourceName": GPU, "externalResourceProvider": True}
    ]


def test_a_vm_by_name_is_that_of_the_device_plugin() -> None:
    by_plugin, by_name = made("consumer-gpu", "10de:1e04", by="passgate"), claimed(extended=True)

    assert by_name.parts["vm"] == by_plugin.parts["vm"]
    assert by_name.gates == by_plugin.gates
    assert said(by_name) == said(by_plugin)


@pytest.mark.parametrize("extended", [False, True])
def test_what_a_cluster_must_have_is_told(*, extended: bool) -> None:
    notes = " ".join(claimed(extended=extended).notes)

    assert "Kubernetes 1.34" in notes
    assert f"counts {GPU} of a device plugin above 0" in notes
    assert ("GPUsWithDRA is open by default from KubeVirt 1.9 on" in notes) is not extended


@pytest.mark.parametrize("version", ["1.34", "1.37"])
def test_the_objects_are_those_of_kubernetes(version: str) -> None:
    documents = claimed()
    for one in (*documents.parts["cluster"], *documents.parts["vm"]):
        if one["apiVersion"] == "resource.k8s.io/v1":
            kubernetes_validate.validate(copy.deepcopy(one), version, strict=True)


@pytest.mark.parametrize("resource", [GPU, f"{'a' * 20}.example.com/{'X' * 40}"])
def test_a_class_selects_what_the_driver_publishes(resource: str) -> None:
    documents = claimed(resource=resource)
    (spec,) = of_kind(documents, "DeviceClass")
    (state,) = read_states(json.dumps(documents.parts["node"][0]).encode(), "x")
    seen = machine("consumer-gpu")
    (one,) = compose_offer(state, seen).of(By.CLAIM)[resource].units
    offer = compose_offer(state, seen, claimed={resource: [one.id]})
    (published,) = make_inventory(offer).devices

    values = {name.partition("/")[2]: next(iter(value.values())) for name, value in published.attributes.items()}
    shown = {"driver": "units.passgate.dev", "attributes": {"units.passgate.dev": values}}
    assert evaluate(spec["selectors"][0]["cel"]["expression"], device=shown) is True
    assert "offer-without-class" not in said(documents)
    assert "class-not-offered" not in said(documents)


def test_more_devices_than_a_claim_has_requests_are_refused() -> None:
    functions = [function(f"0000:{0x3D + n // 32:02x}:{n % 32:02x}.0", group=40 + n) for n in range(33)]

    with pytest.raises(BadInput, match="32 requests at most, and these are 33"):
        claimed(*(str(one.address) for one in functions), host=built(*functions))
