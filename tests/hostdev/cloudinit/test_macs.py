"""Which MAC address an interface has: the spec's, else the status's, else network-info's."""

from __future__ import annotations

import json

import pytest

from hostdev.allocation.network_info import network_macs
from hostdev.cloudinit.netplan import macs
from hostdev.vmi.vmi import parse_vmi
from tests.hostdev.cloudinit.build import vmi

SPEC, STATUS, TOLD = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"


@pytest.mark.parametrize(
    ("spec", "status", "told", "found"),
    [
        (SPEC, STATUS, TOLD, SPEC),
        ("", STATUS, TOLD, STATUS),
        ("", "", TOLD, TOLD),
        ("", "", "", None),
        ("02-00-00-00-00-0A", STATUS, TOLD, "02:00:00:00:00:0a"),
        ("rubbish", "02:00", TOLD, TOLD),
    ],
)
def test_the_first_that_is_one_counts(spec: str, status: str, told: str, found: str | None) -> None:
    interface = {"name": "net", "sriov": {}, **({"macAddress": spec} if spec else {})}
    read = parse_vmi(vmi(interface, status={"interfaces": [{"name": "net", "mac": status}]}))

    assert macs(read, {"net": told}).get("net") == found


@pytest.mark.parametrize("status", [{"interfaces": None}, {"interfaces": [1, {"name": 2, "mac": []}]}, {}])
def test_a_status_may_be_anything(status: object) -> None:
    assert macs(parse_vmi(vmi({"name": "net"}, status=status)), {}) == {}


def test_network_info_tells_addresses() -> None:
    document = {"interfaces": [{"network": "net", "mac": TOLD}, {"network": "other"}]}

    assert network_macs(json.dumps(document).encode()) == {"net": TOLD, "other": ""}


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"interfaces": 1}', b'{"net": "0000:03:00.1"}'])
def test_network_info_without_addresses(data: bytes) -> None:
    assert network_macs(data) == {}
