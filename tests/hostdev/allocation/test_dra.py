"""Devices of resource claims: metadata files, and the VMI's status before those."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.source import Mdev
from hostdev.allocation.allocation import Allocation, Gathered, merge
from hostdev.allocation.dra import BASES, GROUP, from_metadata
from hostdev.allocation.kubevirt import from_vmi_status
from tests.hostdev.allocation.given import UUID, A, B, codes, devices, only, pci, the

VERSION = "metadata.resource.k8s.io/v1alpha1"
DIRECT = f"{BASES[0]}/resourceclaims/claim1/gpu/gpu.example.com-metadata.json"
TEMPLATE = f"{BASES[0]}/resourceclaimtemplates/pod-claim/gpu/gpu.example.com-metadata.json"
OLD = f"{BASES[1]}/claim1/gpu/gpu.example.com-metadata.json"


def _device(**attributes: str) -> dict[str, Any]:
    names = {"pci": "resource.kubernetes.io/pciBusID", "mdev": "mdevUUID"}
    found = {names.get(name, name): {"string": value} for name, value in attributes.items()}
    return {"driver": "gpu.example.com", "pool": "node", "name": "gpu-0", "attributes": found}


def _document(*devices: object, request: str = "gpu", version: str = VERSION) -> bytes:
    requests = [{"name": request, "devices": devices}]
    return json.dumps({"kind": "DeviceMetadata", "apiVersion": version, "requests": requests}).encode()


@pytest.mark.parametrize(
    ("path", "where"),
    [(DIRECT, "claim1/gpu"), (TEMPLATE, "pod-claim/gpu"), (OLD, "claim1/gpu"), ("c/gpu/d-metadata.json", "c/gpu")],
)
def test_the_device_of_a_request_is_read(path: str, where: str) -> None:
    allocation = only(from_metadata({path: _document(_device(pci=A))}))

    assert allocation.device == pci(A)
    assert (allocation.label, allocation.told_by) == (where, (f"dra {where}",))
    assert (allocation.name, allocation.resource, allocation.family) == ("", "", "")


def test_a_mediated_device_goes_before_the_address_of_its_parent() -> None:
    assert only(from_metadata({DIRECT: _document(_device(pci=A, mdev=UUID))})).device == Mdev(UUID)
    assert only(from_metadata({DIRECT: _document(_device(pci=A, mdev=""))})).device == pci(A)


def test_the_first_version_that_is_known_is_read() -> None:
    stream = _document(_device(pci=B), version="metadata.resource.k8s.io/v9") + b"\n" + _document(_device(pci=A))

    assert devices(from_metadata({DIRECT: stream + _document(_device(pci=B))})) == [A]


@pytest.mark.parametrize("version", ["v1beta1", "v1alpha1"])
def test_the_versions_that_drivers_write(version: str) -> None:
    document = _document(_device(pci=A), version=f"metadata.resource.k8s.io/{version}")

    assert devices(from_metadata({DIRECT: document})) == [A]


def test_both_versions_in_one_file_are_one_device() -> None:
    """The driver's library writes each of them, in its order."""
    newer, older = (_document(_device(pci=A), version=f"{GROUP}{version}") for version in ("v1beta1", "v1alpha1"))

    for stream in (newer + b"\n" + older, older + b"\n" + newer):
        assert from_metadata({DIRECT: stream}) == from_metadata({DIRECT: newer})
    assert devices(from_metadata({DIRECT: newer})) == [A]


def _with(**attributes: object) -> bytes:
    device = _device() | {"attributes": {name.replace("__", "/"): value for name, value in attributes.items()}}
    return _document(json.loads(json.dumps(device).replace("numaNode_", "resource.kubernetes.io/numaNode")))


def test_an_attribute_may_be_a_list_of_one() -> None:
    assert only(from_metadata({DIRECT: _with(mdevUUID={"strings": [UUID]})})).device == Mdev(UUID)


def test_a_list_of_two_is_told() -> None:
    gathered = from_metadata({DIRECT: _with(mdevUUID={"strings": [UUID, UUID.replace("8", "9")]})})

    assert the(gathered, "claim-not-one-device").message.startswith("several mdevUUID")
    assert len(gathered.allocations) == 2


@pytest.mark.parametrize(
    ("attributes", "numa"),
    [
        ({"numaNode_": {"int": 1}}, 1),
        ({"numaNode": {"int": 0}}, 0),
        ({"numaNode_": {"int": 1}, "numaNode": {"int": 0}}, 1),
        ({"numaNode_": {"int": -1}}, None),
        ({"numaNode_": {"int": True}}, None),
        ({"numaNode_": {"string": "1"}}, None),
        ({"numaNode_": 1}, None),
        ({}, None),
    ],
)
def test_the_numa_node_of_a_device(attributes: dict[str, object], numa: int | None) -> None:
    allocation = only(from_metadata({DIRECT: _with(mdevUUID={"string": UUID}, **attributes)}))

    assert allocation.numa == numa


def test_the_numa_node_outlives_a_channel_that_does_not_know_it() -> None:
    told = from_metadata({DIRECT: _with(mdevUUID={"string": UUID}, numaNode_={"int": 1})})
    status = from_vmi_status(_status("gpuStatuses", "g", mDevUUID=UUID))

    assert [one.numa for one in merge(status, told).allocations] == [1]


def test_an_alternative_of_a_prioritised_list_is_the_request() -> None:
    assert devices(from_metadata({DIRECT: _document(_device(pci=A), request="gpu/large")})) == [A]


def test_the_order_of_the_files_never_matters() -> None:
    files = {DIRECT: _document(_device(pci=A)), TEMPLATE: _document(_device(pci=B))}

    assert from_metadata(files) == from_metadata(dict(reversed(files.items())))


def test_other_files_are_passed_over() -> None:
    document = _document(_device(pci=A))

    assert from_metadata({"a/b/..data": document, "a/b/x.json": document, "d-metadata.json": document}) == Gathered()


def test_claims_of_one_name_in_two_directories_are_two() -> None:
    other = TEMPLATE.replace("pod-claim", "claim1")

    gathered = from_metadata({DIRECT: _document(_device(pci=A)), other: _document(_device(pci=B))})

    assert sorted(devices(gathered)) == [A, B]
    assert gathered.findings == ()


@pytest.mark.parametrize(
    ("files", "found", "message"),
    [
        ({DIRECT: _document(_device(pci=A), _device(pci=B))}, [A, B], "has 2 devices"),
        ({DIRECT: _document()}, [], "has 0 devices"),
        ({DIRECT: _document(_device(pci=A), request="other")}, [], "has 0 devices"),
        (
            {DIRECT: _document(_device(pci=A)), DIRECT.replace("example", "other"): _document(_device(pci=B))},
            [A, B],
            "has metadata of 2 drivers, has 2 devices",
        ),
        (
            {DIRECT: _document(_device(model="x"))},
            [],
            "no mdevUUID or resource.kubernetes.io/pciBusID for gpu-0",
        ),
        ({DIRECT: _document({"attributes": {"mdevUUID": {"int": 1}}})}, [], "no mdevUUID or "),
    ],
)
def test_a_request_that_is_not_one_device_is_told(files: dict[str, bytes], found: list[str], message: str) -> None:
    gathered = from_metadata(files)

    assert devices(gathered) == found
    told = the(gathered, "claim-not-one-device")
    assert told.subject == "claim1/gpu"
    assert told.message.startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"{", "Expecting property name"),
        (b"[]", "no version that is known, only none"),
        (_document(_device(pci=A), version="v2"), "no version that is known, only v2"),
        (b"\xff", "'utf-8' codec can't decode"),
        (b"[" * 100_000, "nested too deeply"),
        (_document(version="v2") + b"{", "Expecting property name"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(content: bytes, message: str) -> None:
    gathered = from_metadata({DIRECT: content})

    assert gathered.allocations == ()
    assert the(gathered, "allocation-file-unreadable").message.startswith(message)


def test_a_bad_address_is_told() -> None:
    assert codes(from_metadata({DIRECT: _document(_device(pci="0000:3d:20.0"))})) == {"device-name-unreadable"}


def _status(kind: str, name: str, **attributes: object) -> dict[str, Any]:
    claim = {"name": "c", "resourceClaimName": "c-x", "attributes": attributes}
    return {"status": {"deviceStatus": {kind: [{"name": name, "deviceResourceClaimStatus": claim}]}}}


class TestVmiStatus:
    @pytest.mark.parametrize("kind", ["gpuStatuses", "hostDeviceStatuses"])
    def test_it_names_the_device_of_each_name(self, kind: str) -> None:
        allocation = only(from_vmi_status(_status(kind, "gpu1", pciAddress=A)))

        assert allocation == Allocation(pci(A), label="gpu1", name="gpu1", told_by=("vmi status gpu1",))

    def test_a_mediated_device_goes_before_the_address_of_its_parent(self) -> None:
        assert only(from_vmi_status(_status("gpuStatuses", "g", pciAddress=A, mDevUUID=UUID))).device == Mdev(UUID)

    @pytest.mark.parametrize(
        "vmi",
        [
            {},
            {"status": None},
            {"status": {"deviceStatus": {"gpuStatuses": {}}}},
            {"status": {"deviceStatus": {"gpuStatuses": [None, 1, {}, {"name": "x"}]}}},
            _status("gpuStatuses", "g"),
            _status("gpuStatuses", "g", pciAddress=1),
            _status("otherStatuses", "g", pciAddress=A),
        ],
    )
    def test_what_is_not_there_says_nothing(self, vmi: dict[str, Any]) -> None:
        assert from_vmi_status(vmi) == Gathered()

    def test_a_bad_address_is_told(self) -> None:
        gathered = from_vmi_status(_status("gpuStatuses", "g", pciAddress="x"))

        assert codes(gathered) == {"device-name-unreadable"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([A, UUID, "gpu"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("requests", "name", "devices", "attributes", "mdevUUID", "string"),
                    *("resource.kubernetes.io/pciBusID", "status", "deviceStatus", "gpuStatuses"),
                    *("deviceResourceClaimStatus", "pciAddress", "mDevUUID"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(["requests", "status"]), json_values))
def test_any_json_is_read(document: dict[str, Any]) -> None:
    data = json.dumps({"apiVersion": VERSION, **document}).encode()

    for gathered in (from_metadata({DIRECT: data}), from_vmi_status(document)):
        assert isinstance(gathered, Gathered)
        assert all(finding.message.isprintable() for finding in gathered.findings)


@given(st.dictionaries(st.text(max_size=20), st.binary(max_size=50)))
def test_any_files_are_read(files: dict[str, bytes]) -> None:
    from_metadata(files)
    from_metadata({f"a/b/{path}-metadata.json": data for path, data in files.items()})
