"""What the recorded boots had beside the VMI and their variables."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hostdev.kubevirt.pod import Pod
from tests.boots import Boot

ON_NODE_1 = {"0000:61:00.0": 1, **{f"0000:d1:00.{function}": 1 for function in range(4)}}
CELLS: Mapping[str, Mapping[str, int]] = {"pcinuma-functions-all-1.9.0": ON_NODE_1}
"""The guest cell of the cards, in the boots that were recorded with NUMA placement."""


def pod_of(boot: Boot) -> Pod:
    """The recordings were made without virt-handler, which asks for bochs."""
    told = json.loads(boot.vm.network_info) if boot.vm.network_info else {}
    networks = {
        one["network"]: one["deviceInfo"]["pci"]["pci-address"]
        for one in told.get("interfaces", [])
        if one.get("deviceInfo", {}).get("pci")
    }
    return Pod(boot.vm.environment, networks, bochs=False, cells=CELLS.get(boot.id, {}))
