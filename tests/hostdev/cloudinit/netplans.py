"""Network data: the one on record for a VM with a bond, and what is made for other VMs."""

from __future__ import annotations

from typing import Any

from hostdev.cloudinit.netplan import Network, macs, network
from hostdev.vmi.annotations import bonds, interfaces
from hostdev.vmi.vmi import parse_vmi
from tests.hostdev.cloudinit.build import vmi

GOLDEN = """\
{
  "version": 2,
  "ethernets": {
    "default-37a8": {
      "match": {
        "macaddress": "02:00:00:00:00:01"
      },
      "dhcp4": true
    },
    "left": {
      "match": {
        "macaddress": "02:0a:c8:83:00:01"
      },
      "set-name": "left",
      "optional": true
    },
    "right": {
      "match": {
        "macaddress": "02:0a:c8:84:00:04"
      },
      "set-name": "right",
      "optional": true
    }
  },
  "bonds": {
    "bond0": {
      "interfaces": [
        "left",
        "right"
      ],
      "parameters": {
        "mode": "active-backup",
        "mii-monitor-interval": 100,
        "fail-over-mac-policy": "active"
      }
    }
  }
}
"""


def network_of(
    *given: Any,
    wanted: Any = None,
    addressed: Any = None,
    plugged: tuple[str, ...] = (),
    told: dict[str, str] | None = None,
) -> Network:
    read = parse_vmi(vmi(*given, bonds=wanted, addressed=addressed))
    return network(read, bonds(read), macs(read, told or {}), frozenset(plugged), interfaces(read))
