"""The host's devices by the part they play in scenarios."""

from __future__ import annotations

from domxml.pciaddress import PciAddress
from tests.vmhost.topology import BY_ID

VF = BY_ID["igb0"].vf(0)
UNBOUND_VF = BY_ID["igb0"].vf(1)
OTHER_VF = BY_ID["igb1"].vf(0)
"""On the other NUMA node."""
DISK_VF = BY_ID["nvme0"].vf(0)
LONE = BY_ID["lone"].address
PF = BY_ID["igb1"].address
DISPLAY = BY_ID["display"].address
AUDIO = BY_ID["audio"].address
"""On a driver of the host, and in the display's group."""
PORT = BY_ID["port-igb0"].address
TWINS = (BY_ID["twin0"].address, BY_ID["twin1"].address)
"""Two network cards of one group."""
NOBODY = PciAddress.parse("99:00.0")
