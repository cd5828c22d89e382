"""Make a booted kernel a passthrough host: modules, device manager, virtual functions, vfio-pci, libvirt."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from tests.vmhost import topology
from tests.vmhost.inside import pci

MODULES = (
    "vfio-pci",
    "igb",
    "nvme",
    "snd-hda-intel",
    "e1000",
    "e1000e",
    "ahci",
    "sd_mod",
    "i2c-i801",
    "lpc_ich",
    "tun",
)
ON_VFIO = (
    topology.BY_ID["igb0"].vf(0),
    topology.BY_ID["igb1"].vf(0),
    topology.BY_ID["nvme0"].vf(0),
    topology.BY_ID["display"].address,
    topology.BY_ID["lone"].address,
    topology.BY_ID["switch-nic0"].address,
    topology.BY_ID["no-acs"].address,
)
"""What a passthrough host has set aside; `display` without the audio function of its group."""


def host() -> None:
    """Do it all; each step is timed on the console."""
    start = time.monotonic()

    def step(what: str) -> None:
        print(f"[{time.monotonic() - start:6.1f} s] {what}", flush=True)

    if Path("/usr/lib/modules", os.uname().release).exists():
        run("modprobe", "--all", *MODULES)
        step("modules loaded")
    run("/usr/lib/systemd/systemd-udevd", "--daemon")
    run("udevadm", "trigger", "--action=add", "--subsystem-match=pci", "--subsystem-match=net")
    step("udevd started")
    for part in topology.SRIOV:
        pci.create_vfs(part.address, part.vfs)
    step("virtual functions created")
    for address in ON_VFIO:
        pci.bind(address)
    step("devices given to vfio-pci")
    run("udevadm", "settle")
    step("udev settled")
    Path("/run/libvirt").mkdir(exist_ok=True)
    run("libvirtd", "--daemon")
    step("libvirtd started")


def run(*command: str) -> str:
    """Run a command that must succeed; its output."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
