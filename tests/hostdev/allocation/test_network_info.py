"""The pod's network information."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostdev.allocation.allocation import Gathered, Opaque
from hostdev.allocation.network_info import from_network_info
from tests.hostdev.allocation.given import A, B, codes, devices, only, pci, the

PCI = {"type": "pci", "version": "1.1.0", "pci": {"pci-address": A, "pf-pci-address": B}}


def _info(*interfaces: object) -> bytes:
    return json.dumps({"interfaces": interfaces}).encode()


def test_each_network_has_its_device() -> None:
    second = {**PCI, "pci": {"pci-address": B}}

    gathered = from_network_info(
        _info(
            {"network": "net2", "deviceInfo": second}, {"network": "net1", "deviceInfo": PCI, "mac": "x", "mtu": 9000}
        )
    )

    assert [(str(one.device), one.name, one.label, one.resource, one.told_by) for one in gathered.allocations] == [
        (B, "net2", "net2", "", ("network-info net2",)),
        (A, "net1", "net1", "", ("network-info net1",)),
    ]
    assert gathered.findings == ()


def test_the_older_map_is_read_too() -> None:
    gathered = from_network_info(json.dumps({"net1": A, "interfaces": B}).encode())

    assert [(one.name, str(one.device)) for one in gathered.allocations] == [("net1", A), ("interfaces", B)]


@pytest.mark.parametrize("data", [b"", b" \n", b"{}", b'{"interfaces": []}', b'{"interfaces": null}'])
def test_nothing_is_nothing(data: bytes) -> None:
    assert from_network_info(data) == Gathered()


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ({"network": "net1"}, "the pod has no device information for it"),
        ({"network": "net1", "deviceInfo": None}, "the pod has no device information for it"),
        ({"network": "net1", "deviceInfo": {}}, "the pod has no device information for it"),
        ({"network": "net1", "deviceInfo": {"type": "pci"}}, "its device information has no PCI address"),
        ({"network": "net1", "deviceInfo": {"type": "pci", "pci": {}}}, "its device information has no PCI address"),
        ({"network": "net1", "deviceInfo": {"pci": {"pci-address": ""}}}, "its device information has no PCI address"),
        ({"network": "net1", "deviceInfo": {"pci": {"pci-address": 7}}}, "its device information has no PCI address"),
        ({"network": "net1", "deviceInfo": {"type": "memif"}}, "its device information has no PCI address"),
        ({"network": "net1", "deviceInfo": "x"}, "the pod has no device information for it"),
    ],
)
def test_a_network_without_an_address_is_told(element: object, message: str) -> None:
    gathered = from_network_info(_info(element, {"network": "net2", "deviceInfo": PCI}))

    assert devices(gathered) == [A]
    found = the(gathered, "network-without-device")
    assert (found.subject, found.message) == ("net1", message)


def test_blanks_around_an_address_do_not_matter() -> None:
    info = {"type": "pci", "pci": {"pci-address": f" {A}\n"}}

    assert devices(from_network_info(_info({"network": "net1", "deviceInfo": info}))) == [A]


def test_a_vdpa_device_is_left_alone() -> None:
    info = {"type": "vdpa", "vdpa": {"parent-device": "vdpa:0000:65:00.3", "driver": "vhost", "pci-address": A}}

    gathered = from_network_info(_info({"network": "net1", "deviceInfo": info}))

    assert only(gathered).device == Opaque("vdpa:0000:65:00.3", "vDPA device")
    assert codes(gathered) == {"device-not-for-vfio"}


def test_a_vdpa_device_without_a_name_is_left_alone_too() -> None:
    gathered = from_network_info(_info({"network": "net1", "deviceInfo": {"type": "vdpa"}}))

    assert codes(gathered) == {"device-not-for-vfio"}


def test_a_bad_address_is_told() -> None:
    info = {"type": "pci", "pci": {"pci-address": "0000:81:11:1"}}

    gathered = from_network_info(_info({"network": "net1", "deviceInfo": info}))

    assert "0000:81:11:1" in the(gathered, "device-name-unreadable").message


@pytest.mark.parametrize(
    "data",
    [
        *(b"{", b"[]", b"null", b'"x"', b"{} {}", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b"NaN"),
        *(b'{"a": 1' + b"0" * 5000 + b"}", b'{"interfaces": [}'),
    ],
)
def test_what_is_no_json_object_is_told(data: bytes) -> None:
    gathered = from_network_info(data)

    assert gathered.allocations == ()
    assert len(the(gathered, "allocation-file-unreadable").message) <= 80


def test_the_last_of_two_keys_counts_as_everywhere() -> None:
    data = b'{"interfaces": [], "interfaces": [{"network": "n", "deviceInfo": {"pci": {"pci-address": "3d:02.1"}}}]}'

    assert only(from_network_info(data)).device == pci(A)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([A, B, "vdpa"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["interfaces", "network", "deviceInfo", "type", "pci", "pci-address", "vdpa", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["interfaces", "net1", "net2"]), json_values))
def test_any_json_is_read(document: object) -> None:
    gathered = from_network_info(json.dumps(document).encode())

    for finding in gathered.findings:
        assert finding.message.isprintable()


@given(st.binary(max_size=100))
def test_any_bytes_are_read(data: bytes) -> None:
    from_network_info(data)
