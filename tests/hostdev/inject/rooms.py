"""VMs with OVMF and a card whose BARs are of a chosen size."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from tests.domxml.domains import FOLDER
from tests.hostdev.machines.fixtures import fixture

CARD = "0000:01:00.0"
LARGE, HUGE = 64 << 30, 2 << 40
NAME = "q35-default"


def efi(xml: bytes) -> bytes:
    """The domain with OVMF."""
    loader = b'<loader readonly="yes" type="pflash">/usr/share/OVMF/OVMF_CODE_4M.fd</loader>'
    return re.sub(rb"(<type arch=[^>]*>hvm</type>)", rb"\1" + loader, xml)


def resized(folder: Path, size: int, *, vga: bool = True, bits: bool = True) -> str:
    """The recorded card, alone in its group, with another size of its second BAR."""
    text = fixture("consumer-gpu").read_text()
    found = next(line for line in text.splitlines() if "0x000000000014220c" in line).split('"')[1]
    text = text.replace(found, f"0x{size:016x} 0x{2 * size - 1:016x} 0x000000000014220c")
    for driver in ("snd_hda_intel", "xhci_hcd", "nvidia-gpu"):
        text = text.replace(f"DRIVER={driver}", "DRIVER=vfio-pci").replace(f"drivers/{driver}", "drivers/vfio-pci")
    if not vga:
        text = text.replace("PCI_CLASS=30000", "PCI_CLASS=30200").replace("0x030000", "0x030200")
    told = ["vendor_id : GenuineIntel", "address sizes : 39 bits physical, 48 bits virtual"] if bits else []
    text = text.replace('["proc"]\n', f'["proc"]\ncpuinfo = {json.dumps(told)}\n')
    machine = folder / f"{size}-{vga}.toml"
    machine.write_text(text)
    return str(machine)


def vmi(policy: Mapping[str, object] | None = None) -> bytes:
    document = json.loads((FOLDER / f"{NAME}.vmi.json").read_bytes())
    devices = json.dumps([{"address": CARD, "name": "gpu"}])
    gate = ["group-not-viable", "vfio-node-missing"]
    rules = {"allow": gate, **(policy or {})}
    document["metadata"]["annotations"] = {
        "passgate.dev/devices": devices,
        "passgate.dev/policy": json.dumps(rules),
    }
    document["status"] = {}
    return json.dumps(document).encode()
