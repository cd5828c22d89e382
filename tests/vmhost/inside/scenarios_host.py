"""The host is what the topology says it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domxml.pciaddress import PciAddress
from tests.vmhost import topology
from tests.vmhost.inside import pci, prepare
from tests.vmhost.inside.scenario import expect, scenario

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench


@scenario
def groups_are_as_the_topology_says(_bench: Bench) -> None:
    """The kernel puts together exactly the devices that the table puts together, and each VF alone."""
    seen, said = pci.groups(), topology.groups()
    expect(seen == said, f"only the kernel has {_shown(seen - said)}\nonly the table has {_shown(said - seen)}")


@scenario
def numa_nodes_are_as_the_topology_says(_bench: Bench) -> None:
    """Every device of a group shows the node of its host bridge, VFs too."""
    addresses = sorted(address for group in pci.groups() for address in group)
    wrong = {
        str(address): node for address in addresses if (node := pci.numa_node(address)) != topology.node_of(address)
    }
    expect(not wrong, f"devices on another node than the table says: {wrong}")


@scenario
def devices_are_set_aside(_bench: Bench) -> None:
    """What the host sets aside is on vfio-pci; other VFs and the audio function are not."""
    for address in prepare.ON_VFIO:
        expect(pci.driver(address) == pci.VFIO, f"{address} is on {pci.driver(address)}")
    expect(pci.driver(topology.BY_ID["igb0"].vf(1)) is None, "a VF that nobody bound has a driver")
    audio = topology.BY_ID["audio"].address
    expect(pci.driver(audio) == "snd_hda_intel", f"{audio} is on {pci.driver(audio)}")


def _shown(groups: frozenset[frozenset[PciAddress]]) -> str:
    return "; ".join(sorted(", ".join(map(str, sorted(group))) for group in groups)) or "nothing"
