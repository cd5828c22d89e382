"""kill -9 at every step of a drop, and a disk that is full: nobody ever reads a part of an allocation."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hooksidecar.agent.drop import MARK
from hostdev.allocation.env_file import to_env_file
from tests.hooksidecar.agent.envfile import ENVS, variables
from tests.hooksidecar.agent.kubelet import FILE, RESOURCE, SIDECAR, Kubelet, uid
from tests.hooksidecar.agent.process import NewNode
from tests.hooksidecar.sidecar import environment

POD = uid(1)
OLD = f"{MARK.decode()}\nQAT0=0000:3d:02.7\n"
NOTES = dict.fromkeys(ENVS, (RESOURCE,))
WHOLE = f"{MARK.decode()}\n{to_env_file(dict(sorted(ENVS.items())), NOTES, {RESOURCE: 1}).decode()}"


def killed(kubelet: Kubelet, old: str) -> list[dict[str, Any]]:
    """Kill at each step; what was there then, and after the next sweep."""
    command = [sys.executable, "-m", "tests.hooksidecar.agent.killed", str(kubelet.directory), old]
    said = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    assert {line["code"] for line in lines[:-1]} == {-signal.SIGKILL}
    assert lines[-1]["code"] == 0
    print(f"{len(lines) - 1} steps")
    return lines


@pytest.mark.parametrize("old", ["", OLD], ids=["new file", "old file"])
def test_killed_at_any_step_no_part_of_a_file_is_seen_and_the_next_sweep_repairs(kubelet: Kubelet, old: str) -> None:
    kubelet.served(POD, ENVS)

    lines = killed(kubelet, old)

    assert len(lines) > 20
    for line in lines:
        assert line["seen"] in {old or None, WHOLE}
        assert (line["repaired"], line["after"], line["content"]) == (0, ["allocation.env"], WHOLE)
        assert line["mode"] == 0o400
    assert {line["seen"] for line in lines} == {old or None, WHOLE}


def test_killed_at_any_step_of_a_removal(kubelet: Kubelet) -> None:
    kubelet.save()
    kubelet.volume(POD, SIDECAR)

    lines = killed(kubelet, OLD)

    for line in lines:
        assert line["seen"] in {OLD, None}
        assert (line["repaired"], line["after"]) == (0, [])


def test_a_full_disk_leaves_no_torn_file_and_is_tried_again(kubelet: Kubelet, node: NewNode) -> None:
    """Each step of a drop meets it once: the file system has room for so many inodes, or so many pages."""
    told: set[str] = set()
    for options in ("nr_inodes=2", "nr_inodes=3", "nr_inodes=4", "size=8k", "size=12k"):
        _on_small_disk(kubelet, node, options, told)
    assert told == {"No space left on device"}


def _on_small_disk(kubelet: Kubelet, node: NewNode, options: str, told: set[str]) -> None:
    kubelet.entries.clear()
    big = {**ENVS, "PCIDEVICE_A_INFO": "x" * 9000}
    kubelet.allocate(POD, big)
    good = kubelet.directory / "pods" / uid(2)
    path = kubelet.served(uid(2), ENVS)
    volume = kubelet.volume(POD)
    _mount(volume, options)
    try:
        mount = volume / SIDECAR
        mount.mkdir()
        state = node()
        swept = state.sweep(whole=True)
        told |= {finding.message.rpartition(": ")[2] for finding in swept.findings}
        assert {finding.code for finding in swept.findings} <= {"drop-failed"}
        assert variables(path) == ENVS
        left = [found for found in volume.rglob("*") if found.is_file()]
        assert left == [] or variables(mount / FILE) == big
        subprocess.run(["mount", "-o", "remount,nr_inodes=0,size=1m", str(volume)], check=True)
        state.sweep(whole=True)
        assert variables(mount / FILE) == big
    finally:
        subprocess.run(["umount", str(volume)], check=True)
        shutil.rmtree(kubelet.directory / "pods" / POD)
        shutil.rmtree(good)


def test_a_volume_that_is_read_only(kubelet: Kubelet, node: NewNode) -> None:
    path = kubelet.served(uid(2), ENVS)
    kubelet.allocate(POD, ENVS)
    kubelet.save()
    volume = kubelet.volume(POD)
    _mount(volume, "size=64k")
    try:
        (volume / SIDECAR).mkdir()
        subprocess.run(["mount", "-o", "remount,ro", str(volume)], check=True)
        swept = node().sweep(whole=True)
    finally:
        subprocess.run(["umount", str(volume)], check=True)

    assert [finding.message.rpartition(": ")[2] for finding in swept.findings] == ["Read-only file system"]
    assert [finding.code for finding in swept.findings] == ["drop-failed"]
    assert variables(path) == ENVS


def _mount(path: Path, options: str) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root, to mount a small disk")
    said = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(path)], capture_output=True, text=True, check=False
    )
    if said.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {said.stderr.strip()}")


def test_no_more_files_may_be_open(kubelet: Kubelet, node: NewNode) -> None:
    """At each number of descriptors that are left the trouble is told, and it is gone with the next sweep."""
    path = kubelet.served(POD, ENVS)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    codes: list[str] = []
    for free in range(8):
        state = node()
        hoard = os.open("/dev/null", os.O_RDONLY)
        path.unlink(missing_ok=True)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hoard + 1 + free, limit[1]))
            codes += [finding.code for finding in state.sweep(whole=True).findings]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            os.close(hoard)
        assert state.sweep(whole=True).findings == ()
        assert variables(path) == ENVS

    assert set(codes) == {"checkpoint-unreadable", "drop-failed"}
