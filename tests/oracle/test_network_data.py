"""The network data for a guest, read by a real cloud-init and a real netplan."""

from __future__ import annotations

import json
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

from hostdev.vmi.bonds import MODES
from tests.hostdev.cloudinit.build import BOND, DEFAULT, LEFT, RIGHT
from tests.hostdev.cloudinit.netplans import network_of
from tests.oracle.fixtures import may_build, teller
from tests.oracle.guests import RELEASES, Guest, available
from tests.oracle.roots import Unavailable

pytestmark = pytest.mark.oracle

FULL = {
    **BOND,
    "addresses": ["192.0.2.10/24", "2001:db8::10/64"],
    "dhcp4": False,
    "dhcp6": True,
    "mtu": 9000,
    "nameservers": {"addresses": ["192.0.2.53"], "search": ["example.org"]},
    "routes": [{"to": "198.51.100.0/24", "via": "192.0.2.1", "metric": 7}],
    "parameters": {
        "mii-monitor-interval": 50,
        "up-delay": 200,
        "down-delay": 100,
        "primary": "right",
        "primary-reselect-policy": "better",
        "fail-over-mac-policy": "none",
        "min-links": 1,
    },
}
ADDRESSED: list[dict[str, Any]] = [
    {
        "name": "left",
        "addresses": ["192.0.2.10/24", "2001:db8::10/64"],
        "mtu": 9000,
        "nameservers": {"addresses": ["192.0.2.53"], "search": ["example.org"]},
        "routes": [
            {"to": "198.51.100.0/24", "via": "192.0.2.1"},
            {"to": "203.0.113.0/24", "via": "192.0.2.1", "metric": 7},
        ],
        "metric": 500,
    },
    {"name": "right", "dhcp4": True, "metric": 600},
]
AGGREGATED = {
    **BOND,
    "mode": "802.3ad",
    "parameters": {"lacp-rate": "fast", "ad-select": "bandwidth", "transmit-hash-policy": "layer3+4"},
}
PORTS = [
    {"name": f"port{number}", "sriov": {}, "macAddress": f"02:00:00:00:01:{number:02x}"}
    for number in range(2 * len(MODES))
]
EVERY_MODE = [
    {"name": f"bond{number}", "interfaces": [f"port{2 * number}", f"port{2 * number + 1}"], "mode": mode}
    for number, mode in enumerate(MODES)
]
DOCUMENTS = {
    "no bond": network_of(DEFAULT, LEFT, RIGHT).text,
    "full": network_of(DEFAULT, LEFT, RIGHT, wanted=[FULL]).text,
    "aggregated": network_of(DEFAULT, LEFT, RIGHT, wanted=[AGGREGATED]).text,
    "addresses without a bond": network_of(DEFAULT, LEFT, RIGHT, addressed=ADDRESSED).text,
    "every mode": network_of(DEFAULT, *PORTS, wanted=EVERY_MODE).text,
}
CONVERTED = ("full", "every mode", "addresses without a bond")
RENDERERS = ("networkd", "network-manager", "eni")
"""What else cloud-init writes of it; to netplan it passes it on."""


@pytest.fixture(scope="session", params=RELEASES)
def guest(request: pytest.FixtureRequest) -> Guest:
    """A root with cloud-init, once per release."""
    found = available(request.param, build=may_build(), say=teller(request))
    if isinstance(found, Unavailable):
        pytest.skip(found.reason)
    return found


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
def test_netplan_takes_it(guest: Guest, tmp_path: Path, text: str) -> None:
    units = netplan(guest, tmp_path, text)
    document = json.loads(text)

    for name, bond in document.get("bonds", {}).items():
        assert units[f"10-netplan-{name}.netdev"]["Bond"]["Mode"] == bond["parameters"]["mode"]
    bonded = {port: name for name, bond in document.get("bonds", {}).items() for port in bond["interfaces"]}
    for name in set(document["ethernets"]) - {"default-37a8"}:
        assert units[f"10-netplan-{name}.link"]["Link"]["Name"] == name
        assert units[f"10-netplan-{name}.network"]["Network"].get("Bond") == bonded.get(name)
    assert units["10-netplan-default-37a8.network"]["Network"]["DHCP"] == "ipv4"


def test_netplan_gives_an_interface_its_addresses_and_routes(guest: Guest, tmp_path: Path) -> None:
    units = netplan(guest, tmp_path, DOCUMENTS["addresses without a bond"])
    left = (tmp_path / "run/systemd/network/10-netplan-left.network").read_text()

    assert all(f"Address={address}" in left for address in ADDRESSED[0]["addresses"])
    routes = [dict(line.split("=") for line in part.split()) for part in left.split("[Route]")[1:]]
    assert [(route["Destination"], route["Metric"]) for route in routes] == [
        ("198.51.100.0/24", "500"),
        ("203.0.113.0/24", "7"),
    ]
    assert units["10-netplan-right.network"]["DHCP"]["RouteMetric"] == "600"


def test_netplan_makes_the_bond_as_it_is_said(guest: Guest, tmp_path: Path) -> None:
    units = netplan(guest, tmp_path, network_of(DEFAULT, LEFT, RIGHT, wanted=[FULL]).text)

    bond = units["10-netplan-bond0.netdev"]["Bond"]
    assert {key: bond[key] for key in ("Mode", "MIIMonitorSec", "UpDelaySec", "DownDelaySec", "MinLinks")} == {
        "Mode": "active-backup",
        "MIIMonitorSec": "50ms",
        "UpDelaySec": "200ms",
        "DownDelaySec": "100ms",
        "MinLinks": "1",
    }
    assert units["10-netplan-right.network"]["Network"]["PrimarySlave"] == "true"


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("text", [DOCUMENTS[name] for name in CONVERTED], ids=CONVERTED)
def test_cloud_init_takes_it(guest: Guest, tmp_path: Path, text: str, renderer: str) -> None:
    (tmp_path / "network-config").write_text(text)
    words = ("-p", "/slots/network-config", "-k", "yaml", "-d", "/slots/out", "-D", "debian", "-O", renderer)
    done = guest.run(tmp_path, "cloud-init", "devel", "net-convert", *words)

    assert done.returncode == 0, done.stderr
    written = "\n".join(path.read_text() for path in (tmp_path / "out").rglob("*") if path.is_file()).lower()
    document = json.loads(text)
    assert all(ethernet["match"]["macaddress"] in written for ethernet in document["ethernets"].values())
    if renderer != "networkd":  # There it knows no bonds.
        assert all(bond["parameters"]["mode"] in written for bond in document.get("bonds", {}).values())


def test_a_mistake_would_be_seen(guest: Guest, tmp_path: Path) -> None:
    """Else the tests above would prove little."""
    wrong = network_of(DEFAULT, LEFT, RIGHT, wanted=[BOND]).text.replace("active-backup", "active_backup")

    with pytest.raises(AssertionError, match="active_backup"):
        netplan(guest, tmp_path, wrong)


def netplan(guest: Guest, folder: Path, text: str) -> dict[str, Any]:
    """What netplan makes of network data for systemd-networkd, by the names of the files."""
    file = folder / "etc/netplan/50-cloud-init.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(f'{{"network": {text}}}')
    file.chmod(0o600)
    done = guest.run(folder, "netplan", "generate", "--root-dir", "/slots")
    assert done.returncode == 0, done.stderr
    return {path.name: _unit(path) for path in (folder / "run/systemd/network").iterdir()}


def _unit(path: Path) -> ConfigParser:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # as ConfigParser's own documentation has it
    parser.read_string(path.read_text())
    return parser
