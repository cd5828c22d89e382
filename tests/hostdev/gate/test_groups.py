"""IOMMU groups as the kernel decides on them, before and after Linux 5.19."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from hostdev.gate.check import check, verdict_of
from hostdev.gate.group import group_verdict
from hostdev.gate.verdict import GroupVerdict
from hostdev.inventory.machine import IommuGroup, Kernel, Machine, PciFunction
from hostdev.inventory.vfiodrivers import VFIO_DRIVERS
from tests.hostdev.gate.build import AUDIO, GPU, NVME, at, bridge, function, machine, with_group

D = "0000:65:00.0"
OLD = Kernel(release="5.15.0-91-generic")
NEW = Kernel(release="5.19.0")
ANY = (OLD, NEW, Kernel(release="6.12.107+deb13-amd64"))


def _group(*functions: PciFunction, kernel: Kernel = NEW) -> GroupVerdict:
    host = machine(*functions, kernel=kernel)
    return group_verdict(host, host.groups[43])


VECTORS: tuple[tuple[str, tuple[PciFunction, ...], Sequence[Kernel], bool], ...] = (
    ("a VF alone", (function(D),), ANY, True),
    (
        "a GPU and its audio on the host's driver",
        (function(D, class_code=GPU), function("0000:65:00.1", class_code=AUDIO, driver="snd_hda_intel")),
        ANY,
        False,
    ),
    ("a GPU and its audio without a driver", (function(D), function("0000:65:00.1", driver=None)), ANY, True),
    ("a GPU and its audio on pci-stub", (function(D), function("0000:65:00.1", driver="pci-stub")), ANY, True),
    ("a GPU and its root port", (function(D), bridge("0000:64:00.0")), ANY, True),
    ("a GPU and a bridge without a driver", (function(D), bridge("0000:64:00.0", driver=None)), ANY, True),
    ("a GPU and a bridge on shpchp", (function(D), bridge("0000:64:00.0", driver="shpchp")), [OLD], True),
    ("a GPU and a bridge on shpchp", (function(D), bridge("0000:64:00.0", driver="shpchp")), [NEW], False),
    (
        "an NVMe drive and another that the host uses",
        (function(D, class_code=NVME), function("0000:66:00.0", class_code=NVME, driver="nvme")),
        ANY,
        False,
    ),
    ("a device on the host's driver", (function(D, driver="nvme"),), ANY, False),
    (
        "a vendor's driver that offers VFIO itself",
        (function(D), function("0000:65:00.1", driver="nvidia", vfio_dev="vfio3")),
        ANY,
        True,
    ),
)


@pytest.mark.parametrize(
    ("functions", "kernel", "viable"),
    [
        pytest.param(functions, kernel, viable, id=f"{name}-{kernel.release}")
        for name, functions, kernels, viable in VECTORS
        for kernel in kernels
    ],
)
def test_a_group_is_viable_as_the_kernel_has_it(
    functions: tuple[PciFunction, ...], kernel: Kernel, *, viable: bool
) -> None:
    assert _group(*functions, kernel=kernel).viable is viable


@pytest.mark.parametrize(
    "driver",
    [
        name
        for driver in VFIO_DRIVERS.values()
        for name in {driver.name, driver.name.replace("_", "-"), driver.name.replace("-", "_")}
    ],
)
def test_a_vfio_driver_is_known_in_either_spelling(driver: str) -> None:
    assert _group(function(D), function("0000:65:00.1", driver=driver)).viable


@pytest.mark.parametrize(
    "functions",
    [
        (bridge("0000:64:00.0"),),
        (bridge("0000:64:00.0", driver="shpchp"),),
        (bridge("0000:64:00.0"), function("0000:00:1f.4", class_code=0x0C0500)),
    ],
)
def test_a_group_of_nothing_but_bridges_and_parts_of_the_board_has_nothing_to_give(
    functions: tuple[PciFunction, ...],
) -> None:
    verdict = _group(*functions)
    assert verdict.empty
    assert not verdict.viable
    assert not _group(*functions, function(D)).empty


def test_group_zero_is_a_group() -> None:
    host = machine(function(D, group=0))
    assert verdict_of(host, at(D)).passes


def test_an_unknown_kernel_is_judged_strictly_and_told() -> None:
    host = machine(function(D), bridge("0000:64:00.0", driver="shpchp"), kernel=Kernel())
    finding = _of(host, "group-not-viable")
    assert "kernel unknown, judged as 5.19 or newer" in finding.message
    assert (finding.evidence[-1].file, finding.evidence[-1].content) == ("/proc/sys/kernel/osrelease", "(unknown)")
    known = _of(machine(function(D), bridge("0000:64:00.0", driver="shpchp"), kernel=NEW), "group-not-viable")
    assert known.evidence[-1].content == "5.19.0"
    assert "unknown" not in known.message


def test_a_bridge_is_named_and_never_in_a_command() -> None:
    hint = _of(machine(function(D), bridge("0000:64:00.0", driver="shpchp")), "group-not-viable").hint
    assert hint == "the bridge 0000:64:00.0 blocks it as long as shpchp has it: use another slot"


def test_the_evidence_is_each_blocking_driver() -> None:
    host = machine(
        function(D),
        *(
            function(f"0000:65:00.{n}", driver=driver)
            for n, driver in enumerate(("snd_hda_intel", "xhci_hcd", "ucsi"), 1)
        ),
    )
    finding = _of(host, "group-not-viable")
    assert "0000:65:00.1 is on snd_hda_intel, 0000:65:00.2 is on xhci_hcd and 1 more" in finding.message
    assert [(e.file, e.content) for e in finding.evidence] == [
        (f"/sys/bus/pci/devices/{D}/iommu_group", "43"),
        ("/sys/bus/pci/devices/0000:65:00.1/driver", "snd_hda_intel"),
        ("/sys/bus/pci/devices/0000:65:00.2/driver", "xhci_hcd"),
        ("/sys/bus/pci/devices/0000:65:00.3/driver", "ucsi"),
    ]


def test_the_devices_own_driver_is_not_told_as_its_neighbour() -> None:
    codes = {finding.code for finding in verdict_of(machine(function(D, driver="nvme")), at(D)).findings}
    assert codes == {"not-bound-to-vfio"}


def test_a_member_that_is_no_pci_function_leaves_the_verdict_open() -> None:
    host = with_group(machine(function(D)), 43, others=("80860F14:00",))
    verdict = verdict_of(host, at(D))
    assert not verdict.passes
    assert not verdict.refused
    assert group_verdict(host, host.groups[43]).open


def test_direct_relaxable_regions_do_no_harm() -> None:
    from hostdev.inventory.machine import ReservedRegion  # noqa: PLC0415

    regions = (ReservedRegion(0, 1, "direct-relaxable"), ReservedRegion(0xFEE00000, 0xFEEFFFFF, "msi"))
    assert verdict_of(with_group(machine(function(D)), 43, reserved=regions), at(D)).findings == ()


def test_idle_members_are_counted() -> None:
    rest = [function(f"0000:65:00.{number}") for number in (1, 2, 3)]
    assert _of(machine(function(D), *rest[:2]), "shared-group").message == (
        "group 43 also holds 0000:65:00.1, 0000:65:00.2"
    )
    assert _of(machine(function(D), *rest), "shared-group").message.endswith("0000:65:00.2 and 1 more")


def test_two_vms_cannot_share_a_group_but_one_can_have_it_all() -> None:
    host = machine(function(D), function("0000:65:00.1"))
    assert [f.code for f in check(host, [at(D)])] == ["shared-group"]
    assert check(host, [at(D), at("0000:65:00.1")]) == ()


def _of(host: Machine, code: str) -> Finding:
    return next(finding for finding in verdict_of(host, at(D)).findings if finding.code == code)


_DRIVERS = st.sampled_from([None, "vfio-pci", "pci-stub", "pcieport", "nvme", "shpchp", "mlx5_vfio_pci"])
_KERNELS = st.sampled_from([*ANY, Kernel()])


@st.composite
def _members(draw: st.DrawFn) -> list[PciFunction]:
    slots = draw(st.lists(st.integers(1, 31), min_size=1, max_size=6, unique=True))
    return [
        function(str(PciAddress(0, 1, slot, 0)), driver=draw(_DRIVERS), bridge=draw(st.booleans())) for slot in slots
    ]


def _of_members(members: Sequence[PciFunction], kernel: Kernel) -> Machine:
    host = machine(*members, kernel=kernel)
    return replace(host, groups={43: IommuGroup(43, tuple(member.address for member in members))})


@given(members=_members(), kernel=_KERNELS, data=st.data())
def test_the_order_of_members_does_not_matter(members: list[PciFunction], kernel: Kernel, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(members))
    one, other = _of_members(members, kernel), _of_members(shuffled, kernel)
    assert group_verdict(one, one.groups[43]) == group_verdict(other, other.groups[43])
    for member in members:
        assert verdict_of(one, member.address) == verdict_of(other, member.address)


@given(members=_members(), kernel=_KERNELS)
def test_an_unbound_member_blocks_nothing(members: list[PciFunction], kernel: Kernel) -> None:
    before = _of_members(members, kernel)
    after = _of_members([*members, function("0000:02:00.0", driver=None)], kernel)
    assert group_verdict(after, after.groups[43]).blockers == group_verdict(before, before.groups[43]).blockers


@given(members=_members(), kernel=_KERNELS)
def test_a_member_on_a_hosts_driver_always_blocks(members: list[PciFunction], kernel: Kernel) -> None:
    host = _of_members([*members, function("0000:02:00.0", driver="nvme")], kernel)
    verdict = group_verdict(host, host.groups[43])
    assert not verdict.viable
    assert at("0000:02:00.0") in [member.address for member in verdict.blockers]


@given(members=_members(), kernel=_KERNELS)
def test_binding_every_endpoint_and_freeing_every_bridge_makes_it_viable(
    members: list[PciFunction], kernel: Kernel
) -> None:
    freed = [replace(member, driver=None if member.bridge else "vfio-pci") for member in members]
    host = _of_members(freed, kernel)
    verdict = group_verdict(host, host.groups[43])
    assert verdict.viable is not all(member.bridge for member in members)
    assert verdict.empty is all(member.bridge for member in members)


@given(members=_members(), kernel=_KERNELS)
def test_the_strict_kernel_never_allows_what_an_older_one_forbids(members: list[PciFunction], kernel: Kernel) -> None:
    strict, lax = _of_members(members, kernel), _of_members(members, OLD)
    if group_verdict(strict, strict.groups[43]).viable:
        assert group_verdict(lax, lax.groups[43]).viable


@given(members=_members(), kernel=_KERNELS)
def test_a_device_passes_only_in_a_viable_group(members: list[PciFunction], kernel: Kernel) -> None:
    host = _of_members(members, kernel)
    for member in members:
        if verdict_of(host, member.address).passes:
            assert group_verdict(host, host.groups[43]).viable
