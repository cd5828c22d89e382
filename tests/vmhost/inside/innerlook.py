"""What a VM that is a node itself sees of the devices that its host gave it, and what Passgate says there.

It runs in the VM, on its kernel, and leaves JSON behind.
"""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import Any

from domxml.pciaddress import PciAddress
from tests.vmhost.inside import pci, vfioholder
from tests.vmhost.inside.changes import override
from tests.vmhost.inside.kernellog import KernelLog
from tests.vmhost.inside.product import PASSGATE

FOUND = Path("/tmp/inner-found.json")  # noqa: S108  the host of the VM is ours alone
ROLES = {"8086:10ca": "vf", "8086:10c9": "pf"}
"""Devices that the VM has once, by their ids."""
SRIOV = 0x10
EXTENDED, LAST = 0x100, 0x1000


def main() -> None:
    """Look at each, and ask Passgate for what a node is asked for."""
    found: dict[str, Any] = {"groups": len(list(pci.GROUPS.iterdir())) if pci.GROUPS.exists() else 0}
    for directory in sorted((pci.PCI / "devices").iterdir()):
        ids = ":".join((directory / name).read_text().strip()[2:] for name in ("vendor", "device"))
        if role := ROLES.get(ids):
            found[role] = _looked_at(PciAddress.parse(directory.name), role)
    FOUND.write_text(json.dumps(found))


def _looked_at(address: PciAddress, role: str) -> dict[str, Any]:
    directory = pci.directory(address)
    looked: dict[str, Any] = {
        "driver": pci.driver(address),
        "alone": len([*directory.glob("iommu_group/devices/*")]) == 1,
        "sriov": (directory / "sriov_totalvfs").exists(),
        "physfn": (directory / "physfn").exists(),
        "sriovCapability": SRIOV in _capabilities((directory / "config").read_bytes()),
        "doctor": _passgate("node", "doctor", str(address)),
        "vfs": _passgate("node", "vfs", str(address), "2", "--dry-run"),
    }
    if role == "vf":
        looked["bind"] = _passgate("node", "bind", str(address), "--yes", "--state-dir", "/run/passgate")
        looked["kernel"] = _taken_by_vfio(address)
        looked["held"] = _held(address)
        looked["after"] = _passgate("node", "doctor", str(address))
    return looked


def _passgate(*command: str) -> dict[str, Any]:
    done = subprocess.run([*PASSGATE, *command, "-o", "json"], check=False, capture_output=True, text=True)
    return {"code": done.returncode, "said": json.loads(done.stdout or "{}"), "errors": done.stderr}


def _taken_by_vfio(address: PciAddress) -> str:
    """What the kernel makes of it by hand, where Passgate has not bound it."""
    if pci.driver(address) == pci.VFIO:
        return f"{pci.VFIO} has it"
    heard, before = KernelLog(), pci.driver(address)
    (pci.directory(address) / "driver_override").write_text(pci.VFIO)
    if before:
        (pci.directory(address) / "driver/unbind").write_text(str(address))
    (pci.PCI / "drivers_probe").write_text(str(address))
    return f"{pci.driver(address) or 'no driver'}, override {override(address)}; {heard.said(address)}"


def _held(address: PciAddress) -> str:
    """Whether a process may have it as a VM would."""
    try:
        with vfioholder.held(address):
            return "it can be opened"
    except (RuntimeError, OSError) as error:
        return f"it cannot be opened: {error}"


def _capabilities(config: bytes) -> set[int]:
    """The extended capabilities that the VM's kernel is shown."""
    found, at = set(), EXTENDED
    while EXTENDED <= at < min(LAST, len(config)):
        (header,) = struct.unpack_from("<I", config, at)
        found.add(header & 0xFFFF)
        at = header >> 20
    return found


if __name__ == "__main__":
    main()
