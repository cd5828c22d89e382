"""Numbers in a manifest are read as kubectl reads them: there is no base 60."""

from __future__ import annotations

import pytest

from hostdev.vmi.file import parse_manifest
from hostdev.vmi.vmi import Interface

VM = """
kind: VirtualMachine
spec: {{template: {{spec: {{domain: {{devices: {{interfaces: [{{name: uplink, {setting}}}]}}}}}}}}}}
"""


def interface(setting: str) -> Interface:
    return parse_manifest(VM.format(setting=setting).encode()).vmi.interfaces[0]


@pytest.mark.parametrize("address", ["0000:00:05.0", "0000:12:00.0", "0000:0c:00.0"])
def test_a_guest_address_needs_no_quotes(address: str) -> None:
    assert str(interface(f"pciAddress: {address}").guest) == address


@pytest.mark.parametrize("mac", ["52:54:00:12:34:56", "02:0a:c8:00:00:17"])
def test_neither_does_a_mac_address(mac: str) -> None:
    assert interface(f"macAddress: {mac}").mac == mac


def test_other_numbers_are_numbers() -> None:
    assert interface("bootOrder: 7").boot_order == 7
