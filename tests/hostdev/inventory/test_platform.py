"""What the machine as a whole is: whose VM, where it is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostdev.inventory.host import Host
from hostdev.inventory.scan import scan


@pytest.mark.parametrize(
    ("maker", "product", "hypervisor"),
    [
        ("QEMU", "Standard PC (Q35 + ICH9, 2009)", "QEMU"),
        ("KubeVirt", "None", "KubeVirt"),
        ("Amazon EC2", "m5.large", "Amazon EC2"),
        ("Amazon EC2", "m5.metal", ""),
        ("Microsoft Corporation", "Surface", ""),
        ("Dell Inc.", "PowerEdge R760", ""),
    ],
)
def test_whose_vm_a_machine_is_stands_in_its_firmware(
    tmp_path: Path, maker: str, product: str, hypervisor: str
) -> None:
    names = tmp_path / "sys/class/dmi/id"
    names.mkdir(parents=True)
    (names / "sys_vendor").write_text(f"{maker}\n")
    (names / "product_name").write_text(f"{product}\n")

    with Host(tmp_path) as host:
        assert scan(host).kernel.hypervisor == hypervisor
