"""Each program that leaves a file on a node about a device is named, with the file and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.binding.managers import managers_of
from hostdev.inventory.host import Host
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.machines.builder import Builder

NIC, VF, GPU = "0000:3b:00.0", "0000:3b:02.0", "0000:65:00.0"
DOMAIN = """\
<domain type='kvm'><name>tenant</name><devices><hostdev mode='subsystem' type='pci' managed='{}'>
<source><address domain='0x0000' bus='0x65' slot='0x00' function='0x0'/></source></hostdev></devices></domain>
"""


def _found(directory: Path, files: Mapping[str, str], address: str, cmdline: str = "quiet") -> list[Finding]:
    machine = Builder(cmdline=cmdline)
    pf = machine.function(machine.root("pci0000:3a"), NIC, "8086:1572", 0x020000, driver="i40e")
    machine.vfs(pf, VF, "8086:154c", 0x020000, ["vfio-pci"])
    machine.function(machine.root("pci0000:64"), GPU, "10de:2331", 0x030200, driver="nvidia", subsystem="10de:1626")
    layout.write(machine.recording(""), directory / "host")
    for name, text in files.items():
        file = directory / "host" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    with Host(directory / "host") as host:
        return list(managers_of(host, scan(host).functions[PciAddress.parse(address)]))


RULE = 'SUBSYSTEM=="pci", ATTR{vendor}=="0x10de", ATTR{device}=="0x2331", ATTR{driver_override}="vfio-pci"\n'
ERROR, WARNING = Severity.ERROR, Severity.WARNING


@pytest.mark.parametrize(
    ("file", "text", "address", "words", "hint", "severity"),
    [
        (f"etc/driverctl.d/pci-{GPU}", "vfio-pci\n", GPU, "driverctl puts it on vfio-pci", "driverctl unset-o", ERROR),
        (f"etc/sriov-operator/pci/{NIC}", "{}", NIC, f"operator configured {NIC}", "SriovNetworkNodePolicy", ERROR),
        (f"etc/sriov-operator/pci/{NIC}", "{}", VF, f"operator configured {NIC}", "SriovNetworkNodePolicy", ERROR),
        ("etc/sriov-operator/x", "", NIC, "has not configured", "SriovNetworkNodeState", WARNING),
        ("etc/harvester-release.yaml", "harvester: v1.6.0", GPU, "Harvester puts devices", "PCIDeviceClaim", ERROR),
        ("run/nvidia/validations/vfio-pci-ready", "", GPU, "GPU operator prepares", "gpu.workload.config", ERROR),
        ("var/lib/kubelet/plugins/gpu.nvidia.com/checkpoint.json", GPU, GPU, "gpu.nvidia.com names it", "", ERROR),
        ("run/cdi/vfio.json", f'{{"path": "{GPU}"}}', GPU, "a CDI file names it", "", ERROR),
        ("etc/udev/rules.d/10-vfio.rules", RULE, GPU, "a rule of udev", "10-vfio.rules", ERROR),
        (
            "etc/modprobe.d/vfio.conf",
            "options vfio-pci ids=1:2,10de:2331\n",
            GPU,
            "every device of its",
            "10de",
            WARNING,
        ),
        ("etc/modprobe.d/vfio.conf", "options vfio_pci x=1 ids=10de:2331:10de:1626\n", GPU, "boot", "", WARNING),
        ("etc/libvirt/qemu/tenant.xml", DOMAIN.format("yes"), GPU, "whenever the domain tenant", "managed", WARNING),
        ("run/libvirt/qemu/tenant.xml", DOMAIN.format("yes"), GPU, "took it for the domain tenant", "shut", ERROR),
    ],
)
def test_who_manages_a_device_is_told(  # noqa: PLR0917  a row of a table
    tmp_path: Path, file: str, text: str, address: str, words: str, hint: str, severity: Severity
) -> None:
    (finding,) = _found(tmp_path, {file: text}, address)

    assert (finding.code, finding.severity, words in finding.message) == ("managed-elsewhere", severity, True), finding
    assert hint in finding.hint
    assert finding.evidence[0].file.startswith(f"/{file.rpartition('/')[0]}")


@pytest.mark.parametrize(
    ("file", "text", "address"),
    [
        (f"etc/driverctl.d/pci-{NIC}", "vfio-pci\n", GPU),
        (f"etc/sriov-operator/pci/{NIC}", "{}", GPU),
        ("run/nvidia/validations/vfio-pci-ready", "", NIC),
        ("run/nvidia/validations/driver-ready", "", GPU),
        ("run/cdi/other.json", '{"path": "0000:66:00.0"}', GPU),
        ("etc/udev/rules.d/10.rules", f"# {RULE}", GPU),
        ("etc/udev/rules.d/10.rules", RULE, NIC),
        ("etc/udev/rules.d/10.rules", 'SUBSYSTEM=="net", NAME="driver_override"', GPU),
        ("etc/modprobe.d/vfio.conf", "# options vfio-pci ids=10de:2331\noptions kvm ids=10de:2331\n", GPU),
        ("etc/modprobe.d/vfio.conf", "options vfio-pci ids=10de:2331:10de:0001\n", GPU),
        ("etc/modprobe.d/vfio.conf", "options vfio-pci ids=nonsense\n", GPU),
        ("etc/libvirt/qemu/tenant.xml", DOMAIN.format("no"), GPU),
    ],
)
def test_what_is_about_another_device_is_not_told(tmp_path: Path, file: str, text: str, address: str) -> None:
    assert _found(tmp_path, {file: text}, address) == []


def test_the_command_line_of_the_kernel_is_read(tmp_path: Path) -> None:
    (finding,) = _found(tmp_path, {}, GPU, "quiet vfio-pci.ids=10de:2331 iommu=pt")

    assert finding.evidence[0] == ("/proc/cmdline", "vfio-pci.ids=10de:2331")
