"""All channels together."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from domxml.document import Domain
from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.allocation.allocation import (
    ALLOCATION_FILE,
    ENVIRONMENT,
    TRUST,
    Allocation,
    Gathered,
    channel_of,
    merge,
    trust,
)
from hostdev.allocation.env_file import from_env_file
from hostdev.allocation.environment import from_environment
from hostdev.allocation.kubevirt import from_domain
from hostdev.allocation.network_info import from_network_info
from tests.domxml.domains import load
from tests.hostdev.allocation.given import (
    A,
    B,
    any_device,
    codes,
    devices,
    environment,
    environments,
    only,
    pci,
    requested,
    the,
)


def test_every_source_is_kept_the_most_trusted_first() -> None:
    domain = from_domain(Domain.parse(load("q35-sriov-2")))
    file = from_env_file(b"PCIDEVICE_INTEL_COM_SRIOV=0000:3b:02.1,0000:3b:02.0", {"intel.com/sriov": 2})
    info = {"interfaces": [{"network": "sriov0", "deviceInfo": {"pci": {"pci-address": "0000:3b:02.0"}}}]}
    network = from_network_info(json.dumps(info).encode())

    merged = merge(network, file, domain)

    assert merged.allocations[0] == Allocation(
        pci("0000:3b:02.0"),
        resource="intel.com/sriov",
        label="intel.com/sriov",
        name="sriov0",
        told_by=("domain ua-sriov-sriov0", "allocation file PCIDEVICE_INTEL_COM_SRIOV", "network-info sriov0"),
    )
    assert merged.findings == ()


def test_what_kubevirt_took_of_a_whole_group_is_no_disagreement() -> None:
    """KubeVirt takes the head of the list; that it knows less than the plugin says is how it is."""
    domain = from_domain(Domain.parse(load("q35-gpu-1")))
    file = from_env_file(b"PCI_RESOURCE_NVIDIA_COM_GH100=0000:19:00.0,0000:19:00.1", {"nvidia.com/GH100": None})

    merged = merge(domain, file)

    assert devices(merged) == ["0000:19:00.0", "0000:19:00.1"]
    assert merged.findings == ()


def test_the_order_of_a_list_and_of_numbers_is_kept() -> None:
    file = from_env_file(b"PCI_RESOURCE_X_Y=0000:9d:00.0,0000:3d:00.0,0000:5d:00.0", {})
    numbered = environment({f"QAT{number}": f"0000:{99 - number}:00.0" for number in (10, 2, 9)})

    assert devices(merge(numbered, file)) == [
        *("0000:9d:00.0", "0000:3d:00.0", "0000:5d:00.0"),
        *("0000:97:00.0", "0000:90:00.0", "0000:89:00.0"),
    ]


def test_one_device_under_two_resources_is_told_and_given_once() -> None:
    file = from_env_file(b"PCI_RESOURCE_X_Y=" + A.encode(), {"x/y": 1})
    own = environment({"PCIDEVICE_INTEL_COM_SRIOV": A}, {"intel.com/sriov": 1})

    merged = merge(own, file)

    assert only(merged).resource == "x/y"
    found = the(merged, "device-in-two-resources")
    assert found.subject == A
    assert found.message == (
        "is in x/y (allocation file PCI_RESOURCE_X_Y), intel.com/sriov (environment PCIDEVICE_INTEL_COM_SRIOV)"
    )


def test_a_sidecar_with_a_device_of_its_own_is_an_error() -> None:
    resources = {"intel.com/sriov": 1}
    file = from_env_file(b"PCIDEVICE_INTEL_COM_SRIOV=" + A.encode(), resources)
    own = environment({"PCIDEVICE_INTEL_COM_SRIOV": B}, resources)

    merged = merge(file, own)

    assert devices(merged) == [A, B]
    found = the(merged, "channels-disagree")
    assert (found.subject, found.severity) == ("intel.com/sriov", Severity.ERROR)
    assert found.message == f"the allocation file names {A}, the environment {B}"
    assert merged.findings[0] == found


def test_numbered_and_unknown_variables_can_disagree_too() -> None:
    file = from_env_file(f"QAT0={A}\nPCI_RESOURCE_X_Y={A}\n".encode(), {})

    assert codes(merge(file, environment({"QAT0": B}))) == {"channels-disagree"}
    assert codes(merge(file, environment({"PCI_RESOURCE_X_Z": B}))) == set()


def test_two_channels_that_say_the_same_agree() -> None:
    resources = {"intel.com/sriov": 2}
    variables = {"PCIDEVICE_INTEL_COM_SRIOV": f"{A},{B}", "QAT0": "x"}
    file = from_environment(variables, resources, channel=ALLOCATION_FILE)
    own = from_environment(variables, resources, channel=ENVIRONMENT)

    merged = merge(file, own)

    assert merged.allocations[0].told_by == (
        "allocation file PCIDEVICE_INTEL_COM_SRIOV",
        "environment PCIDEVICE_INTEL_COM_SRIOV",
    )
    assert [finding.code for finding in merged.findings] == ["device-name-unreadable"]


def test_two_files_in_either_order_are_the_same() -> None:
    first, second = (from_env_file(f"QAT0={text}".encode(), {}) for text in (A, B))

    assert merge(first, second) == merge(second, first)


def test_of_two_findings_that_say_the_same_it_does_not_matter_which_came_first() -> None:
    file, own = (from_environment({"QAT0": "x"}, {}, channel=channel) for channel in (ALLOCATION_FILE, ENVIRONMENT))

    for merged in (merge(file, own), merge(own, file)):
        assert [finding.evidence for finding in merged.findings] == [file.findings[0].evidence]


def test_the_worst_comes_first() -> None:
    told = [Finding(f"a-{name}", severity, "", "") for name, severity in zip("xyz", Severity, strict=True)]

    merged = merge(Gathered(findings=tuple(told)))

    assert [finding.severity for finding in merged.findings] == [Severity.ERROR, Severity.WARNING, Severity.INFO]


def test_devices_in_messages_are_in_order() -> None:
    names = [f"0000:{number:02x}:00.0" for number in range(40, 0, -1)]
    file = from_env_file(f"PCI_RESOURCE_X_Y={','.join(names)}".encode(), {})

    message = the(merge(file, environment({"PCI_RESOURCE_X_Y": A})), "channels-disagree").message

    assert message.startswith("the allocation file names 0000:01:00.0, 0000:02:00.0, 0000:03:00.0 and 37 more, ")


def test_nothing_merged_is_nothing() -> None:
    assert merge() == merge(Gathered()) == Gathered()


def test_a_source_belongs_to_the_channel_that_it_starts_with() -> None:
    for channel in TRUST:
        assert channel_of(f"{channel} x") == channel
    assert channel_of("domains x") == channel_of("") == ""
    assert sorted(["", "vmi status a", "environment QAT10", "domain z", "environment QAT2"], key=trust) == [
        *("domain z", "environment QAT2", "environment QAT10", "vmi status a", ""),
    ]


def _gathered(channel: str) -> st.SearchStrategy[Gathered]:
    names = st.sampled_from(["", "a", "b", "QAT2", "QAT10"])
    allocation = st.builds(
        lambda device, resource, name, where: Allocation(
            device, resource, resource or "label", name, (f"{channel} {where}",), ""
        ),
        any_device | st.sampled_from([pci(A), pci(B)]),
        st.sampled_from(["", "x/y", "x/z"]),
        names,
        names,
    )
    finding = st.builds(Finding, names, st.sampled_from(Severity), names, names)
    return st.builds(
        lambda found, told: Gathered(tuple(found), tuple(told)),
        st.lists(allocation, max_size=3),
        st.lists(finding, max_size=2),
    )


several = st.lists(st.sampled_from(TRUST).flatmap(_gathered), max_size=4)


@given(several)
def test_merging_twice_changes_nothing(gathered: list[Gathered]) -> None:
    merged = merge(*gathered)

    assert merge(merged) == merged


@given(several, st.data())
def test_the_order_of_the_channels_never_matters(gathered: list[Gathered], data: st.DataObject) -> None:
    assert merge(*data.draw(st.permutations(gathered))) == merge(*gathered)


@given(several)
def test_no_device_and_no_source_is_lost(gathered: list[Gathered]) -> None:
    merged = merge(*gathered)

    said = {(one.device, source) for part in gathered for one in part.allocations for source in one.told_by}
    assert {(one.device, source) for one in merged.allocations for source in one.told_by} == said
    assert len({one.device for one in merged.allocations}) == len(merged.allocations)
    for one in merged.allocations:
        assert list(one.told_by) == sorted(one.told_by, key=trust)


@given(environments, requested)
def test_an_environment_merged_with_itself_is_itself(
    variables: dict[str, str], resources: dict[str, int | None]
) -> None:
    gathered = environment(variables, resources)

    merged = merge(gathered, gathered)

    assert set(merged.allocations) == set(gathered.allocations)
    assert {(one.code, one.subject, one.message) for one in merged.findings} == {
        (one.code, one.subject, one.message) for one in gathered.findings
    }


@given(st.lists(st.lists(any_device, max_size=4), max_size=4))
def test_devices_of_every_kind_can_stand_beside_each_other(groups: list[list[PciAddress]]) -> None:
    gathered = [
        environment({f"PCI_RESOURCE_X_{number}": ",".join(map(str, group))}) for number, group in enumerate(groups)
    ]

    assert {one.device for one in merge(*gathered).allocations} == {device for group in groups for device in group}
