"""Effects and transactions as JSON: their schemas, and back from the journal's file."""

from __future__ import annotations

from pathlib import Path

from hostdev.binding.carry import carry
from hostdev.binding.effects import describe
from hostdev.binding.journal import Journal, as_document
from hostdev.binding.plan import bind, unbind
from hostdev.printing.documents import API_VERSION
from tests.hostdev.binding.hosts import DISK, GPU, core, functions, means
from tests.hostdev.cli.validator import errors, schema
from tests.hostdev.machines.fixtures import NAMES, picture


def test_every_plan_follows_the_schema() -> None:
    for name in NAMES:
        machine = picture(name)
        for function in machine.functions.values():
            for plan in (bind(machine, [function], with_group=True), unbind(machine, [function])):
                assert list(errors(plan.as_document(), schema("effects.json"))) == []


def test_what_the_journal_keeps_comes_back_the_same(tmp_path: Path) -> None:
    kernel = core("hgx-h100")
    kernel.broken.add("vfio-pci")
    carry(bind(kernel.machine, functions(kernel, DISK)), kernel.machine, means(kernel, tmp_path), f"bind {DISK}")

    (written,) = Journal(tmp_path).each()

    listed = {"apiVersion": API_VERSION, "kind": "TransactionList", "items": [as_document(written)]}
    assert list(errors(as_document(written), schema("transaction.json"))) == []
    assert list(errors(listed, schema("transactionlist.json"))) == []
    journal = Journal(tmp_path / "again")
    journal.save(written)
    assert list(journal.each()) == [written]
    assert written.undo


def test_a_step_is_a_line_of_shell() -> None:
    kernel = core()

    there = bind(kernel.machine, functions(kernel, GPU), with_group=True)
    back = unbind(kernel.machine, functions(kernel, GPU), "nouveau")

    assert describe(there.steps[0]) == "echo vfio-pci > /sys/bus/pci/devices/0000:01:00.1/driver_override"
    assert describe(there.steps[1]) == "echo 0000:01:00.1 > /sys/bus/pci/drivers/snd_hda_intel/unbind"
    assert describe(there.steps[-1]) == "echo 0000:01:00.3 > /sys/bus/pci/drivers_probe"
    assert describe(back.steps[0]) == "modprobe nouveau"
    assert describe(back.steps[-1]) == f"echo > /sys/bus/pci/devices/{GPU}/driver_override"
