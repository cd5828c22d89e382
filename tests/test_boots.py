"""The recorded boots are all there, and each is whole."""

from __future__ import annotations

from collections import Counter

from tests.boots import RELEASES, boot_of, boots, boots_of


def test_forty_vms_over_six_releases() -> None:
    count = Counter(boot.release for boot in boots())

    assert len({boot.vm.name for boot in boots()}) == 40
    assert sum(count.values()) == 206
    assert sorted(count) == list(RELEASES)
    assert len(boots_of("head")) == count["head"]


def test_each_boot_is_whole() -> None:
    for boot in boots():
        assert 1 <= len(boot.passes) <= 3, boot.id
        assert all(given.startswith(b"<domain ") for given in (*boot.passes, boot.final)), boot.id
        assert boot.vm.vmi["kind"] == "VirtualMachineInstance", boot.id
        assert boot.with_passgate is not None or boot.vm.name == "rc-virtiofs", boot.id


def test_what_a_vm_was_given() -> None:
    vm = boot_of("nics-2-4g", "1.7.4").vm

    assert vm.allocation_env == b"QAT0=0000:3d:01.0\n"
    assert boot_of("sriov2-enrich", "1.9.0").vm.network_info.startswith('{"interfaces"')
