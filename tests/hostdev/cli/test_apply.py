"""`passgate node state apply` on the driver core in memory: entry by entry, whatever becomes of one of them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from domxml.errors import HostUnreadable, NotPermitted
from hostdev.binding.carry import Means
from hostdev.binding.effects import Effects
from hostdev.binding.journal import Journal, Transaction
from hostdev.binding.lock import hold_lock
from hostdev.binding.vfsettings import Readings
from hostdev.cli import changes
from hostdev.cli.node import state
from hostdev.inventory.machine import Machine
from hostdev.inventory.pciclasses import base
from tests.hostdev.binding import hosts
from tests.hostdev.binding.drivercore import DriverCore
from tests.hostdev.cli.running import Ran


class Full(Journal):
    """No room for the first change that it is given."""

    def begin(self, what: str, effects: Effects, machine: Machine, readings: Readings | None = None) -> Transaction:
        if not list(self.each()) and not hasattr(self, "refused"):
            self.refused = True
            raise NotPermitted("journal-unwritable", "no space left on device", subject=str(self.directory))
        return super().begin(what, effects, machine, readings)


@pytest.fixture
def kernel() -> DriverCore:
    return hosts.core("hgx-h100")


@pytest.fixture
def disks(kernel: DriverCore) -> list[str]:
    """Two disks that nothing uses."""
    functions = kernel.machine.functions.values()
    return [str(one.address) for one in functions if base(one.class_code) == 1 and not one.use.used][:2]


@pytest.fixture
def apply(
    kernel: DriverCore, disks: list[str], cli: Callable[..., Ran], tmp_path: Path, mocker: MockerFixture
) -> Callable[..., dict[str, Any]]:
    """Apply a file that wants both disks on vfio-pci, and tell what was printed."""
    entries = [f"    - {{match: {{address: '{disk}'}}, driver: vfio-pci}}\n" for disk in disks]
    file = tmp_path / "node-state.yaml"
    file.write_text("apiVersion: passgate.dev/v1\nkind: NodeState\nspec:\n  devices:\n" + "".join(entries))

    def run(journal: Journal | None = None, *, stop: Callable[[], bool] | None = None) -> dict[str, Any]:
        def means(arguments: argparse.Namespace, interrupted: Callable[[], bool] = lambda: False) -> Means:
            del arguments
            made = hosts.means(kernel, tmp_path)._replace(stop=stop or interrupted)
            return made._replace(journal=journal) if journal else made

        mocker.patch.object(changes, "Kernel", autospec=True, return_value=kernel)
        mocker.patch.object(changes, "means_of", autospec=True, side_effect=means)
        mocker.patch.object(state, "scan", autospec=True, side_effect=lambda _host: kernel.machine)
        ran = cli("node", "state", "apply", str(file), "--yes", "-o", "json", "--state-dir", str(tmp_path))
        return {**json.loads(ran.out), "code": ran.code}

    return run


def _outcomes(told: dict[str, Any]) -> list[str]:
    return [item["outcome"] for item in told["items"]]


def _codes(item: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in item["findings"]}


def _drivers(kernel: DriverCore, disks: list[str]) -> list[str | None]:
    return [one.driver for one in hosts.functions(kernel, *disks)]


def test_every_entry_is_carried_out(apply: Callable[..., dict[str, Any]], kernel: DriverCore, disks: list[str]) -> None:
    told = apply()

    assert (told["code"], _outcomes(told)) == (0, ["done", "done"])
    assert _drivers(kernel, disks) == ["vfio-pci", "vfio-pci"]


def test_one_whose_journal_cannot_be_written_stops_no_other(
    apply: Callable[..., dict[str, Any]], kernel: DriverCore, disks: list[str], tmp_path: Path
) -> None:
    told = apply(Full(tmp_path))

    assert (told["code"], _outcomes(told)) == (5, ["refused", "done"])
    assert _codes(told["items"][0]) == {"journal-unwritable"}
    assert _drivers(kernel, disks) == ["nvme", "vfio-pci"]


def test_a_lock_that_is_another_s_is_told_of_each(
    apply: Callable[..., dict[str, Any]], kernel: DriverCore, disks: list[str], tmp_path: Path, mocker: MockerFixture
) -> None:
    mocker.patch.object(hold_lock.__wrapped__, "__defaults__", (0.1,))  # type: ignore[attr-defined]
    with hold_lock(tmp_path):
        told = apply()

    assert (told["code"], _outcomes(told)) == (5, ["refused", "refused"])
    assert [_codes(item) for item in told["items"]] == [{"host-busy"}, {"host-busy"}]
    assert _drivers(kernel, disks) == ["nvme", "nvme"]


def test_a_host_that_does_not_answer_in_the_midst_is_stuck_and_told(
    apply: Callable[..., dict[str, Any]], kernel: DriverCore, mocker: MockerFixture
) -> None:
    """Nothing says that nothing was written: it goes on in the journal."""
    silent = HostUnreadable("host-unreadable", "the look at it has not come back", subject="/")
    kernel.broken.add("vfio-pci")
    mocker.patch.object(kernel, "look_again", autospec=True, side_effect=silent)

    told = apply()

    assert (told["code"], _outcomes(told)[0]) == (7, "stuck")
    assert _codes(told["items"][0]) >= {"host-unreadable"}


def test_after_an_interruption_what_had_not_begun_is_told_to_be_left_out(
    apply: Callable[..., dict[str, Any]], kernel: DriverCore, disks: list[str]
) -> None:
    moments = iter([False] * 2 + [True] * 1000)
    told = apply(stop=lambda: next(moments))

    assert (told["code"], _outcomes(told)) == (6, ["undone", "refused"])
    assert [_codes(item) & {"change-interrupted"} for item in told["items"]] == [{"change-interrupted"}] * 2
    assert _drivers(kernel, disks) == ["nvme", "nvme"]
