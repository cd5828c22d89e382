"""Plans of VFs, and what becomes of them on the driver core in memory: made, made anew, refused, undone, cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from domxml.pciaddress import PciAddress
from hostdev.binding import recover
from hostdev.binding.carry import carry, put_back
from hostdev.binding.drivers import Drivers
from hostdev.binding.effects import Effects, Outcome, describe
from hostdev.binding.journal import Journal
from hostdev.binding.vfs import HOST, NONE, vfs
from hostdev.binding.vfsettings import SETTINGS
from hostdev.inventory.machine import Machine, NetDevice, PciFunction
from tests.hostdev.binding.drivercore import DriverCore, Killed
from tests.hostdev.binding.hosts import means
from tests.hostdev.gate.build import NVME, at, function, in_use, machine, pf, vf
from tests.house import ROOT

PF = "0000:3b:00.0"
VFS = ("0000:3b:02.0", "0000:3b:02.1", "0000:3b:02.2")
ON_VFIO = ("vfio-pci", "vfio-pci")
MAC = "02:00:00:00:00:0a"


def _port(**changes: object) -> PciFunction:
    right = {"driver": "ice", "total_vfs": 8, "num_vfs": 0, "vf_autoprobe": True, "vf_offset": 16, "vf_stride": 1}
    netdevs = (NetDevice("ens1f0", up=True),)
    return pf(PF, **{"netdevs": netdevs, "virtfns": (), **right, **changes})


def _host(count: int = 0, driver: str | None = "vfio-pci", **changes: object) -> Machine:
    """A port with so many VFs, each in a group of its own."""
    hold = {"driver": driver, "driver_override": driver if driver == "vfio-pci" else None}
    made = [vf(address, PF, group=50 + n, **hold, **changes) for n, address in enumerate(VFS[:count])]
    return machine(_port(num_vfs=count, virtfns=tuple(one.address for one in made)), *made)


def _plan(host: Machine, count: int, **more: object) -> Effects:
    return vfs(host, host.functions[at(PF)], count, **more)  # type: ignore[arg-type]


def _lines(effects: Effects) -> list[str]:
    return [describe(step).replace("/sys/bus/pci/", "").replace("0000:3b:", "") for step in effects.steps]


def _codes(effects: Effects) -> set[str]:
    return {finding.code for finding in effects.findings}


def _core(host: Machine, kill_at: int | None = None) -> DriverCore:
    made = DriverCore(host, kill_at=kill_at)
    made.registered |= {"vfio-pci", "icevf"}
    return made


def _drivers(kernel: DriverCore) -> dict[str, tuple[str | None, str | None]]:
    return {
        str(one.address): (one.driver, one.driver_override)
        for one in kernel.machine.functions.values()
        if one.physfn is not None
    }


def test_the_order_is_that_of_which_nothing_takes_a_vf_on_the_way() -> None:
    plan = _plan(_host(), 2, settings={"0.mac": MAC, "vlan": "100"})

    assert plan.outcome == Outcome.PLANNED
    assert _lines(plan) == [
        "echo 0 > devices/00.0/sriov_drivers_autoprobe",
        "echo 2 > devices/00.0/sriov_numvfs",
        f"ip link set dev ens1f0 vf 0 mac {MAC}",
        "ip link set dev ens1f0 vf 0 vlan 100",
        "ip link set dev ens1f0 vf 1 vlan 100",
        "echo vfio-pci > devices/02.0/driver_override",
        "echo 02.0 > drivers_probe",
        "echo vfio-pci > devices/02.1/driver_override",
        "echo 02.1 > drivers_probe",
        "echo 1 > devices/00.0/sriov_drivers_autoprobe",
    ]


def test_a_number_changes_over_zero() -> None:
    plan = _plan(_host(2), 3, driver=NONE)

    assert [line for line in _lines(plan) if "numvfs" in line] == [
        "echo 0 > devices/00.0/sriov_numvfs",
        "echo 3 > devices/00.0/sriov_numvfs",
    ]
    assert _codes(plan) == {"vfs-made-anew"}


def test_to_zero_nothing_else_is_written() -> None:
    plan = _plan(_host(2), 0)

    assert (_lines(plan), plan.findings) == (["echo 0 > devices/00.0/sriov_numvfs"], ())


def test_where_the_number_is_right_vfs_are_bound_and_none_is_made_anew() -> None:
    assert _plan(_host(2), 2).outcome == Outcome.NOTHING
    plan = _plan(_host(2, driver="icevf"), 2)

    assert plan.outcome == Outcome.PLANNED, plan.findings
    assert not [line for line in _lines(plan) if "numvfs" in line]
    assert sum("drivers_probe" in line for line in _lines(plan)) == 2


def test_settings_of_the_pf_come_while_it_has_no_vfs() -> None:
    port = _port(driver="4xxx", netdevs=(), total_vfs=1, num_vfs=1, virtfns=(at(VFS[0]),))
    host = machine(port, vf(VFS[0], PF, group=50))

    lines = _lines(_plan(host, 1, settings={"cfg_services": "sym;asym"}, driver=NONE))

    assert lines[:5] == [
        "echo 0 > devices/00.0/sriov_numvfs",
        "echo down > devices/00.0/qat/state",
        "echo 'sym;asym' > devices/00.0/qat/cfg_services",
        "echo up > devices/00.0/qat/state",
        "echo 0 > devices/00.0/sriov_drivers_autoprobe",
    ]


def test_quotas_of_xe_count_vfs_from_one() -> None:
    host = machine(_port(driver="xe", netdevs=()))

    lines = _lines(_plan(host, 2, settings={"0.vram_quota": "0", "1.vram_quota": "1073741824"}, driver=NONE))

    # Before there are VFs: what the driver gives them by itself would be in the way.
    assert lines[:2] == [
        "echo 0 > devices/00.0/sriov_admin/vf1/profile/vram_quota",
        "echo 1073741824 > devices/00.0/sriov_admin/vf2/profile/vram_quota",
    ]


@pytest.mark.parametrize(
    ("port", "count", "code", "words"),
    [
        ({"total_vfs": None}, 1, "no-vfs-possible", "has no SR-IOV"),
        ({"total_vfs": None, "physfn": at("0000:3b:00.1")}, 1, "no-vfs-possible", "is a VF of 0000:3b:00.1"),
        ({"driver": None}, 1, "no-vfs-possible", "has no driver"),
        ({"driver": "vfio-pci"}, 1, "no-vfs-possible", "is on vfio-pci"),
        ({}, 9, "too-many-vfs", "9 VFs are asked for, and it can have 8"),
        ({"total_vfs": 0}, 1, "too-many-vfs", "it can have 0"),
        ({"removing": True}, 1, "removal-pending", "is being taken from ice"),
        ({"vf_offset": None}, 1, "vf-addresses-unknown", "are not known:"),
    ],
)
def test_a_port_that_cannot_is_refused_with_what_was_seen(
    port: dict[str, object], count: int, code: str, words: str
) -> None:
    plan = _plan(machine(_port(**port)), count)

    assert plan.outcome == Outcome.REFUSED
    assert (code, True) in {(one.code, words in one.message) for one in plan.findings}


@pytest.mark.parametrize("places", [{}, {"vf_offset": None, "vf_stride": None}])
@pytest.mark.parametrize("port", [PF, "0000:af:00.0"])
def test_no_number_is_written_while_the_vfs_of_any_port_wait_to_be_removed(port: str, places: dict[str, None]) -> None:
    """The kernel took the links between the PF and its first VF away, and waits for who has the VF."""
    gone, left = function(VFS[0], group=50, removing=True), vf(VFS[1], PF, group=51)
    torn = _port(num_vfs=1, virtfns=(left.address,), **places)
    other = pf("0000:af:00.0", driver="ice", total_vfs=8, group=60, vf_offset=16, vf_stride=1)
    host = machine(torn, gone, left, other)

    plan = vfs(host, host.functions[at(port)], 0)

    assert (plan.outcome, "removal-pending" in _codes(plan)) == (Outcome.REFUSED, True)


@pytest.mark.parametrize(("source", "driver"), [("/", NONE), ("node.toml", "vfio-pci")])
def test_addresses_that_are_not_known_do_not_forbid_vfs_without_a_driver_nor_a_dry_run(
    source: str, driver: str
) -> None:
    plan = _plan(machine(_port(vf_offset=None), source=source), 2, driver=driver)

    assert (plan.outcome, _codes(plan)) == (Outcome.PLANNED, {"vf-addresses-unknown"})


def test_a_driver_of_the_host_may_be_named_and_must_be_there() -> None:
    lines = _lines(_plan(_host(), 1, driver="iavf"))

    assert lines[-1] == "echo 02.0 > drivers_probe"
    assert not [line for line in lines if "override" in line]
    plan = _plan(_host(), 1, driver="iavf", drivers=Drivers(registered=frozenset({"ice"})))
    assert (plan.outcome, _codes(plan)) == (Outcome.REFUSED, {"driver-unfit"})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"driver": "icevf", "use": in_use("eth0 (default route)", layer="net")}, "vfs-in-use"),
        ({"driver": "nvidia", "vendor_vgpu_type": 7}, "vfs-in-use"),
        ({"removing": True}, "removal-pending"),
    ],
)
@pytest.mark.parametrize("count", [0, 3])
def test_a_port_that_would_lose_a_vf_in_use_is_refused_whatever_is_accepted(
    changes: dict[str, object], code: str, count: int
) -> None:
    made = vf(VFS[0], PF, group=50, **changes)
    host = machine(_port(num_vfs=1, virtfns=(made.address,)), made)

    plan = _plan(host, count, despite=frozenset({code, "host-use-unknown"}))

    assert (plan.outcome, code in _codes(plan)) == (Outcome.REFUSED, True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"colour": "red"}, "there is no such setting"),
        ({"mac": MAC}, "two VFs with one MAC address"),
        ({"0.mac": "03:00:00:00:00:0a"}, "is no value of it"),
        ({"2.mac": MAC}, "there will be no VF 2"),
        ({"vlan": "4095"}, "is no value of it"),
        ({"vram_quota": "5"}, "ice has nothing of the kind"),
        ({"cfg_services": "sym"}, "ice has nothing of the kind"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(settings: dict[str, str], words: str) -> None:
    plan = _plan(_host(), 2, settings=settings)

    (finding,) = plan.findings
    assert (finding.code, words in finding.message, plan.outcome) == ("vf-setting-unfit", True, Outcome.REFUSED)


def test_the_page_has_the_settings_of_the_table() -> None:
    page = (ROOT / "docs/node-state.md").read_text().split("| setting |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines()[2:]]

    assert rows == [
        [
            f"`{one.name}`",
            "each VF" if one.of_vf else "the PF",
            one.meaning,
            one.source,
            "igb, emulated" if one.tried else "no",
        ]
        for one in SETTINGS
    ]


def test_vfs_of_nvme_are_said_to_be_offline() -> None:
    host = machine(_port(driver="nvme", netdevs=(), class_code=NVME))

    assert _codes(_plan(host, 2)) == {"vfs-offline"}


def _carried(kernel: DriverCore, plan: Effects, state_dir: Path) -> Effects:
    return carry(plan, kernel.machine, means(kernel, state_dir), "vfs")


@pytest.mark.parametrize(("driver", "each"), [("vfio-pci", ON_VFIO), (NONE, (None, None)), (HOST, ("icevf", None))])
@pytest.mark.parametrize("before", [0, 1])
def test_vfs_are_made_and_are_on_the_driver_that_was_asked_for(
    tmp_path: Path, before: int, driver: str, each: tuple[str | None, str | None]
) -> None:
    kernel = _core(_host(before))

    done = _carried(kernel, _plan(kernel.machine, 3, driver=driver), tmp_path)

    assert done.outcome == Outcome.DONE, done.findings
    assert _drivers(kernel) == dict.fromkeys(VFS, each)
    assert kernel.of(PF).vf_autoprobe


def test_fewer_vfs_than_asked_for_are_counted_and_taken_away_again(tmp_path: Path) -> None:
    kernel = _core(_host())
    kernel.miserly = True

    done = _carried(kernel, _plan(kernel.machine, 3), tmp_path)

    assert (done.outcome, "not-as-planned" in _codes(done)) == (Outcome.UNDONE, True)
    assert "says 2 instead of 3" in " ".join(one.message for one in done.findings)
    assert (_drivers(kernel), kernel.of(PF).vf_autoprobe) == ({}, True)


def test_a_driver_that_takes_none_undoes_all_of_it(tmp_path: Path) -> None:
    kernel = _core(_host(2))
    kernel.broken.add("vfio-pci")

    done = _carried(kernel, _plan(kernel.machine, 3), tmp_path)

    # vfio-pci takes the old ones back no more than the new ones: that is told, and their number is as it was.
    assert done.outcome == Outcome.STUCK
    assert (len(_drivers(kernel)), kernel.of(PF).vf_autoprobe) == (2, True)


MOMENTS = 3 * 12


@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("moment", range(MOMENTS))
def test_wherever_it_is_cut_off_it_can_be_put_back(tmp_path: Path, moment: int, before: int) -> None:
    kernel = _core(_host(before), kill_at=moment)
    was = (_drivers(kernel), kernel.of(PF).num_vfs, kernel.of(PF).vf_autoprobe)
    plan = _plan(kernel.machine, 3, settings={"vlan": "7"})
    try:
        done = _carried(kernel, plan, tmp_path)
    except Killed:
        done = None
    kernel.kill_at = None
    if done is not None:
        assert done.outcome == Outcome.DONE
    (transaction,) = Journal(tmp_path).each()

    undone = put_back(transaction, means(kernel, tmp_path)).effects

    assert undone.outcome == Outcome.UNDONE, undone.findings
    assert (_drivers(kernel), kernel.of(PF).num_vfs, kernel.of(PF).vf_autoprobe) == was


@pytest.mark.parametrize("count", [0, 1, 3])
def test_what_was_written_to_the_end_before_it_was_cut_off_is_done(tmp_path: Path, count: int) -> None:
    """Judged by the number, autoprobe and settings as well: none of them is a driver."""
    counting = _core(_host(2))
    settings = {"vlan": "7"} if count else {}
    _carried(counting, _plan(counting.machine, count, settings=settings), tmp_path / "counted")
    outcomes = []
    for moment in (counting.moments - 1, counting.moments - 3):
        kernel = _core(_host(2), kill_at=moment)
        with pytest.raises(Killed):
            _carried(kernel, _plan(kernel.machine, count, settings=settings), tmp_path / str(moment))
        kernel.kill_at = None
        (ended,) = recover.recover(means(kernel, tmp_path / str(moment)))
        outcomes.append(ended.effects.outcome)

    assert outcomes == [Outcome.DONE, Outcome.UNDONE]


def test_a_removal_that_waits_is_pending_and_nothing_is_written_after_it(tmp_path: Path) -> None:
    kernel = _core(_host(2))
    kernel.held.add(PciAddress.parse(VFS[1]))

    done = _carried(kernel, _plan(kernel.machine, 3), tmp_path)

    assert done.outcome == Outcome.PENDING
    assert [step.state for step in done.steps][:2] == ["pending", "todo"]


def test_a_plan_names_no_function_but_the_port_and_its_vfs() -> None:
    plan = _plan(machine(_port(), function("0000:65:00.0")), 3)

    assert set(plan.devices) == {PF, *VFS}
