"""The devices that KubeVirt put into the domain itself."""

from __future__ import annotations

import pytest

from domxml.document import Domain
from hostdev.allocation.kubevirt import from_domain
from tests.domxml.domains import load
from tests.hostdev.allocation.given import UUID, A, only

SOURCE = '<source><address domain="0x0000" bus="0x3d" slot="0x02" function="0x1"/></source>'


def _domain(*devices: str) -> Domain:
    return Domain.parse(f"<domain type='kvm'><devices>{''.join(devices)}</devices></domain>".encode())


def _hostdev(alias: str, source: str = SOURCE, kind: str = "pci") -> str:
    return f'<hostdev type="{kind}" mode="subsystem">{source}{alias and f"<alias name={alias!r}/>"}</hostdev>'


@pytest.mark.parametrize(
    ("fixture", "found"),
    [
        ("q35-default", []),
        ("q35-gpu-1", [("0000:19:00.0", "gpu0", "domain ua-gpu-gpu0")]),
        (
            "q35-hostdevices-qat-nvme",
            [
                ("0000:6b:00.1", "qat0", "domain ua-hostdevice-qat0"),
                ("0001:5e:00.0", "nvme0", "domain ua-hostdevice-nvme0"),
            ],
        ),
        (
            "q35-sriov-2",
            [
                ("0000:3b:02.0", "sriov0", "domain ua-sriov-sriov0"),
                ("0000:3b:02.1", "sriov1", "domain ua-sriov-sriov1"),
            ],
        ),
        ("q35-vgpu-mdev", [("4b20d080-1b54-4048-85b3-a6a62d165c01", "vgpu0", "domain ua-gpu-vgpu0")]),
    ],
)
def test_what_kubevirt_resolved_is_found(fixture: str, found: list[tuple[str, str, str]]) -> None:
    gathered = from_domain(Domain.parse(load(fixture)))

    assert [(str(one.device), one.name, one.told_by[0]) for one in gathered.allocations] == found
    assert all(one.label == one.name and not one.resource for one in gathered.allocations)


@pytest.mark.parametrize("prefix", ["ua-gpu-", "ua-hostdevice-", "ua-sriov-", "ua-dra-gpu-", "ua-dra-hostdevice-"])
def test_each_alias_gives_the_name(prefix: str) -> None:
    assert only(from_domain(_domain(_hostdev(f"{prefix}my-dev_1")))).name == "my-dev_1"


@pytest.mark.parametrize(
    "alias", ["", "hostdev0", "ua-passgate-qat", "ua-gpu-", "ua-other", "gpu-gpu1", "ua-usb-host-stick"]
)
def test_other_peoples_devices_and_ours_are_no_allocation(alias: str) -> None:
    assert from_domain(_domain(_hostdev(alias))).allocations == ()


def test_an_interface_is_not_a_hostdev() -> None:
    interface = f'<interface type="hostdev">{SOURCE}<alias name="ua-sriov-n"/></interface>'

    assert from_domain(_domain(interface)).allocations == ()


def test_an_mdev_and_a_usb_device_beside() -> None:
    mdev = _hostdev("ua-gpu-vgpu", f'<source><address uuid="{UUID}"/></source>', "mdev")
    usb = _hostdev("ua-usb-host-x", '<source><address bus="1" device="4"/></source>', "usb")

    assert str(only(from_domain(_domain(mdev, usb))).device) == UUID
    assert A not in str(from_domain(_domain(mdev, usb)))
