"""From a resource to its variable."""

from __future__ import annotations

import pytest
from pytest_mock import MockerFixture

from hostdev.allocation.dialects import DIALECTS, Dialect, resource_suffix, stems, suffix_owners, variable_stem
from tests.hostdev.allocation.given import A, B, C, codes, devices, environment, only, the

T4 = "nvidia.com/TU104GL_Tesla_T4"


@pytest.mark.parametrize(
    ("resource", "variable", "value"),
    [
        ("intel.com/sriov", "PCIDEVICE_INTEL_COM_SRIOV", A),
        ("intel.com/sriov_net_A", "PCIDEVICE_INTEL_COM_SRIOV_NET_A", A),
        ("openshift.io/mlx-nics", "PCIDEVICE_OPENSHIFT_IO_MLX-NICS", A),
        ("huawei.com/huawei_1822_netdevice_01", "PCIDEVICE_HUAWEI_COM_HUAWEI_1822_NETDEVICE_01", A),
        (T4, "PCI_RESOURCE_NVIDIA_COM_TU104GL_TESLA_T4", A),
        (T4, "PCI_RESOURCE_NVIDIA_COM_TU104GL_Tesla_T4", A),
        ("nvidia.com/GRID_T4-1Q", "MDEV_PCI_RESOURCE_NVIDIA_COM_GRID_T4-1Q", A),
        ("nvidia.com/GRID_T4-1Q", "MDEV_PCI_RESOURCE_NVIDIA_COM_GRID_T4_1Q", A),
        ("intel.com/sriov-gpudevice", "PCI_RESOURCE_INTEL_COM_SRIOV-GPUDEVICE", A),
        ("intel.com/sriov-gpudevice", "PCI_RESOURCE_INTEL_COM_SRIOV_GPUDEVICE", A),
        ("devices.kubevirt.io/nvme", "PCI_RESOURCE_DEVICES_KUBEVIRT_IO_NVME", A),
        ("kubevirt.io/storage", "USB_RESOURCE_KUBEVIRT_IO_STORAGE", "1:4"),
    ],
)
def test_a_resource_finds_its_variable(resource: str, variable: str, value: str) -> None:
    allocation = only(environment({variable: value}, {resource: 1}))

    assert (allocation.resource, allocation.label) == (resource, resource)
    assert allocation.told_by == (f"environment {variable}",)


def test_no_stem_is_the_start_of_another() -> None:
    assert {"PCIDEVICE_", "PCI_RESOURCE_", "MDEV_PCI_RESOURCE_", "USB_RESOURCE_"} <= {*stems()}
    assert [(a, b) for a in stems() for b in stems() if a != b and b.startswith(a)] == []
    assert variable_stem("PCIDEVICE_") == ""
    assert variable_stem("MDEV_PCI_RESOURCE_X") == "MDEV_PCI_RESOURCE_"


@pytest.mark.parametrize("row", DIALECTS, ids=lambda row: row.plugin)
def test_names_start_as_the_documentation_writes_them(row: Dialect) -> None:
    written = {name.partition("<")[0] for name in row.variables}

    assert {name for name in written if not name.startswith(row.starts)} == set()
    assert {start for start in row.starts if start not in written} == set()
    assert row.numbered == all("<N>" in name for name in row.variables)


def test_a_dialect_with_a_stem_of_its_own_works_by_its_row_alone(mocker: MockerFixture) -> None:
    acme = Dialect("Acme", ("ACME_DEVICES_<RESOURCE>",), f"ACME_DEVICES_ACME_COM_CARD={A}", ("ACME_DEVICES_",))
    mocker.patch("hostdev.allocation.dialects.DIALECTS", (*DIALECTS, acme))

    gathered = environment({"ACME_DEVICES_ACME_COM_CARD": f"{A},{B}"}, {"acme.com/card": 1})

    assert {allocation.resource for allocation in gathered.allocations} == {"acme.com/card"}
    assert codes(gathered) == {"more-than-requested"}
    assert codes(environment({"ACME_DEVICES_": A})) == {"unknown-dialect"}


def test_a_variable_is_never_read_backwards() -> None:
    allocation = only(environment({"PCIDEVICE_INTEL_COM_SRIOV_NET_A": A}))

    assert allocation.resource == ""
    assert allocation.label == "intel-com-sriov-net-a"


def test_the_variable_of_another_resource_is_not_taken() -> None:
    allocation = only(environment({"PCIDEVICE_INTEL_COM_SRIOV": A}, {"intel.com/sriov_b": 1, "intel.com/sri": 1}))

    assert allocation.resource == ""


def test_two_resources_with_one_variable_are_ambiguous() -> None:
    gathered = environment({"PCIDEVICE_A_B_C": A}, {"a_b/c": 1, "a.b/c": 1})

    assert only(gathered).resource == ""
    assert only(gathered).label == "a-b-c"
    assert the(gathered, "resource-name-ambiguous").message == "is the variable of a.b/c, a_b/c"


def test_only_what_was_requested_can_be_ambiguous() -> None:
    gathered = environment({"PCIDEVICE_A_B_C": A}, {"a_b/c": 1})

    assert only(gathered).resource == "a_b/c"
    assert gathered.findings == ()


def test_the_stricter_spelling_wins() -> None:
    gathered = environment(
        {"PCI_RESOURCE_X_A-B": A, "PCI_RESOURCE_X_A_B": B, "PCI_RESOURCE_X_a_b": C}, {"x/a-b": 1, "x/a_b": 1}
    )

    found = {str(allocation.device): allocation.resource for allocation in gathered.allocations}
    assert found == {A: "x/a-b", B: "x/a_b", C: ""}
    assert codes(gathered) == set()


def test_a_dash_gives_way_to_the_resource_that_really_has_an_underscore() -> None:
    gathered = environment({"PCI_RESOURCE_X_A_B": A}, {"x/a-b": 1, "x/a_b": 1})

    assert only(gathered).resource == "x/a_b"
    assert gathered.findings == ()


def test_case_and_dash_may_differ_at_once() -> None:
    assert suffix_owners({"NVIDIA_COM_Grid_T4_1q"}, ["nvidia.com/GRID_T4-1Q"]) == {
        "NVIDIA_COM_Grid_T4_1q": ("nvidia.com/GRID_T4-1Q",)
    }
    assert resource_suffix("nvidia.com/GRID_T4-1Q") == "NVIDIA_COM_GRID_T4-1Q"


def test_one_resource_in_the_variables_of_two_plugins_is_one() -> None:
    gathered = environment(
        {"PCIDEVICE_INTEL_COM_SRIOV": A, "PCI_RESOURCE_INTEL_COM_SRIOV": f"{A},{B}"}, {"intel.com/sriov": 2}
    )

    assert devices(gathered) == [A, B]
    assert gathered.allocations[0].told_by == (
        "environment PCIDEVICE_INTEL_COM_SRIOV",
        "environment PCI_RESOURCE_INTEL_COM_SRIOV",
    )
    assert gathered.findings == ()
