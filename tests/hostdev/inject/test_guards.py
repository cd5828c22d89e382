"""What KubeVirt does not know about devices that it does not see."""

from __future__ import annotations

import pytest

from domxml.finding import Severity
from hostdev.inject.vmplan import guards, memlock, migratable
from hostdev.vmi.vmi import Interface, SpecDevice, Vmi

GPU = SpecDevice("gpu", "spec.domain.devices.gpus[0]", "nvidia.com/x")
VF = Interface("net", "spec.domain.devices.interfaces[0]", "sriov")
NIC = Interface("net", "spec.domain.devices.interfaces[0]", "masquerade")


@pytest.mark.parametrize(
    "vmi", [Vmi(gpus=(GPU,)), Vmi(host_devices=(GPU,)), Vmi(interfaces=(NIC, VF)), Vmi(locks_memory=True)]
)
def test_a_vm_whose_limit_kubevirt_raises(vmi: Vmi) -> None:
    assert memlock(vmi, 2) == ()


def test_a_vm_whose_limit_nobody_raises() -> None:
    (finding,) = memlock(Vmi(name="vm", namespace="ns", memory=4 << 30, interfaces=(NIC,)), 1)

    assert (finding.code, finding.severity, finding.subject) == ("memlock-not-raised", Severity.WARNING, "ns/vm")
    assert finding.message.startswith("VFIO locks 5120 MiB")


def test_behind_a_virtual_iommu_each_device_locks_the_whole_guest() -> None:
    (finding,) = memlock(Vmi(memory=4 << 30), 2, viommu=True)

    assert finding.message.startswith("VFIO locks 9216 MiB")


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        ("", "evictionStrategy is not set"),
        ("LiveMigrate", "evictionStrategy is LiveMigrate"),
        ("LiveMigrateIfPossible", "evictionStrategy is LiveMigrateIfPossible"),
        ("External", "evictionStrategy is External"),
    ],
)
def test_a_vm_that_kubevirt_would_migrate(strategy: str, told: str) -> None:
    (finding,) = migratable(Vmi(eviction_strategy=strategy, interfaces=(VF,), place="spec.template"))

    assert (finding.code, finding.subject) == ("looks-migratable", "spec.template.spec.evictionStrategy")
    assert finding.message.startswith(told)


@pytest.mark.parametrize("vmi", [Vmi(eviction_strategy="None"), Vmi(gpus=(GPU,)), Vmi(host_devices=(GPU,))])
def test_a_vm_that_kubevirt_leaves_where_it_is(vmi: Vmi) -> None:
    assert migratable(vmi) == ()


def test_a_vm_without_devices_of_ours_is_none_of_our_business() -> None:
    assert guards(Vmi(), 0) == ()
    assert {finding.code for finding in guards(Vmi(), 1)} == {"memlock-not-raised", "looks-migratable"}
