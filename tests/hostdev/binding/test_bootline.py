"""Kernel parameters and module options beside those of the running kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostdev.binding.bootline import Boot, Shortfall, exported_parameters, read_boot, shortfalls
from hostdev.binding.state import ModuleOption, NodeState, Parameter
from hostdev.binding.status import kernel_lines
from hostdev.inventory.host import Host
from tests.hostdev.gate.build import machine


def missing(parameter: str, cmdline: str, **files: str) -> list[Shortfall]:
    state = NodeState(parameters=(Parameter("kernel.parameters[0]", parameter),))
    return list(shortfalls(state, Boot(cmdline, files={name.replace("__", "/"): text for name, text in files.items()})))


@pytest.mark.parametrize(
    ("parameter", "cmdline", "holds"),
    [
        ("intel_iommu=on", "ro intel_iommu=on quiet", True),
        ("intel_iommu=on", "ro intel_iommu=on,sm_on", True),
        ("intel_iommu=on,sm_on", "intel_iommu=on", False),
        ("intel_iommu=on", "intel_iommu=on intel_iommu=off", False),
        ("intel_iommu=on", "intel_iommu=off intel_iommu=on", True),
        ("intel_iommu=on", "notintel_iommu=on", False),
        ("intel_iommu=on", "", False),
        ("intel_iommu=on", "init=/x -- intel_iommu=on", False),
        ("iommu=pt", "iommu=pt iommu=nopt", False),
        ("i915.max_vfs=7", "i915.max_vfs=7", True),
        ("i915.max_vfs=7", "i915.max_vfs=7 i915.max_vfs=0", False),
        ("vfio-pci.ids=10de:1eb8,10de:10f0", "vfio_pci.ids=10de:10f0,10DE:1EB8", True),
        ("vfio-pci.ids=10de:1eb8", "vfio-pci.ids=10de:1eb8,8086:1572", False),
        ("nomodeset", "quiet nomodeset", True),
        ("nomodeset", "quiet", False),
        ("iommu=pt", 'dyndbg="iommu=pt +p"', False),
    ],
)
def test_a_parameter_holds_as_the_kernel_reads_it(parameter: str, cmdline: str, *, holds: bool) -> None:
    assert (not missing(parameter, cmdline)) is holds


def test_what_is_configured_for_the_next_boot_is_said() -> None:
    text = '# intel_iommu=on\nGRUB_CMDLINE_LINUX="quiet intel_iommu=on"\n'
    (found,) = missing("intel_iommu=on", "quiet intel_iommu=off", etc__default__grub=text)

    assert (found.have, found.configured) == ("intel_iommu=off", "/etc/default/grub")
    (commented,) = missing("iommu=pt", "", etc__default__grub="# iommu=pt")
    assert commented.configured == ""


GRUB = 'GRUB_CMDLINE_LINUX="i915.max_vfs=7"'
WANTED = NodeState(parameters=(Parameter("kernel.parameters[0]", "i915.max_vfs=7"),))


class _Live(Host):
    """A directory that is taken for the root of the machine that runs."""

    @property
    def live(self) -> bool:
        return True


def told_in(root: Path) -> str:
    """What status says where these are the files that an agent sees from within its container."""
    for name, text in (("proc/cmdline", "ro"), ("sys/kernel/x", "")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    with _Live(root) as host:
        (line,) = kernel_lines(WANTED, read_boot(host, machine()))
    return line.findings[0].message


def in_processes(root: Path, number: int) -> None:
    link = root / "proc/self/ns/pid"
    link.parent.mkdir(parents=True)
    link.symlink_to(f"pid:[{number}]")


def grub(root: Path) -> None:
    (root / "etc/default").mkdir(parents=True)
    (root / "etc/default/grub").write_text(GRUB)


def test_a_container_looks_at_the_nodes_files_for_the_next_boot(tmp_path: Path) -> None:
    in_processes(tmp_path, 4026531836)
    grub(tmp_path / "proc/1/root")

    assert "i915.max_vfs=7 stands in /etc/default/grub: reboot pending" in told_in(tmp_path)


def test_a_containers_own_files_are_not_the_nodes(tmp_path: Path) -> None:
    in_processes(tmp_path, 4026531836)
    grub(tmp_path)
    (tmp_path / "proc/1/root/etc").mkdir(parents=True)

    assert "is not set: reboot pending once it is" in told_in(tmp_path)


def test_without_the_nodes_processes_the_next_boot_is_not_known(tmp_path: Path) -> None:
    in_processes(tmp_path, 4026532999)
    grub(tmp_path)
    grub(tmp_path / "proc/1/root")

    assert "whether it is for the next boot is not known here" in told_in(tmp_path)


def option(value: str, boot: Boot, name: str = "disable_idle_d3", module: str = "vfio_pci") -> list[Shortfall]:
    return list(shortfalls(NodeState(options=(ModuleOption("x", module, name, value),)), boot))


@pytest.mark.parametrize(
    ("value", "now", "holds"),
    [("Y", "Y", True), ("Y", "1", True), ("true", "Y", True), ("Y", "N", False), ("7", "7", True), ("0x7", "7", True)],
)
def test_an_option_holds_as_the_module_shows_it(value: str, now: str, *, holds: bool) -> None:
    assert (not option(value, Boot(options={"vfio_pci": {"disable_idle_d3": now}}))) is holds


def test_an_option_that_no_file_shows_is_unknown_or_on_the_command_line() -> None:
    loaded = Boot(options={"vfio_pci": {}})

    assert option("10de:1eb8", loaded, "ids")[0].unknown == "the module does not show this option in /sys/module"
    assert option("Y", Boot())[0].unknown == "the module is not loaded"
    assert option("Y", Boot(recorded=True))[0].unknown == "a recording does not hold the module"
    assert not option("10de:1eb8", loaded._replace(cmdline="vfio-pci.ids=10de:1eb8"), "ids")


def test_an_option_in_modprobe_d_waits_for_the_module() -> None:
    boot = Boot(
        options={"vfio_pci": {"disable_idle_d3": "N"}},
        files={"etc/modprobe.d/a.conf": "options vfio-pci disable_vga=1 disable_idle_d3=1 # x\n"},
    )
    (found,) = option("Y", boot)

    assert (found.have, found.configured) == ("vfio_pci.disable_idle_d3=N", "/etc/modprobe.d/a.conf")


def test_what_decides_about_passthrough_is_exported() -> None:
    line = "root=/dev/sda2 ro intel_iommu=on quiet i915.max_vfs=7 vfio-pci.ids=10de:1eb8 intel_iommu=on"

    assert exported_parameters(line) == ("intel_iommu=on", "i915.max_vfs=7", "vfio-pci.ids=10de:1eb8")
