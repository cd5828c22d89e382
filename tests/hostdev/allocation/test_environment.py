"""The environment of a container, as each plugin writes it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from domxml.finding import Severity
from hostdev.allocation.dialects import DIALECTS, Dialect
from tests.hostdev.allocation.given import (
    UUID,
    A,
    B,
    C,
    codes,
    devices,
    environment,
    environments,
    only,
    pci,
    requested,
    the,
)

SRIOV = "PCIDEVICE_INTEL_COM_SRIOV"
INFO = json.dumps(
    {address: {"generic": {"deviceID": address}, "vfio": {"dev-mount": "/dev/vfio/97"}} for address in (A, B)}
)


@pytest.mark.parametrize("row", DIALECTS, ids=lambda row: row.plugin)
def test_the_example_of_each_row_is_understood(row: Dialect) -> None:
    variable, _, value = row.example.partition("=")

    gathered = environment({variable: value})

    assert devices(gathered) == list(dict.fromkeys(value.split(",")))
    assert gathered.findings == ()
    assert gathered.allocations[0].label


@pytest.mark.parametrize(
    "variable",
    [
        *(
            "QAT_SECTION_NAME",
            "QAT",
            "QATX",
            "QAT0_FOO",
            "xQAT0",
            "qat0",
            "QAT-1",
            "QAT 1",
            "QAT1.5",
            "QAT\uff10",
            "QAT\xb2",
        ),
        *("QAT123456", "VFIO_BDF", "VFIO_BDFX", "PCIDEVICE_", "PCI_RESOURCE_", "SOMEBODYS_DEVICE"),
    ],
)
def test_a_variable_of_no_dialect_is_told_and_not_injected(variable: str) -> None:
    gathered = environment({variable: f"{A}, {B}"}, {"qat.intel.com/generic": 2})

    assert gathered.allocations == ()
    assert codes(gathered) == {"unknown-dialect"}


@pytest.mark.parametrize(
    "value", ["", "12:30.5", UUID, f"{A},x", "http://10.0.0.1:443/", "02:00:00:00:00:01", "pci_0000_3d_02_1", "::"]
)
def test_what_does_not_look_like_addresses_is_passed_over(value: str) -> None:
    assert environment({"SOMETHING": value, "QAT_SECTION_NAME": value}).findings == ()


def test_numbered_variables_come_in_the_order_of_their_numbers() -> None:
    numbers = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]  # 5 is missing
    variables = {f"QAT{number}": f"0000:3d:{number:02x}.0" for number in sorted(numbers, key=str)}

    gathered = environment(variables, {"qat.intel.com/generic": 10})

    assert devices(gathered) == [f"0000:3d:{number:02x}.0" for number in numbers]
    assert {(one.resource, one.family, one.label) for one in gathered.allocations} == {("", "qat.intel.com", "qat")}
    assert gathered.findings == ()


def test_two_qat_resources_that_clash_name_too_few() -> None:
    gathered = environment({"QAT0": A, "QAT1": B}, {"qat.intel.com/cy": 2, "qat.intel.com/dc": 1})

    found = the(gathered, "fewer-than-requested")
    assert found.subject == "qat.intel.com"
    assert found.message == f"2 named ({A}, {B}), 3 requested"
    assert "QAT0" in found.hint


def test_a_qat_resource_with_a_variable_of_its_own_is_not_counted_with_the_numbered() -> None:
    variables = {"QAT0": A, "PCI_RESOURCE_QAT_INTEL_COM_VF": B}

    gathered = environment(variables, {"qat.intel.com/generic": 1, "qat.intel.com/vf": 1})

    assert {str(one.device): (one.resource, one.family) for one in gathered.allocations} == {
        A: ("", "qat.intel.com"),
        B: ("qat.intel.com/vf", ""),
    }
    assert gathered.findings == ()


def test_an_unknown_count_of_a_family_is_not_checked() -> None:
    assert environment({"QAT0": A}, {"qat.intel.com/cy": None, "qat.intel.com/dc": 5}).findings == ()


def test_the_largest_number_is_read() -> None:
    assert devices(environment({"QAT99999": A})) == [A]


def test_dsa_and_qat_are_two_families() -> None:
    gathered = environment({"VFIO_BDF0": A, "QAT0": B}, {"dsa.intel.com/vfio": 1, "qat.intel.com/generic": 1})

    assert {str(one.device): one.family for one in gathered.allocations} == {A: "dsa.intel.com", B: "qat.intel.com"}
    assert gathered.findings == ()


def test_the_dra_driver_names_one_device_in_two_ways() -> None:
    variables = {
        "SRIOVNETWORK_VF_DEVICE_0000_3d_02_1": A,
        "SRIOVNETWORK_PCI_ADDRESSES": f"{A},{B}",
        "SRIOVNETWORK_0000_3d_02_1_VFIO_DEVICE": "/dev/vfio/43",
    }

    gathered = environment(variables)

    assert sorted(devices(gathered)) == [A, B]
    assert {one.label for one in gathered.allocations} == {"sriovnetwork"}
    assert gathered.findings == ()
    empty = environment({"SRIOVNETWORK_PCI_ADDRESSES": ""})
    assert the(empty, "fewer-than-requested").subject == "SRIOVNETWORK_PCI_ADDRESSES"


class TestInformation:
    def test_it_confirms_the_list(self) -> None:
        gathered = environment({SRIOV: f"{A},{B}", f"{SRIOV}_INFO": INFO}, {"intel.com/sriov": 2})

        assert devices(gathered) == [A, B]
        assert gathered.allocations[0].told_by == (f"environment {SRIOV}", f"environment {SRIOV}_INFO")
        assert gathered.findings == ()

    def test_it_stands_in_for_a_list_that_is_missing(self) -> None:
        gathered = environment({f"{SRIOV}_INFO": INFO}, {"intel.com/sriov": 2})

        assert [(str(one.device), one.resource) for one in gathered.allocations] == [
            (A, "intel.com/sriov"),
            (B, "intel.com/sriov"),
        ]

    def test_a_resource_may_really_be_called_info(self) -> None:
        gathered = environment({SRIOV: A, f"{SRIOV}_INFO": B}, {"intel.com/sriov": 1, "intel.com/sriov_info": 1})

        assert [one.resource for one in gathered.allocations] == ["intel.com/sriov", "intel.com/sriov_info"]
        assert gathered.findings == ()

    def test_the_information_of_a_resource_called_info(self) -> None:
        gathered = environment({f"{SRIOV}_INFO_INFO": INFO}, {"intel.com/sriov": 2, "intel.com/sriov_info": 2})

        assert {one.resource for one in gathered.allocations} == {"intel.com/sriov_info"}

    def test_other_devices_than_in_the_list_are_a_disagreement(self) -> None:
        gathered = environment({SRIOV: C, f"{SRIOV}_INFO": INFO}, {"intel.com/sriov": None})

        found = the(gathered, "channels-disagree")
        assert found.severity is Severity.ERROR
        assert found.message == f"{SRIOV} names {C}, {SRIOV}_INFO {A}, {B}"

    @pytest.mark.parametrize("text", ["{", '{"a"}', "{]", '{"a": ' + "[" * 100_000, "{} {}", '{"a": 1' + "0" * 5000])
    def test_what_is_no_json_is_told(self, text: str) -> None:
        gathered = environment({SRIOV: A, f"{SRIOV}_INFO": text}, {"intel.com/sriov": 1})

        assert devices(gathered) == [A]
        assert codes(gathered) == {"variable-unreadable"}

    @pytest.mark.parametrize("inner", [None, 1, "x", [], {"netdevice": {"pci": A}}, {"extra": float("nan")}])
    def test_what_stands_inside_does_not_matter(self, inner: object) -> None:
        gathered = environment({SRIOV: A, f"{SRIOV}_INFO": json.dumps({A: inner})}, {"intel.com/sriov": 1})

        assert devices(gathered) == [A]
        assert gathered.findings == ()

    def test_blanks_do_not_matter(self) -> None:
        text = json.dumps({f" {A} ": {}, "": {}, " ": {}})

        assert devices(environment({f"{SRIOV}_INFO": f"\n {text}"})) == [A]

    def test_it_is_about_something(self) -> None:
        assert codes(environment({"PCIDEVICE__INFO": INFO})) == {"device-name-unreadable"}

    def test_an_empty_one_says_nothing(self) -> None:
        assert environment({SRIOV: A, f"{SRIOV}_INFO": "{}"}, {"intel.com/sriov": 1}).findings == ()

    def test_an_auxiliary_device_is_one_device(self) -> None:
        gathered = environment(
            {SRIOV: "mlx5_core.sf.2", f"{SRIOV}_INFO": '{"mlx5_core.sf.2": {}}'}, {"intel.com/sriov": 1}
        )

        assert str(only(gathered).device) == "mlx5_core.sf.2"
        assert codes(gathered) == {"device-not-for-vfio"}


class TestCounts:
    @pytest.mark.parametrize("resources", [{}, {"x/y": None}, {"x/y": 1}])
    def test_an_empty_list_is_too_few(self, resources: dict[str, int | None]) -> None:
        gathered = environment({"PCI_RESOURCE_X_Y": ""}, resources)

        assert gathered.allocations == ()
        assert the(gathered, "fewer-than-requested").message.startswith("none named, ")

    def test_a_resource_without_a_variable_is_not_told_here(self) -> None:
        assert environment({}, {"x/y": 1, "qat.intel.com/generic": 3}).findings == ()

    def test_amd_names_the_last_group_only(self) -> None:
        gathered = environment({"PCI_RESOURCE_AMD_COM_GPU_VF": A}, {"amd.com/gpu_vf": 2})

        assert "AMD" in the(gathered, "fewer-than-requested").hint

    def test_nvidia_names_the_whole_group(self) -> None:
        gathered = environment({"PCI_RESOURCE_NVIDIA_COM_GP102": "0000:65:00.0,0000:65:00.1"}, {"nvidia.com/GP102": 1})

        found = the(gathered, "more-than-requested")
        assert found.message == "2 named (0000:65:00.0, 0000:65:00.1), 1 requested"
        assert "before 1.6 NVIDIA" in found.hint
        assert "Harvester" in found.hint

    def test_variables_of_several_resources_may_stand_between(self) -> None:
        variables = {SRIOV: A, "PCIDEVICE_X_Y": C, "PCI_RESOURCE_INTEL_COM_SRIOV": B}

        assert environment(variables, {"intel.com/sriov": 2, "x/y": 1}).findings == ()

    def test_a_plugin_without_known_habits_gets_the_hint_of_the_table(self) -> None:
        gathered = environment({SRIOV: f"{A},{B}"}, {"intel.com/sriov": 1})

        assert "count" in the(gathered, "more-than-requested").hint

    def test_repetitions_do_not_count(self) -> None:
        gathered = environment({"PCI_RESOURCE_X_Y": f"{A},{A}"}, {"x/y": 1})

        assert gathered.findings == ()
        assert codes(environment({"PCI_RESOURCE_X_Y": f"{A},{A}"}, {"x/y": 2})) == {"fewer-than-requested"}


class TestOneDeviceTwice:
    def test_in_two_resources(self) -> None:
        gathered = environment(
            {"PCI_RESOURCE_X_Y": A, "PCIDEVICE_INTEL_COM_SRIOV": f"{B},{A}"}, {"x/y": 1, "intel.com/sriov": 2}
        )

        assert sorted(devices(gathered)) == [A, B]
        found = the(gathered, "device-in-two-resources")
        assert (found.subject, found.message) == (A, "is in intel.com/sriov, x/y")

    def test_in_two_variables_of_unknown_resources(self) -> None:
        gathered = environment({"PCI_RESOURCE_X_Y": A, "PCI_RESOURCE_X_Z": A})

        assert the(gathered, "device-in-two-resources").message == "is in PCI_RESOURCE_X_Y, PCI_RESOURCE_X_Z"

    def test_spelled_in_two_ways_it_is_one_resource(self) -> None:
        gathered = environment({"PCI_RESOURCE_X_Y-Z": A, "PCI_RESOURCE_X_Y_Z": A}, {"x/y-z": 1})

        assert gathered.findings == ()
        assert only(gathered).resource == "x/y-z"


def test_a_secret_is_never_told() -> None:
    secret = "hunter2"  # noqa: S105
    gathered = environment({"PASSWORD": secret, "TOKEN": f"{A},{secret}", secret: "0000"})

    assert gathered == environment({})


def test_a_device_in_a_domain_beyond_sixteen_bits_is_kept() -> None:
    assert only(environment({"QAT0": "10000:e1:00.0"})).device == pci("10000:e1:00.0")


@given(environments, requested)
def test_the_order_of_the_variables_never_matters(variables: dict[str, str], resources: dict[str, int | None]) -> None:
    there = environment(variables, resources)
    back = environment(dict(reversed(variables.items())), dict(reversed(resources.items())))

    assert there == back


@given(environments, requested)
def test_every_environment_is_read(variables: dict[str, str], resources: dict[str, int | None]) -> None:
    gathered = environment(variables, resources)

    found = [one.device for one in gathered.allocations]
    assert len(set(found)) == len(found)
    for allocation in gathered.allocations:
        assert allocation.told_by
        assert allocation.label
        assert allocation.resource in {"", *resources}
    for finding in gathered.findings:
        assert finding.subject.isprintable()
        assert finding.message.isprintable()
