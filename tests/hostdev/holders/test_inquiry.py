"""Who holds a device is asked of everything that a host has to tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from domxml.pciaddress import PciAddress
from hostdev.holders.claim import Claim, How, State
from hostdev.holders.holders import Answer
from hostdev.holders.inquiry import Inquiry, describe_holders
from hostdev.inventory.host import Host
from hostdev.inventory.scan import scan
from tests.hooksidecar.agent.kubelet import Kubelet
from tests.hostdev.cli.processes import ADDRESS, add_process
from tests.hostdev.layout import lay_out
from tests.hostdev.machines.fixtures import fixture

SLOT = "domain='0x0000' bus='0x3b' slot='0x02' function='0x1'"
DOMAIN = f"""\
<domain type='kvm'><name>tenant</name><devices>
<hostdev mode='subsystem' type='pci' managed='yes'><source><address {SLOT}/></source></hostdev>
</devices></domain>
"""
RUNNING = f"<domstatus state='running' pid='77'><monitor path='/x'/>{DOMAIN}</domstatus>"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lay_out(fixture("two-socket-x710").read_text(), tmp_path / "host")
    add_process(tmp_path / "host", 2, "kthreadd")
    return tmp_path / "host"


@pytest.fixture
def ask(root: Path) -> Callable[[], Answer]:
    def ask() -> Answer:
        with Host(root) as host:
            machine = scan(host)
            return Inquiry(host).ask(machine, machine.functions[PciAddress.parse(ADDRESS)])

    return ask


Ask = Callable[[], Answer]


def _held(answer: Answer) -> list[tuple[How, str]]:
    return [(claim.how, claim.who) for claim in answer.holding]


def test_a_device_that_nothing_holds_is_free(ask: Ask) -> None:
    answer = ask()

    assert (_held(answer), answer.state) == ([], State.FREE)


def test_a_node_is_known_by_its_number_under_whatever_name_a_container_has_it(root: Path, ask: Ask) -> None:
    number = "/sys/dev/char/245:7"
    with Host(root) as host:
        group = scan(host).functions[PciAddress.parse(ADDRESS)].group
    node = root / f"dev/vfio/{group}"
    node.rmdir()
    node.symlink_to(f"../..{number}")
    add_process(root, 41, "qemu-kvm", files=("/dev/null", "socket:[1]", number))

    answer = ask()

    assert _held(answer) == [(How.OPEN, "qemu-kvm")]
    assert answer.holding[0].where == f"{number}, which is /dev/vfio/{group}"


def test_a_vfio_driver_enables_what_is_open_though_no_process_is_seen(root: Path, ask: Ask) -> None:
    (root / f"sys/bus/pci/devices/{ADDRESS}/enable").write_text("1\n")

    answer = ask()

    assert (_held(answer), answer.state) == ([(How.ENABLED, "vfio-pci")], State.OPEN)
    assert describe_holders(answer.holding).startswith("a process that is not to be seen: ")


@pytest.mark.parametrize("place", ["run/libvirt/qemu", "run/user/1000/libvirt/qemu/run"])
def test_domains_that_run_are_read_where_libvirt_writes_them_down(root: Path, ask: Ask, place: str) -> None:
    (root / place).mkdir(parents=True)
    (root / place / "tenant.xml").write_text(RUNNING)
    (root / place / "other.xml").write_text(RUNNING.replace("slot='0x02'", "slot='0x03'"))

    answer = ask()

    assert _held(answer) == [(How.DOMAIN, "tenant")]
    assert describe_holders(answer.holding) == f"the domain tenant: /{place}/tenant.xml"


def test_a_domain_that_cannot_be_read_is_told_and_hides_no_other(root: Path) -> None:
    place = root / "run/libvirt/qemu"
    place.mkdir(parents=True)
    (place / "broken.xml").write_text("<domstatus><domain>")
    (place / "tenant.xml").write_text(RUNNING)

    with Host(root) as host:
        machine = scan(host)
        answer = Inquiry(host).ask(machine, machine.functions[PciAddress.parse(ADDRESS)])
        assert _held(answer) == [(How.DOMAIN, "tenant")]
        assert "/run/libvirt/qemu/broken.xml" in dict(host.unread)


POD = "0a1b2c3d-0000-4000-8000-00000000000a"
SLICE = f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD.replace('-', '_')}.slice"


@pytest.mark.parametrize(
    ("cgroup", "held"),
    [(None, True), ("system.slice", False), (SLICE, True), (f"kubepods/besteffort/pod{POD}", True)],
)
def test_after_a_boot_a_grant_holds_only_what_a_pod_with_a_cgroup_has(
    root: Path, cgroup: str | None, *, held: bool
) -> None:
    """Kubelet does not run yet: its record and the directories of pods are there, and none of the pods is."""
    kubelet = Kubelet(root / "var/lib/kubelet")
    kubelet.pod(POD)
    kubelet.allocate(POD, {"PCIDEVICE_INTEL_COM_NET": ADDRESS}, ids=[ADDRESS], resource="intel.com/net")
    kubelet.save()
    if cgroup:
        (root / "sys/fs/cgroup" / cgroup).mkdir(parents=True)
        (root / "sys/fs/cgroup/cgroup.procs").touch()
    with Host(root) as host:
        machine = scan(host)
        answer = Inquiry(host, root=root).ask(machine, machine.functions[PciAddress.parse(ADDRESS)])

    assert bool(answer.holding) == held, answer


def test_holders_are_told_with_the_process_first() -> None:
    claims = (Claim(How.OPEN, "qemu", "/dev/vfio/4", pid=7, pod="u"), Claim(How.OPEN, "other", "/dev/vfio/4", pid=8))

    assert describe_holders(claims) == "qemu (PID 7) of pod u and 1 more: /dev/vfio/4"


@pytest.mark.parametrize("whole", [True, False])
def test_a_unit_that_a_whole_machine_has_not_may_be_any_device(root: Path, *, whole: bool) -> None:
    kubelet = Kubelet(root / "var/lib/kubelet")
    kubelet.pod(POD)
    kubelet.allocate(POD, {}, ids=["0000:70-00.0-10de.2204"], resource="a.b/gpu")
    kubelet.save()
    with Host(root) as host:
        machine = scan(host)
        answer = Inquiry(host, root=root).ask(machine, machine.functions[PciAddress.parse(ADDRESS)], whole=whole)

    said = [one.why for one in answer.asked if one.how is How.CHECKPOINT]
    assert said == (["it has ids of units that this machine has not: 0000:70-00.0-10de.2204"] if whole else [""])
    assert answer.complete is not whole
