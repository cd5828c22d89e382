"""Releases that a text names, and whether they have the mending of a row."""

from __future__ import annotations

import time

import pytest

from hostdev.explain.explanation import explain_text
from hostdev.explain.releases import releases_in, with_kernel
from hostdev.findings.explain import EXPLAINED
from hostdev.findings.release import LOOK, Release, is_mended

MENDED = ("KubeVirt 1.6.6", "KubeVirt 1.7.4", "KubeVirt 1.8.3")
PASSTHROUGH = "unsupported configuration: host doesn't support passthrough of host PCI devices"


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("[    0.000000] Linux version 6.8.12-4-pve (build@proxmox) (gcc)", "Linux 6.8.12"),
        ("Linux node7 5.15.0-91-generic #101-Ubuntu SMP x86_64", "Linux 5.15.0"),
        ("CPU: 3 PID: 812 Comm: qemu Not tainted 6.1.0-18-amd64 #1 Debian 6.1.76-1", "Linux 6.1.0"),
        ("CPU: 3 UID: 0 PID: 812 Comm: qemu Tainted: G        W          6.12.9 #1", "Linux 6.12.9"),
        ("qemu version: 8.0.0, kernel: 5.15.0-92-generic, hostname: vgpu", "Linux 5.15.0"),
        ("QEMU emulator version 8.2.2 (Debian 1:8.2.2+ds-0ubuntu1)", "QEMU 8.2.2"),
        ("starting up libvirt version: 10.0.0, package: 2ubuntu8, hostname: h", "libvirt 10.0.0"),
        ("  observedKubeVirtVersion: v1.7.2", "KubeVirt 1.7.2"),
        ("    Image:  quay.io/kubevirt/virt-launcher:v1.8.0-rc.1", "KubeVirt 1.8.0"),
        ("We run KubeVirt v1.5.1 on bare metal", "KubeVirt 1.5.1"),
        ("Server Version: v1.30.4+k3s1", "Kubernetes 1.30.4"),
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.08  Tue", "NVIDIA driver 535.161.08"),
    ],
)
def test_a_release_is_read(text: str, release: str) -> None:
    component, _, version = release.rpartition(" ")
    assert Release(component, tuple(map(int, version.split(".")))) in releases_in(text)
    assert component in LOOK


@pytest.mark.parametrize(
    "text",
    [
        "CPU: 3 PID: 812 Comm: qemu Not tainted 4.18.0-513.el8.x86_64 #1",
        "QEMU emulator version 8.2.0 (qemu-kvm-8.2.0-11.el9_4.4)\nqemu version: 8.2.0-11.el9_4.4",
        "KubeVirt v1.7.2 on one node, KubeVirt v1.8.3 on the other",
        "kubevirt.io/v1",
        "Linux host",
    ],
)
def test_a_version_that_says_nothing_is_left_out(text: str) -> None:
    assert releases_in(text) == ()


@pytest.mark.parametrize(
    ("version", "answer"),
    [
        ((1, 5, 3), "no"),
        ((1, 7, 3), "no"),
        ((1, 7, 4), "yes"),
        ((1, 8, 2), "no"),
        ((1, 8, 3), "yes"),
        ((1, 9, 0), "yes"),
        ((1, 7), "not told"),
        ((1, 9), "yes"),
    ],
)
def test_each_branch_has_its_mending(version: tuple[int, ...], answer: str) -> None:
    words = {True: "yes", False: "no", None: "not told"}
    assert words[is_mended(MENDED, Release("KubeVirt", version))] == answer
    assert is_mended(MENDED, Release("QEMU", version)) is None


def test_every_mending_is_of_a_component_whose_version_can_be_asked() -> None:
    for row in EXPLAINED.values():
        parsed = [Release.parse(one) for one in row.mended]
        assert all(one and one.component in LOOK for one in parsed), row.code
        assert not row.mended or row.issues, row.code


@pytest.mark.parametrize(("version", "times"), [("1.7.2", 1), ("1.8.3", 0)])
def test_a_release_in_the_text_decides_between_causes(version: str, times: int) -> None:
    items = explain_text(f"{PASSTHROUGH}\nImage: quay.io/kubevirt/virt-launcher:v{version}").items
    assert [item.code for item in items].count("hotplug-disk-beside-device") == times


def test_the_release_is_asked_where_the_text_has_none() -> None:
    (item,) = [one for one in explain_text(PASSTHROUGH).items if one.code == "hotplug-disk-beside-device"]
    (asked,) = item.open
    assert asked.look == LOOK["KubeVirt"]
    assert asked.asks == "is KubeVirt older than 1.6.6 or 1.7.4 or 1.8.3, each in its own branch?"


def test_the_kernel_of_the_host_stands_in_for_one_in_the_text() -> None:
    assert with_kernel((), "6.12.107+deb13-amd64") == (Release("Linux", (6, 12, 107)),)
    assert with_kernel((Release("Linux", (5, 15)),), "6.12.107") == (Release("Linux", (5, 15)),)
    assert with_kernel((), "5.14.0-503.el9.x86_64") == with_kernel((), "") == ()


@pytest.mark.parametrize(
    "text", ["linux ", "tainted ", "kubevirt ", "linux version ", "linux a ", "tainted a" + "b" * 900 + " "]
)
def test_hostile_text_takes_no_longer(text: str) -> None:
    began = time.process_time()
    releases_in(text * (4_000_000 // len(text)))
    assert time.process_time() - began < 2
