"""What is asked right before a write: of holders, removals, VFs that would vanish, and drivers that wait for users."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import pytest

from domxml.finding import Severity
from domxml.pciaddress import PciAddress
from hostdev.binding import steps
from hostdev.binding.checks import CHECKS, Moment
from hostdev.binding.effects import Outcome, Step
from hostdev.binding.obstacles import ACCEPTABLE
from hostdev.binding.plan import bind
from hostdev.binding.vfs import number
from hostdev.inventory.host import Host
from hostdev.inventory.scan import scan
from hostdev.kubelet.claimrecords import as_document, records_directory
from hostdev.kubelet.resourcename import DRIVER
from tests.hostdev.cli.processes import ADDRESS, add_process
from tests.hostdev.gate.build import AUDIO, function, in_use, machine
from tests.hostdev.kubelet.claims import record, unit
from tests.hostdev.layout import lay_out
from tests.hostdev.machines.fixtures import fixture

VF, PF = PciAddress.parse(ADDRESS), PciAddress.parse("0000:3b:00.0")
OTHER = "0000:3b:02.0"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lay_out(fixture("two-socket-x710").read_text(), tmp_path / "host")
    add_process(tmp_path / "host", 2, "kthreadd")
    return tmp_path / "host"


def _against(root: Path, step: Step, despite: Collection[str] = ()) -> set[str]:
    with Host(root) as host:
        seen = scan(host)
        moment = Moment(step, seen.functions[PciAddress.parse(step.device)], seen, host, frozenset(despite))
        found = [finding for check in CHECKS for finding in check(moment)]
    return {finding.code for finding in found if finding.severity is Severity.ERROR}


def _hold(root: Path, address: PciAddress) -> None:
    with Host(root) as host:
        group = scan(host).functions[address].group
    add_process(root, 41, "qemu-kvm", files=(f"/dev/vfio/{group}",))


def test_a_device_that_nothing_holds_may_be_written_to(root: Path) -> None:
    assert _against(root, steps.unbind(VF, "vfio-pci")) == set()


@pytest.mark.parametrize("despite", [(), ACCEPTABLE])
def test_nothing_is_written_to_what_a_process_holds_whatever_is_accepted(root: Path, despite: Collection[str]) -> None:
    _hold(root, VF)

    for step in (steps.override(VF, None), steps.unbind(VF, "vfio-pci"), steps.probe(VF, None)):
        assert _against(root, step, despite) == {"device-in-use"}


@pytest.mark.parametrize("despite", [(), ACCEPTABLE])
def test_nothing_is_written_to_what_a_claim_of_ours_holds(root: Path, despite: Collection[str]) -> None:
    kubelet = root / "var/lib/kubelet"
    (kubelet / "pods/uid").mkdir(parents=True)
    held = unit()._replace(functions=(VF,), unit="other")
    claim = record(held, pods=(("virt-launcher-vm", "uid"),), boot_id="")
    file = Path(records_directory(str(kubelet), DRIVER)) / f"{claim.uid}.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(as_document(claim)))

    assert _against(root, steps.unbind(VF, "vfio-pci"), despite) == {"device-in-use"}
    assert "device-in-use" in _against(root, number(PF, 0, ""), despite)
    assert "device-in-use" not in _against(root, steps.unbind(PciAddress.parse(OTHER), "vfio-pci"), ACCEPTABLE)
    file.write_text("{")
    assert _against(root, steps.unbind(VF, "vfio-pci")) == {"holders-unknown"}


@pytest.mark.parametrize("despite", [(), ACCEPTABLE])
def test_no_vf_vanishes_while_one_of_them_is_held(root: Path, despite: Collection[str]) -> None:
    _hold(root, VF)

    assert "device-in-use" in _against(root, number(PF, 0, ""), despite)
    assert "device-in-use" not in _against(root, number(PciAddress.parse("0000:3b:00.1"), 2, ""), despite)


def test_a_vf_that_the_host_uses_does_not_vanish(root: Path) -> None:
    """ens1f0v5 is up."""
    assert "vfs-in-use" in _against(root, number(PF, 0, ""), ACCEPTABLE)


def test_without_the_processes_of_the_host_holders_are_unknown_until_that_is_accepted(root: Path) -> None:
    for place in (root / "proc").iterdir():
        if place.name.isdecimal() and (place / "cmdline").exists():
            (place / "cmdline").unlink()
    step = steps.unbind(VF, "vfio-pci")

    assert _against(root, step) == {"holders-unknown"}
    assert _against(root, step, {"holders-unknown"}) == set()


@pytest.mark.parametrize(
    ("driver", "outcome"), [("snd_hda_intel", Outcome.REFUSED), ("uio_pci_generic", Outcome.PLANNED)]
)
def test_what_would_wait_for_a_process_is_refused_whatever_is_accepted(driver: str, outcome: str) -> None:
    """A sound driver is taken only after the last node was closed, and the write waits for that unkillably."""
    use = in_use("controlC0 (open in pipewire (77))", layer="node")
    host = machine(function("0000:01:00.1", class_code=AUDIO, driver=driver, use=use))

    plan = bind(host, [*host.functions.values()], despite=frozenset(ACCEPTABLE))

    assert plan.outcome == outcome, plan.findings


def test_a_pf_that_has_got_vfs_meanwhile_stays_on_its_driver(root: Path) -> None:
    for step in (steps.override(PF, "vfio-pci"), steps.unbind(PF, "i40e")):
        assert "pf-with-vfs" in _against(root, step, ACCEPTABLE)
