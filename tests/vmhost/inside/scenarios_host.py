"""The host is what the topology says it is."""

from __future__ import annotations

import os
import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from domxml.pciaddress import PciAddress
from tests.vmhost import recipe, topology
from tests.vmhost.inside import pci, prepare
from tests.vmhost.inside.scenario import expect, scenario

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

PINS = Path("/share/project/requirements/claims.txt")


@scenario
def the_host_is_made_of_what_it_should_be(bench: Bench) -> None:
    """The versions of the release, and the Python packages as they are pinned."""
    numbers = {"libvirt": bench.connection.getLibVersion(), "QEMU": bench.connection.getVersion()}
    others = (f"{name} {number // 1_000_000}.{number // 1000 % 1000}" for name, number in numbers.items())
    seen = ", ".join((f"Linux {'.'.join(os.uname().release.split('.')[:2])}", *others))
    expect(seen == recipe.VERSIONS, f"the host is made of {seen}, not of {recipe.VERSIONS}")
    bench.record(f"Debian {recipe.SUITE}", recipe.VERSIONS, seen)
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", PINS.read_text(), re.MULTILINE))
    installed = {name: metadata.version(name) for name in pinned}
    expect(pinned and installed == pinned, f"pinned are {pinned}, there are {installed}")
    bench.record("requirements/claims.txt", ", ".join(pinned), "Python: each in the version that is pinned")


@scenario
def groups_are_as_the_topology_says(bench: Bench) -> None:
    """The kernel puts together exactly the devices that the table puts together, and each VF alone."""
    seen, said = pci.groups(), topology.groups()
    expect(seen == said, f"only the kernel has {_shown(seen - said)}\nonly the table has {_shown(said - seen)}")
    bench.record("every IOMMU group", f"{len(said)} groups", f"the kernel: the same {len(seen)}")


@scenario
def numa_nodes_are_as_the_topology_says(bench: Bench) -> None:
    """Every device of a group shows the node of its host bridge, VFs too."""
    addresses = sorted(address for group in pci.groups() for address in group)
    wrong = {
        str(address): node for address in addresses if (node := pci.numa_node(address)) != topology.node_of(address)
    }
    expect(not wrong, f"devices on another node than the table says: {wrong}")
    bench.record("every device", "node 0, 1 or none", f"the kernel: the same of {len(addresses)} devices")


@scenario
def devices_are_set_aside(bench: Bench) -> None:
    """What the host sets aside is on vfio-pci; other VFs and the audio function are not."""
    for address in prepare.ON_VFIO:
        expect(pci.driver(address) == pci.VFIO, f"{address} is on {pci.driver(address)}")
    expect(pci.driver(topology.BY_ID["igb0"].vf(1)) is None, "a VF that nobody bound has a driver")
    audio = topology.BY_ID["audio"].address
    expect(pci.driver(audio) == "snd_hda_intel", f"{audio} is on {pci.driver(audio)}")
    count = len(prepare.ON_VFIO)
    bench.record("drivers", f"{count} devices on {pci.VFIO}", f"the kernel: {count}, and {audio} on snd_hda_intel")


def _shown(groups: frozenset[frozenset[PciAddress]]) -> str:
    return "; ".join(sorted(", ".join(map(str, sorted(group))) for group in groups)) or "nothing"
