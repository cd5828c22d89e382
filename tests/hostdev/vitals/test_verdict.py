"""From files to verdicts: each state, and each sign that is not to be seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host as Door
from hostdev.inventory.scan import scan
from hostdev.vitals.boottime import class_of_boot
from hostdev.vitals.guestview import GuestBar, GuestView, QemuView
from hostdev.vitals.look import find_held, look_around, signs_of
from hostdev.vitals.repeat import confirm, with_rises
from hostdev.vitals.signs import Verdict
from hostdev.vitals.verdict import judge
from tests.hostdev import layout
from tests.hostdev.vitals.hosts import ARRIVED, FAULTY, IDLE, LOST, QUIET, UPTIME, YOUNG, Host, kernel_line, vms
from tests.hostdev.vitals.looking import signs_in, vital_of

GIB = 1 << 30


@pytest.fixture
def host() -> Host:
    return vms()


@pytest.mark.parametrize(
    ("device", "verdict", "codes"),
    [
        (ARRIVED, Verdict.ARRIVED, []),
        (YOUNG, Verdict.NOT_YET, []),
        (QUIET, Verdict.NO_SIGN, []),
        (FAULTY, Verdict.TROUBLE, ["dma-fault"]),
        (LOST, Verdict.TROUBLE, ["device-off-bus"]),
        (IDLE, Verdict.NOT_HELD, []),
        ("0000:3b:00.0", Verdict.NOT_HELD, []),
    ],
)
def test_each_state(device: str, verdict: Verdict, codes: list[str], host: Host, tmp_path: Path) -> None:
    vital = vital_of(host, device, tmp_path / "host")

    assert (vital.verdict, [found.code for found in vital.findings]) == (verdict, codes)
    assert vital.evidence
    assert bool(vital.fine) == (verdict is Verdict.NO_SIGN)


def test_a_line_from_before_the_start_is_of_another_vm(host: Host, tmp_path: Path) -> None:
    """The arrived one has such a line, 9000 s old; its VM is 7000 s old."""
    assert vital_of(host, ARRIVED, tmp_path / "a").findings == ()

    host.says(6990.0, "DMAR: [DMA Read NO_PASID] Request device [3b:02.0] fault addr 0x5000000 [fault reason 0x06]")

    (found,) = vital_of(host, ARRIVED, tmp_path / "b").findings
    assert found.code == "dma-fault"


def test_a_line_that_a_program_wrote_proves_nothing(host: Host, tmp_path: Path) -> None:
    fault = "DMAR: [DMA Read NO_PASID] Request device [3b:02.0] fault addr 0x0"
    host.log.append(kernel_line(UPTIME - 5, fault, priority=12))

    assert vital_of(host, ARRIVED, tmp_path / "host").verdict is Verdict.ARRIVED


def test_the_legacy_interrupt_is_qemus_and_no_sign(host: Host, tmp_path: Path) -> None:
    host.vector(QUIET, "intx")

    vital = vital_of(host, QUIET, tmp_path / "host")

    assert vital.verdict is Verdict.NO_SIGN
    assert "legacy interrupt alone" in vital.fine


def test_interrupts_of_the_next_device_are_not_its_own(host: Host, tmp_path: Path) -> None:
    host.vector("0000:3b:02.1", "msix")

    assert vital_of(host, QUIET, tmp_path / "host").verdict is Verdict.NO_SIGN
    assert vital_of(host, YOUNG, tmp_path / "host").verdict is Verdict.ARRIVED


def test_without_the_table_sysfs_tells(host: Host, tmp_path: Path) -> None:
    """Container runtimes hide /proc/interrupts."""
    root = tmp_path / "host"
    place = host.places[ARRIVED].path
    host.builder.file(f"{place}/msi_irqs/77", "msix")
    layout.write(host.recording(), root)
    (root / "proc/interrupts").unlink()

    assert vital_of(host, ARRIVED, root).verdict is Verdict.ARRIVED
    assert vital_of(host, QUIET, root).verdict is Verdict.NO_SIGN


def test_turned_on_and_unused_is_arrived_and_told(host: Host, tmp_path: Path) -> None:
    """An interface that is down: the guest's driver has MSI-X, and no vector in use."""
    host.builder.file(f"{host.places[QUIET].path}/msi_irqs/90", "msix")

    vital = vital_of(host, QUIET, tmp_path / "host")

    assert vital.verdict is Verdict.ARRIVED
    assert "1 msix, none in use" in vital.why


def test_without_either_it_is_unknown(host: Host, tmp_path: Path) -> None:
    root = tmp_path / "host"
    layout.write(host.recording(), root)
    (root / "proc/interrupts").write_text("")
    (root / host.places[QUIET].path / "irq").unlink()

    vital = vital_of(host, QUIET, root)

    assert vital.verdict is Verdict.UNKNOWN
    assert any(text.startswith("interrupts: ") for text in vital.unknown)


def test_without_the_log_that_is_said(host: Host, tmp_path: Path) -> None:
    root = tmp_path / "host"
    layout.write(host.recording(), root)
    (root / "dev/kmsg").unlink()

    vital = vital_of(host, FAULTY, root)

    assert vital.verdict is Verdict.ARRIVED
    assert any("faults and resets since the VM's start are not known" in text for text in vital.unknown)


def test_a_log_that_begins_after_the_start_is_said(host: Host, tmp_path: Path) -> None:
    del host.log[0]
    host.log.sort(key=lambda line: int(line.split(",")[2]))
    del host.log[0]

    vital = vital_of(host, ARRIVED, tmp_path / "host")

    assert any("begins 112 min after the VM's start" in text for text in vital.unknown)


def test_a_device_that_its_guest_put_to_sleep_is_well(host: Host, tmp_path: Path) -> None:
    host.health(ARRIVED, power_state="D3hot")
    host.health(QUIET, power_state="D3hot")

    assert vital_of(host, ARRIVED, tmp_path / "host").verdict is Verdict.ARRIVED
    quiet = vital_of(host, QUIET, tmp_path / "host")
    assert quiet.verdict is Verdict.NO_SIGN
    assert "it is in D3hot" in quiet.fine


def test_a_sleeping_idle_device_is_no_dead_one(host: Host, tmp_path: Path) -> None:
    host.health(IDLE, power_state="D3cold", enable="0", **{"power/runtime_status": "suspended"})

    assert vital_of(host, IDLE, tmp_path / "host").verdict is Verdict.NOT_HELD


def test_an_open_device_in_d3cold_does_not_answer(host: Host, tmp_path: Path) -> None:
    del host.log[-1]

    (found,) = vital_of(host, LOST, tmp_path / "host").findings

    assert found.code == "device-off-bus"
    assert {seen.content for seen in found.evidence} == {"D3cold", "active"}


@pytest.mark.parametrize("where", ["power_state", "power/runtime_status"])
def test_an_error_of_power_is_trouble_of_an_idle_one_too(where: str, host: Host, tmp_path: Path) -> None:
    host.health(IDLE, **{"enable": "0", where: "error"})

    assert [found.code for found in vital_of(host, IDLE, tmp_path / "host").findings] == ["device-power-stuck"]


def test_another_member_of_an_open_group_is_not_held(host: Host, tmp_path: Path) -> None:
    """The node of the group is open for its sibling."""
    root = tmp_path / "host"
    layout.write(host.recording(), root)
    (root / "proc/4242/fd/9").symlink_to(f"/dev/vfio/{host.places[IDLE].group}")

    assert vital_of(host, IDLE, root).verdict is Verdict.NOT_HELD
    (root / host.places[IDLE].path / "enable").write_text("1\n")
    assert vital_of(host, IDLE, root).verdict is Verdict.NO_SIGN


def test_a_paused_domain_is_waited_for_however_long(host: Host, tmp_path: Path) -> None:
    guest = GuestView("web", "paused", "by a user", "ua-passgate-1")

    vital = vital_of(host, QUIET, tmp_path / "host", guest)

    assert (vital.verdict, vital.why) == (Verdict.NOT_YET, "the domain web is paused: its guest does nothing")


HERE = ("root", "02.0", "00.0")
BAR = GuestBar(0, 16384, 0xFE000000, io=False, prefetchable=True)


@pytest.mark.parametrize(
    ("qemu", "code"),
    [
        (QemuView(HERE, "0000:01:00.0", (BAR,), placed=True, numbered=True), None),
        (QemuView(None, numbered=True), "guest-address-differs"),
        (
            QemuView(("root", "03.0", "00.0"), "0000:01:00.0", (BAR,), placed=True, numbered=True),
            "guest-address-differs",
        ),
        (QemuView(HERE, "", (BAR._replace(address=None),), placed=False, numbered=True), "guest-bar-unassigned"),
        (QemuView(HERE, "", (BAR._replace(address=None),), placed=False, numbered=False), None),
        (QemuView(HERE, "", (BAR._replace(address=None),), placed=None, numbered=True), None),
    ],
)
def test_what_qemu_says_is_compared_with_the_plan(qemu: QemuView, code: str | None, host: Host, tmp_path: Path) -> None:
    guest = GuestView("web", "running", "", "ua-passgate-0", "0000:01:00.0", HERE, qemu)

    vital = vital_of(host, ARRIVED, tmp_path / "host", guest)

    assert [found.code for found in vital.findings] == ([code] if code else [])
    assert vital.verdict is (Verdict.TROUBLE if code else Verdict.ARRIVED)


def test_trouble_is_what_two_looks_saw(host: Host, tmp_path: Path) -> None:
    good, bad = vital_of(host, ARRIVED, tmp_path / "host"), vital_of(host, FAULTY, tmp_path / "host")
    once = bad._replace(signs=good.signs)

    (told,) = confirm([bad], [bad])
    assert told.verdict is Verdict.TROUBLE
    (doubted,) = confirm([good], [once])
    assert (doubted.verdict, doubted.findings) == (Verdict.UNKNOWN, ())
    (gone,) = confirm([bad], [good])
    assert gone.verdict is Verdict.ARRIVED


def test_counters_tell_by_rising_and_not_by_what_they_are(host: Host, tmp_path: Path) -> None:
    host.errors(ARRIVED, correctable=900, nonfatal=4, fatal=0)
    vital = vital_of(host, ARRIVED, tmp_path / "host")
    before = vital.signs
    counted = dict(before.health.errors or {})

    assert vital.verdict is Verdict.ARRIVED
    assert any(seen.content == "4 since the node was booted" for seen in vital.evidence)
    for name, code in (("correctable", None), ("nonfatal", "bus-error"), ("fatal", "bus-error")):
        now = before._replace(health=replace(before.health, errors={**counted, name: counted[name] + 2}))
        (later,) = with_rises([now], [before])
        (again,) = with_rises([now], [later])
        for one in (later, again):
            assert [found.code for found in judge(one).findings] == ([code] if code else [])


def test_counters_of_another_vm_are_not_compared(host: Host, tmp_path: Path) -> None:
    host.errors(ARRIVED, nonfatal=4)
    before = vital_of(host, ARRIVED, tmp_path / "host").signs
    now = before._replace(
        health=replace(before.health, errors={"nonfatal": 6}), held=before.held._replace(since=99_000.0)
    )

    assert with_rises([now], [before])[0].rises == ()


@pytest.mark.parametrize(
    ("bar", "memory", "kernel", "name"),
    [
        (16384, 4 * GIB, (6, 12), "a minute or some"),
        (None, None, (0, 0), "a minute or some"),
        (32 * GIB, 4 * GIB, (6, 12), "minutes"),
        (16384, 512 * GIB, (6, 12), "minutes"),
        (128 * GIB, 512 * GIB, (6, 12), "tens of minutes"),
        (128 * GIB, 512 * GIB, (6, 15), "minutes"),
    ],
)
def test_the_class_of_a_boot(bar: int | None, memory: int | None, kernel: tuple[int, int], name: str) -> None:
    boot = class_of_boot(bar, memory, kernel)

    assert boot.name == name
    assert boot.why


def test_a_device_that_is_being_taken_away(host: Host, tmp_path: Path) -> None:
    """The kernel's `driver` link goes first; `uevent` keeps the name until the VM lets go."""
    root = tmp_path / "host"
    layout.write(host.recording(), root)
    device = PciAddress.parse(QUIET)
    with Door(root) as door:
        machine = scan(door)
        functions = {**machine.functions, device: replace(machine.functions[device], removing=True, vfio_dev=None)}
        machine = replace(machine, functions=functions)
        signs = signs_of(door, machine, device, look_around(door), find_held(door, machine, [device])[device])

    vital = judge(signs)

    assert vital.verdict is Verdict.TROUBLE
    assert "removal-pending" in {found.code for found in vital.findings}
    assert signs_in(root, device).gate == ()
