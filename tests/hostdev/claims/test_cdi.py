"""The CDI file of a claim, held to the rules of the specification."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from hostdev.claims.cdi import device_id, file_name, render_spec
from hostdev.claims.metadata import container_path
from hostdev.kubelet.claimrecords import ClaimRecord
from tests.hostdev.claims.recorded import cdi
from tests.hostdev.kubelet.claims import DRIVER, UID, record, unit

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?")
"""Of devices since 0.5.0; before, a digit could not come first."""
VENDOR = re.compile(r"[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")


def spec(of: ClaimRecord) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(render_spec(of, lambda request: f"/host/{request}"))
    return found


ONE = record(unit(0x3D, requests=("a",)), unit(0x3E, requests=("b",)))


def test_each_device_has_the_nodes_of_its_unit_and_the_file_of_its_request() -> None:
    first, second = spec(ONE)["devices"]

    assert first["name"] == f"{UID}-unit-3d"
    assert [node["path"] for node in first["containerEdits"]["deviceNodes"]] == [
        "/dev/vfio/61",
        "/dev/vfio/devices/vfio61",
    ]
    assert second["containerEdits"]["mounts"] == [
        {"hostPath": "/host/b", "containerPath": container_path(ONE, "b"), "options": ["ro", "bind"]}
    ]


def test_what_all_have_in_common_is_the_claims() -> None:
    edits = spec(ONE)["containerEdits"]

    assert edits["env"] == ["PCI_RESOURCE_EXAMPLE_COM_GPU=0000:3d:00.0,0000:3e:00.0,0000:3d:00.1,0000:3e:00.1"]
    assert [node["path"] for node in edits["deviceNodes"]] == ["/dev/vfio/vfio"]


def test_the_file_keeps_to_the_version_that_it_names() -> None:
    found = spec(ONE)
    vendor, _, class_ = found["kind"].partition("/")
    nodes = [*found["containerEdits"]["deviceNodes"]]

    assert set(found) == {"cdiVersion", "kind", "containerEdits", "devices"}
    assert found["cdiVersion"] == "0.5.0"
    assert VENDOR.fullmatch(vendor)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", class_)
    for device in found["devices"]:
        assert NAME.fullmatch(device["name"])
        assert set(device) == {"name", "containerEdits"}
        assert set(device["containerEdits"]) == {"deviceNodes", "mounts"}
        nodes += device["containerEdits"]["deviceNodes"]
    assert all(set(node) == {"path", "hostPath", "permissions"} and node["permissions"] for node in nodes)


def test_kubelet_names_the_devices_as_the_file_does() -> None:
    assert [device_id(ONE, one) for one in ONE.units] == [
        f"{DRIVER}/claim={one['name']}" for one in spec(ONE)["devices"]
    ]


def test_the_recorded_files_have_the_same_form() -> None:
    claim, template = cdi("claim"), cdi("template")
    (recorded,) = template["devices"]
    (device,) = spec(record())["devices"]

    assert claim["kind"] == "units.lab.dev/claim"
    assert claim["devices"][0]["name"] == f"{UID}-unit-0000-3d-00-0"
    assert set(device["containerEdits"]["mounts"][0]) == set(recorded["containerEdits"]["mounts"][0])
    assert device["containerEdits"]["mounts"][0]["options"] == recorded["containerEdits"]["mounts"][0]["options"]
    assert template["cdiVersion"] == spec(ONE)["cdiVersion"]


@pytest.mark.parametrize("kind", ["template", "extended-resource"])
def test_the_file_is_mounted_where_the_go_library_mounts_it(kind: str) -> None:
    path = cdi(kind)["devices"][0]["containerEdits"]["mounts"][0]["containerPath"]
    name, request = path.split("/")[-3:-1]
    pod_claim = name if kind == "template" else None

    assert container_path(record(name=name, pod_claim=pod_claim, driver="helper.lab.dev"), request) == path


def test_a_file_name() -> None:
    assert file_name(DRIVER, UID) == f"{DRIVER}-{UID}.json"
