"""Addresses, groups, UUIDs and names, in the spellings in which they are pasted."""

from __future__ import annotations

import pytest

from hostdev.explain.text import plain
from hostdev.explain.values import Values, fill_command, take_values

UUID = "7ece9ff1-b292-474e-aaf4-58e863ae2053"


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("vfio 0000:3b:00.0: group 12", ["0000:3b:00.0"]),
        ("GPU 00000000:3B:00.0: driver", ["0000:3b:00.0"]),
        ("NVMe 10000:e1:00.0, in nvidia-smi's way 00010000:E1:00.0", ["10000:e1:00.0"]),
        ("Failed to detach device pci_0000_3b_00_0", ["0000:3b:00.0"]),
        ("NVRM: Xid (PCI:0000:3b:00): 79, pid=1", ["0000:3b:00.0"]),
        ("NVRM: GPU at PCI:0000:3b:00: GPU-5a1b2c3d-0000-0000-0000-000000000000", ["0000:3b:00.0"]),
        ('BusID "PCI:59:0:0"', ["0000:3b:00.0"]),
        ("(--) PCI:*(59@0:0:0) 10de:1eb8", ["0000:3b:00.0"]),
        ("BusID PCI:2@1:0:1", ["0001:02:00.1"]),
        ("pciehp: Slot(0000:3b:00): Link Down", ["0000:3b:00.0"]),
        ("3b:00.0 3D controller: NVIDIA Corporation", ["0000:3b:00.0"]),
        ("01:00.1 Audio device: NVIDIA", ["0000:01:00.1"]),
        ("-device vfio-pci,host=01:00.0,id=hostdev0", ["0000:01:00.0"]),
        ("/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/config", ["0000:3b:00.0"]),
        ("<source><address domain='0x0000' bus='0x3b' slot='0x1f' function='0x7'/></source>", ["0000:3b:1f.7"]),
        ("<address type='pci' domain='0x0000' bus='0x06' slot='0x00' function='0x0'/>", []),
        ("PCIDEVICE_INTEL_COM_NIC=0000:18:02.0,0000:18:02.1", ["0000:18:02.0", "0000:18:02.1"]),
        ("Who has 0000:3b:00.0? It is 0000:3b:00.1.", ["0000:3b:00.0", "0000:3b:00.1"]),
        ("it took 10:00.1 minutes", []),
        ("at 12:10:00.1 it ended", []),
        ("2024:10:12 09:00:01 IMG_0001.jpg", []),
        ("mac a0:b0:c0:01:00.0", []),
        ("10de:1eb8 fe80::1 00:16:3e:5d:c7:9e", []),
        ("PCI:300:0:0", []),
    ],
)
def test_addresses(text: str, addresses: list[str]) -> None:
    assert list(take_values(plain(text)).addresses) == addresses


@pytest.mark.parametrize(
    ("text", "uuids"),
    [
        (f"vfio {UUID}: error getting device", [UUID]),
        (f"/sys/bus/mdev/devices/{UUID}", [UUID]),
        (f"MDEV_PCI_RESOURCE_NVIDIA_COM_A10={UUID}", [UUID]),
        (f'"name":"vm","namespace":"a","uid":"{UUID}"', []),
        (f"/var/lib/kubelet/pods/{UUID}/volumes", []),
        (f"-uuid {UUID} -no-user-config", []),
        (f"GPU-{UUID} MIG-{UUID}", []),
    ],
)
def test_uuids_are_those_of_mediated_devices(text: str, uuids: list[str]) -> None:
    assert list(take_values(plain(text)).uuids) == uuids


@pytest.mark.parametrize(
    "text",
    ["group 12", "iommu_group 12", "/dev/vfio/12: busy", "/sys/kernel/iommu_groups/12/devices", "group number 12"],
)
def test_groups(text: str) -> None:
    assert take_values(text).groups == ("12",)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("default/virt-launcher-crypto-x7k2p", "kubectl logs -n default virt-launcher-crypto-x7k2p of crypto"),
        ("pod/virt-launcher-crypto-x7k2p", "kubectl logs virt-launcher-crypto-x7k2p of crypto"),
        ("virt-launcher-a-x7k2p and virt-launcher-b-x7k2p", "kubectl logs POD of VM"),
        ('"vm": "prod/crypto"', "kubectl logs -n prod -l vm.kubevirt.io/name=crypto of crypto"),
        (
            '"name":"crypto","namespace":"prod","pos":"vm.go:1"',
            "kubectl logs -n prod -l vm.kubevirt.io/name=crypto of crypto",
        ),
        ('"kind":"KubeVirt","name":"crypto","namespace":"prod","pos":"vm.go:1"', "kubectl logs POD of VM"),
        ('"pod":{"name":"crypto","namespace":"prod"}', "kubectl logs POD of VM"),
        ('"name":"crypto","namespace":"$(id)","pos":"vm.go:1"', "kubectl logs POD of VM"),
    ],
)
def test_pods_and_vms_with_their_namespace(text: str, command: str) -> None:
    assert fill_command("kubectl logs POD of VM", take_values(plain(text))) == command


def test_variables_are_named_as_they_are_set() -> None:
    text = plain("PCI_RESOURCE_NVIDIA_COM_GRID_P40-1Q not set for resource nvidia.com/GRID_P40-1Q")

    assert take_values(text).variables == ("PCI_RESOURCE_NVIDIA_COM_GRID_P40-1Q",)


def test_only_values_go_into_commands() -> None:
    assert fill_command("look DEVICE", Values(addresses=("0000:3b:00.0",))) == "look 0000:3b:00.0"
    assert fill_command("look DEVICE", Values(addresses=("$(rm -rf /)",))) == "look DEVICE"
    assert fill_command("look DEVICE", Values(addresses=("0000:3b:00.0", "0000:3b:00.1"))) == "look DEVICE"
