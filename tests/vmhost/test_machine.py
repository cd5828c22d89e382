from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house import ROOT
from tests.patience import until
from tests.vmhost.image import Image, with_small_kernel
from tests.vmhost.machine import boot

pytestmark = pytest.mark.vmhost

LIMIT = 900

BOOT_AND_NEVER_END = """\
import sys
from pathlib import Path
from tests.vmhost.image import image
from tests.vmhost.machine import boot
boot(image(), Path(sys.argv[1]), timeout=600)
"""


@pytest.fixture
def share(tmp_path: Path) -> Callable[[str], Path]:
    def running(script: str) -> Path:
        run = tmp_path / "run"
        run.write_text(f"#!/bin/sh\n{script}\n")
        run.chmod(0o755)
        return tmp_path

    return running


def test_what_was_run_decides_the_exit_code_and_leaves_the_disk_alone(
    host: Image, share: Callable[[str], Path]
) -> None:
    disk = host.boot / "disk"
    before = disk.stat()
    directory = share("echo kept >/share/found; echo lost >/lost; sync; exit 7")

    result = boot(host, directory, timeout=LIMIT)

    assert result.exit_code == 7, result.console
    assert (directory / "found").read_text() == "kept\n"
    assert (disk.stat().st_mtime_ns, disk.stat().st_blocks) == (before.st_mtime_ns, before.st_blocks)


def test_a_host_that_does_not_power_off_is_ended(host: Image, share: Callable[[str], Path]) -> None:
    mounts = Path("/proc/self/mounts").read_text()

    result = boot(host, share("sleep 600"), timeout=2)

    assert result.exit_code is None
    assert "ended after 2 s" in result.console
    assert Path("/proc/self/mounts").read_text() == mounts


def test_a_host_dies_with_who_booted_it(host: Image, share: Callable[[str], Path]) -> None:
    assert host.built
    command = [sys.executable, "-c", BOOT_AND_NEVER_END, str(share("sleep 600"))]
    paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'xml'}"}
    with subprocess.Popen(command, cwd=ROOT, env=paths) as booting:
        qemu = until(lambda: _child(booting.pid, "qemu-system-x86"))
        booting.kill()
    until(lambda: not Path(f"/proc/{qemu}").exists())


@pytest.mark.thorough
def test_the_small_kernel_has_iommufd(host: Image, share: Callable[[str], Path]) -> None:
    small = with_small_kernel(host)
    if not small.built:
        pytest.skip("there is no small kernel: python -m tests.vmhost.image --small-kernel")

    result = boot(
        small, share("test -c /dev/iommu && ls /sys/kernel/iommu_groups/*/devices/0000:44:00.0"), timeout=LIMIT
    )

    assert result.exit_code == 0, result.console


def _child(parent: int, name: str) -> int | None:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return next((int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text().strip() == name), None)
