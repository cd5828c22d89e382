"""A plan carried out on the driver core in memory: done, refused, failed and undone, stuck, pending, cut off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from domxml.pciaddress import PciAddress
from hostdev.binding import steps
from hostdev.binding.carry import carry, put_back
from hostdev.binding.effects import Effects, Outcome, State, Step
from hostdev.binding.journal import Journal
from hostdev.binding.plan import bind, unbind
from hostdev.findings.hostuse import DEVICE_IN_USE
from tests.hostdev.binding.drivercore import DriverCore, Killed
from tests.hostdev.binding.hosts import AUDIO, CARD, DISK, GPU, core, functions, means, state

BOUND = ("vfio-pci", "vfio-pci")
MOMENTS = 27
"""Three for each of nine steps: before it is written down, before it is made, and after."""


def _bind(kernel: DriverCore, state_dir: Path, *addresses: str) -> Effects:
    plan = bind(kernel.machine, functions(kernel, *addresses), with_group=True)
    return carry(plan, kernel.machine, means(kernel, state_dir), "bind")


def _codes(effects: Effects) -> set[str]:
    return {finding.code for finding in effects.findings}


def test_a_whole_group_goes_to_vfio_and_the_journal_has_it(tmp_path: Path) -> None:
    kernel = core()

    done = _bind(kernel, tmp_path, GPU)

    assert done.outcome == Outcome.DONE
    assert {step.state for step in done.steps} == {State.DONE}
    assert [state(kernel)[address] for address in CARD[1:]] == [BOUND] * 3
    (written,) = Journal(tmp_path).each()
    assert (written.id, written.effects.outcome, written.running) == (done.id, Outcome.DONE, False)
    assert [before.driver for before in written.before] == ["snd_hda_intel", "xhci_hcd", "nvidia-gpu"]


def test_all_let_go_before_any_is_taken(tmp_path: Path) -> None:
    done = _bind(core(), tmp_path, GPU)

    taken = [step.write == steps.PROBE for step in done.steps]
    assert taken == sorted(taken)


def test_a_second_time_there_is_nothing_to_do(tmp_path: Path) -> None:
    kernel = core()
    _bind(kernel, tmp_path, GPU)

    again = _bind(kernel, tmp_path, GPU)

    assert (again.outcome, again.steps, again.id) == (Outcome.NOTHING, (), "")
    assert len(list(Journal(tmp_path).each())) == 1


def test_a_driver_that_does_not_take_it_is_noticed_and_undone(tmp_path: Path) -> None:
    kernel = core("hgx-h100")
    kernel.broken.add("vfio-pci")
    before = state(kernel)

    ended = _bind(kernel, tmp_path, DISK)

    assert ended.outcome == Outcome.UNDONE
    assert "not-as-planned" in _codes(ended)
    assert state(kernel) == before
    assert [step.state for step in ended.steps] == [State.UNDONE, State.UNDONE, State.FAILED]


def test_another_writer_is_noticed_and_not_fought(tmp_path: Path) -> None:
    """It takes the device between the look and the first write."""
    kernel = core("hgx-h100")
    disk = PciAddress.parse(DISK)

    def elsewhere(_: Step) -> None:
        kernel.registered.add("uio_pci_generic")
        function = kernel.machine.functions[disk]
        changed = replace(function, driver="uio_pci_generic", driver_override="uio_pci_generic")
        kernel.machine = replace(kernel.machine, functions={**kernel.machine.functions, disk: changed})

    kernel.between = elsewhere
    ended = _bind(kernel, tmp_path, DISK)

    assert ended.outcome == Outcome.STUCK
    assert "changed-meanwhile" in _codes(ended)
    assert kernel.machine.functions[disk].driver == "uio_pci_generic"


def test_a_device_that_changed_since_the_plan_is_not_touched(tmp_path: Path) -> None:
    kernel = core("hgx-h100")
    plan = bind(kernel.machine, functions(kernel, DISK))
    seen = kernel.machine
    kernel.perform(steps.unbind(PciAddress.parse(DISK), "nvme"))
    before = state(kernel)

    ended = carry(plan, seen, means(kernel, tmp_path))

    assert (ended.outcome, _codes(ended)) == (Outcome.REFUSED, {"changed-meanwhile"})
    assert state(kernel) == before


def test_a_vm_that_has_it_is_never_asked_to_let_go(tmp_path: Path) -> None:
    kernel = core()
    kernel.held.add(PciAddress.parse(GPU))
    plan = unbind(kernel.machine, functions(kernel, GPU), "nouveau")

    ended = carry(plan, kernel.machine, means(kernel, tmp_path))

    assert (ended.outcome, _codes(ended) & {"device-in-use"}) == (Outcome.REFUSED, {"device-in-use"})
    assert not kernel.waiting


def test_a_vm_that_takes_it_between_look_and_write_is_waited_for(tmp_path: Path) -> None:
    kernel = core()
    gpu = PciAddress.parse(GPU)
    plan = unbind(kernel.machine, functions(kernel, GPU), "nouveau")
    # The override comes first: the VM is there when the removal is written.
    unbinding = next(number for number, step in enumerate(plan.steps) if step.write.endswith("/unbind"))
    wish = plan._replace(steps=plan.steps[unbinding:])
    kernel.between = lambda _: kernel.held.add(gpu)

    ended = carry(wish, kernel.machine, means(kernel, tmp_path))

    assert ended.outcome == Outcome.PENDING
    assert ended.steps[0].state == State.PENDING
    assert "write-pending" in _codes(ended)
    (written,) = Journal(tmp_path).each()
    assert written.running
    again = _bind(kernel, tmp_path, GPU)
    assert (again.outcome, _codes(again) & {"transaction-open"}) == (Outcome.REFUSED, {"transaction-open"})


def test_an_interruption_undoes_what_was_begun(tmp_path: Path) -> None:
    kernel = core()
    before = state(kernel)
    plan = bind(kernel.machine, functions(kernel, GPU), with_group=True)

    ended = carry(plan, kernel.machine, means(kernel, tmp_path, stop_after=3))

    assert ended.outcome == Outcome.UNDONE
    assert state(kernel) == before


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_killed_at_any_moment_it_is_put_back(moment: int, tmp_path: Path) -> None:
    kernel = core(kill_at=moment)
    before = state(kernel)
    with pytest.raises(Killed):
        _bind(kernel, tmp_path, GPU)
    kernel.kill_at = None

    (cut,) = Journal(tmp_path).running(kernel.machine.kernel.boot_id)
    back = put_back(cut, means(kernel, tmp_path)).effects

    assert back.outcome == Outcome.UNDONE
    assert state(kernel) == before


def test_what_cannot_be_undone_is_told_with_its_device(tmp_path: Path) -> None:
    """A VM has one of the functions by the time that the change is undone."""
    kernel = core()
    done = _bind(kernel, tmp_path, GPU)
    kernel.held.add(PciAddress.parse(AUDIO))
    written = Journal(tmp_path).find(done.id)

    back = put_back(written, means(kernel, tmp_path)).effects

    assert back.outcome == Outcome.STUCK
    assert {finding.subject for finding in back.findings if finding.code == "undo-failed"} >= {AUDIO}
    assert DEVICE_IN_USE.code in _codes(back)
    assert state(kernel)[AUDIO] == BOUND
