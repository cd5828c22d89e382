"""What VFs were set up with is given back by an undo, wherever a change of them was cut off."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from hostdev.binding.carry import carry, put_back
from hostdev.binding.effects import Effects, Outcome, State, describe
from hostdev.binding.journal import Journal
from hostdev.binding.recover import undo
from hostdev.binding.vfs import vfs
from tests.hostdev.binding.drivercore import DriverCore, Killed
from tests.hostdev.binding.hosts import means
from tests.hostdev.binding.ports import MAC, OTHER, PF, SERVICES, STATE, build_host, core_of, kept
from tests.hostdev.gate.build import at


def _as_it_was(kernel: DriverCore) -> tuple[object, ...]:
    ports = [one for one in kernel.machine.functions.values() if one.total_vfs]
    vfs_ = {str(one.address): one.driver for one in kernel.machine.functions.values() if one.physfn}
    return kernel.vf_settings(ports), vfs_, dict(kernel.files)


def check_undo(kernel: DriverCore, plan: Effects, directory: Path) -> None:
    """Carry a plan out until it is cut off, and put back what was done."""
    was = _as_it_was(kernel)
    with suppress(Killed):
        carry(plan, kernel.machine, means(kernel, directory), "vfs")
    kernel.kill_at = None
    (transaction,) = Journal(directory).each()

    back = put_back(transaction, means(kernel, directory)).effects

    assert back.outcome == Outcome.UNDONE, back.findings
    assert _as_it_was(kernel) == was


@pytest.mark.parametrize("moment", range(3 * 14))
def test_wherever_it_is_cut_off_mac_and_vlan_are_given_back(tmp_path: Path, moment: int) -> None:
    kernel = core_of(build_host(), kill_at=moment)
    kernel.settings |= kept(0, "mac", MAC) | kept(1, "vlan", "7") | kept(1, "trust", "on") | kept(0, "spoofchk", "off")
    plan = vfs(kernel.machine, kernel.machine.functions[at(PF)], 3, {"0.mac": OTHER, "vlan": "9"})

    check_undo(kernel, plan, tmp_path)


@pytest.mark.parametrize("moment", range(3 * 4))
def test_settings_of_vfs_that_stay_are_given_back(tmp_path: Path, moment: int) -> None:
    kernel = core_of(build_host(), kill_at=moment)
    kernel.settings |= kept(0, "mac", MAC) | kept(0, "vlan", "7")
    plan = vfs(kernel.machine, kernel.machine.functions[at(PF)], 2, {"0.mac": OTHER, "vlan": "9"})
    assert plan.outcome == Outcome.PLANNED

    check_undo(kernel, plan, tmp_path)


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("moment", range(3 * 12))
def test_services_are_given_back(tmp_path: Path, moment: int, before: int) -> None:
    kernel = core_of(build_host(before, driver="4xxx", total_vfs=2), kill_at=moment)
    kernel.files |= {STATE: "up", SERVICES: "asym;sym"}
    port = kernel.machine.functions[at(PF)]
    plan = vfs(kernel.machine, port, 2, {"cfg_services": "dc"}, driver="vfio-pci")

    check_undo(kernel, plan, tmp_path)


def test_what_was_not_read_is_said_not_to_be_given_back(tmp_path: Path) -> None:
    """A transaction of 0.1, or of a host where netlink could not be asked."""
    kernel = core_of(build_host())
    plan = vfs(kernel.machine, kernel.machine.functions[at(PF)], 3)
    carry(plan, kernel.machine, means(kernel, tmp_path), "vfs")
    (transaction,) = Journal(tmp_path).each()
    unread = transaction._replace(before=tuple(one._replace(settings=None) for one in transaction.before))

    back = put_back(unread, means(kernel, tmp_path)).effects

    assert back.outcome == Outcome.UNDONE
    (told,) = [one for one in back.findings if one.code == "settings-not-restored"]
    assert told.message == "MAC addresses and VLANs of the 2 VFs that it had were not read before"


def test_an_undo_of_the_journal_gives_them_back_too(tmp_path: Path) -> None:
    kernel = core_of(build_host())
    kernel.settings |= kept(1, "mac", MAC)
    was = _as_it_was(kernel)
    done = carry(vfs(kernel.machine, kernel.machine.functions[at(PF)], 1), kernel.machine, means(kernel, tmp_path))
    written = Journal(tmp_path).find(done.id)

    assert [dict(one.settings or {}).get("mac") for one in written.before if one.physfn][1] == MAC
    back = undo(written, means(kernel, tmp_path))

    assert back.effects.outcome == Outcome.UNDONE, back.effects.findings
    assert {step.state for step in back.undo} == {State.DONE}
    assert _as_it_was(kernel) == was


def test_of_vfs_that_nothing_set_up_nothing_is_written_again(tmp_path: Path) -> None:
    """A MAC address of zeros is none: drivers refuse it, or take it for one."""
    kernel = core_of(build_host())
    carry(vfs(kernel.machine, kernel.machine.functions[at(PF)], 1), kernel.machine, means(kernel, tmp_path))
    (transaction,) = Journal(tmp_path).each()

    back = put_back(transaction, means(kernel, tmp_path))

    lines = [describe(step) for step in back.undo]
    assert not [line for line in lines if " mac " in line or " vlan " in line or " trust " in line]
