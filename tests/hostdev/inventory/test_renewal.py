"""One function looked at again is as good as a look at the whole host."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from domxml.pciaddress import PciAddress
from hostdev.inventory.machine import Machine
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.renewal import renew_picture
from hostdev.inventory.scan import scan
from tests.hostdev.layout import lay_out
from tests.hostdev.machines.fixtures import fixture

CASES = [
    ("hgx-h100", "0000:1b:00.0"),
    ("nvme-in-gpu-group", "0000:01:00.1"),
]


@pytest.fixture(params=CASES, ids=[name for name, _ in CASES])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, PciAddress]:
    name, address = request.param
    lay_out(fixture(name).read_text(), tmp_path)
    return tmp_path, PciAddress.parse(address)


def look(root: Path, *addresses: PciAddress) -> Machine:
    with open_host(str(root)) as opened:
        return scan(opened, only=addresses or None, use=False)


def comparable(machine: Machine) -> Machine:
    """Nodes are listed in no order that means anything."""
    return replace(machine, vfio=replace(machine.vfio, nodes=tuple(sorted(machine.vfio.nodes or ()))))


def test_where_nothing_changed_nothing_changes(host: tuple[Path, PciAddress]) -> None:
    root, address = host
    before = look(root)

    assert comparable(renew_picture(before, look(root, address), [address])) == comparable(before)


def test_another_driver_is_seen(host: tuple[Path, PciAddress]) -> None:
    root, address = host
    before = look(root)
    device = (root / "sys/bus/pci/devices" / str(address)).resolve()
    (device / "driver").unlink(missing_ok=True)
    text = (device / "uevent").read_text()
    (device / "uevent").write_text("".join(line for line in text.splitlines(True) if not line.startswith("DRIVER=")))
    node = root / "dev/vfio" / str(before.functions[address].group)
    if node.exists():
        node.rename(root / "dev/elsewhere")

    renewed = renew_picture(before, look(root, address), [address])

    assert renewed.functions[address].driver is None
    assert comparable(renewed) == comparable(look(root))


def test_a_function_that_is_gone_is_gone(host: tuple[Path, PciAddress]) -> None:
    root, address = host
    before = look(root)
    link = root / "sys/bus/pci/devices" / str(address)
    shutil.rmtree(link.resolve())
    link.unlink()
    group = before.functions[address].group
    (root / f"sys/kernel/iommu_groups/{group}/devices/{address}").unlink()
    if not [*(root / f"sys/kernel/iommu_groups/{group}/devices").iterdir()]:
        shutil.rmtree(root / f"sys/kernel/iommu_groups/{group}")

    members = before.groups[group].members if group is not None else (address,)
    renewed = renew_picture(before, look(root, *members), members)

    assert address not in renewed.functions
    assert renewed.functions == look(root).functions
    assert renewed.groups == look(root).groups
