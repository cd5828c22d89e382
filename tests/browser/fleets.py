"""Fleets for the page: recorded machines under names of nodes, one of them with names of strangers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hostdev.cli.fleet.survey import Moment
from hostdev.cli.page.page import draw_fleet, fleet_content, write_page
from hostdev.fleet.snapshots import find_snapshots
from hostdev.inventory import pciids
from tests.hostdev.cli.running import PCI_IDS, ROOT
from tests.hostdev.fleet.fleets import NOW, snapshot_text, write_fleet

RACK = {
    "gpu-1": "hgx-h100",
    "gpu-2": "hgx-h100",
    "gpu-3": "tesla-t4",
    "gpu-4": "consumer-gpu",
    "edge-1": "qat",
    "edge-2": "qat",
    "net-1": "two-socket-x710",
    "net-2": "two-socket-x710",
    "arm-1": "kunpeng",
    "epyc-1": "amd-epyc",
    "lab-1": "real-q35-sriov",
    "old-1": "old-kernel",
    "bare-1": "no-iommu",
    "pod-1": "container-view",
}
HELD = ("0000:3b:02.1", "0000:3b:02.3", "0000:3d:01.0", "0000:3d:01.1", "0000:19:00.0", "0000:1a:00.0")
STRANGE = '<img src=x onerror="window.harm=1">&lt;'
CLOSING = "6.1</script><script>window.harm=1</script>\u2028"
WHY: dict[str, Any] = {
    "vm": "prod/crypto",
    "items": [
        {"node": "edge-1", "verdict": "yes", "findings": []},
        {"node": "edge-2", "verdict": "yes", "findings": []},
        {
            "node": "gpu-4",
            "verdict": "notNow",
            "findings": [
                {
                    "code": "group-not-viable",
                    "severity": "error",
                    "subject": "0000:01:00.0",
                    "message": "group 1 is not viable: 0000:01:00.1 is on snd_hda_intel",
                    "hint": "passgate node bind 0000:01:00.1",
                }
            ],
        },
        {
            "node": "bare-1",
            "verdict": "never",
            "findings": [
                {"code": "no-iommu", "severity": "error", "subject": "", "message": "there is no IOMMU", "hint": ""}
            ],
        },
        {
            "node": "pod-1",
            "verdict": "unknown",
            "findings": [
                {
                    "code": "too-few-free",
                    "severity": "error",
                    "subject": "pod-1",
                    "message": "of 2 units that fit, 0 are ready, 2 unknown",
                    "hint": "free or bind what the findings beside this one name",
                }
            ],
        },
    ],
}


def in_use(text: str, *addresses: str) -> str:
    """The snapshot with functions that something has open."""
    for address in addresses:
        before, header, after = text.partition(f'/{address}"]\n')
        text = before + header + after.replace('enable = "0"', 'enable = "1"', 1)
    return text


def rack(directory: Path) -> Path:
    """The fleet of most tests and of the pictures."""
    write_fleet(directory, RACK)
    for node in ("net-1", "edge-1", "gpu-1"):
        file = directory / f"{node}.toml"
        file.write_text(in_use(file.read_text(), *HELD))
    (directory / "arm-1.toml").write_text(snapshot_text("kunpeng"))
    return directory


def page_of(directory: Path, file: Path, why: dict[str, Any] | None = None) -> Path:
    """The page of a directory."""
    names = pciids.namer(str(ROOT / PCI_IDS))
    moment = Moment(NOW, None)
    write_page(str(file), fleet_content(draw_fleet(find_snapshots(str(directory)), moment, names), moment, why))
    return file


def many(directory: Path, nodes: int = 200) -> Path:
    """A fleet of machines of about sixty functions."""
    machines = ("qat", "hgx-h100", "two-socket-x710", "real-q35-sriov")
    texts = [snapshot_text(name, taken=datetime(2026, 11, 28, 11, tzinfo=UTC)) for name in machines]
    directory.mkdir()
    for number in range(nodes):
        (directory / f"node-{number}.toml").write_text(texts[number % len(texts)])
    return directory
