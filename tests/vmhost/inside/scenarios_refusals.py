"""What Passgate refuses, and what libvirt, QEMU and the kernel do when they are forced."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from domxml.finding import Severity
from domxml.pciaddress import PciAddress
from hostdev.gate.check import check, verdict_of
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine
from hostdev.inventory.scan import scan
from tests.hostdev.gate.predicted import predict_texts
from tests.vmhost import topology
from tests.vmhost.inside import pci
from tests.vmhost.inside.devices import DISPLAY, NOBODY, PF, PORT, UNBOUND_VF, VF
from tests.vmhost.inside.domains import domain, hostdev
from tests.vmhost.inside.launcher import small
from tests.vmhost.inside.product import passgate_json, refusal
from tests.vmhost.inside.scenario import Mismatch, expect, scenario, thorough

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

TURNS = 1500
PAUSE = 0.2


@scenario
def every_verdict_is_what_qemu_does(bench: Bench) -> None:
    """Each device alone in a domain starts where the gate lets it pass, and is refused where the gate refuses."""
    machine = _look()
    wrong = []
    for address in sorted(machine.functions):
        verdict = verdict_of(machine, address)
        words = bench.forced(domain("trial", hostdev(address)))
        codes = [finding.code for finding in verdict.findings if finding.severity is Severity.ERROR]
        said = ", ".join(codes) or "it passes"
        bench.record(f"{address}, {_kind(machine, address)}", said, words or "it starts")
        if verdict.passes != (not words):
            wrong.append(f"{address}: the gate says {said}, libvirt: {words or 'it starts'}")
    expect(not wrong, "\n".join(wrong))


@thorough
@scenario
def a_group_with_a_host_driver_is_foretold(bench: Bench) -> None:
    """A display whose audio function is on a driver of the host."""
    _refused_and_forced(bench, DISPLAY, "group-not-viable")


@thorough
@scenario
def an_unbound_vf_is_foretold(bench: Bench) -> None:
    """A VF that nobody gave to vfio-pci."""
    _refused_and_forced(bench, UNBOUND_VF, "not-bound-to-vfio")


@thorough
@scenario
def a_bridge_is_foretold(bench: Bench) -> None:
    """A root port."""
    _refused_and_forced(bench, PORT, "not-an-endpoint")


@scenario
def a_missing_device_is_foretold(bench: Bench) -> None:
    """An address that nothing is at: libvirt says no reason, and is known to, with what it mostly is."""
    sentence = _refused(NOBODY, "device-missing")
    words = bench.forced(domain("forced", hostdev(NOBODY)))
    (item,) = passgate_json("node", "explain", words)["items"]
    expect(item["nature"] == "wrapper", f"node explain takes {words!r} for {item['code']}")
    expect("device-missing" in item["remedy"], f"{item['code']} does not lead to the finding")
    bench.record(f"start with {NOBODY}", sentence, words)


@scenario
def a_vf_in_two_vms_is_foretold(bench: Bench) -> None:
    """A VF that a running domain has: `node who` names the holder, and libvirt refuses the second domain."""
    with bench.running(domain("holder", hostdev(VF))):
        holders = passgate_json("node", "who", str(VF), "--connect", "qemu:///system")["items"]
        names = {holder["how"]: holder["guest"] or holder["who"] for holder in holders}
        known = {"open": "holder", "told": "holder", "domain": "holder", "enabled": pci.VFIO}
        expect(names == known, f"node who knows {holders}")
        machine = _look()
        found = [one for one in check(machine, [VF], held={VF: "domain holder"}) if one.code == "device-in-use"]
        words = bench.forced(domain("latecomer", hostdev(VF)))
    _foretold(bench, machine, found, words)


@scenario
def a_pf_with_vfs_is_foretold(bench: Bench) -> None:
    """A PF whose VFs exist: libvirt takes it without a word, and the VFs are gone."""
    sentence = _refused(PF, "pf-with-vfs")
    part = next(part for part in topology.SRIOV if part.address == PF)
    try:
        words = bench.forced(domain("taker", hostdev(PF, managed=True)))
        gone = [str(part.vf(number)) for number in range(part.vfs) if not pci.directory(part.vf(number)).exists()]
    finally:
        _vfs_again(part)
    expect(not words and len(gone) == part.vfs, f"libvirt said {words!r}; gone are {gone}")
    bench.record(f"start with {PF}, managed='yes'", sentence, f"it starts; the kernel: no {', '.join(gone)} any more")


def _refused_and_forced(bench: Bench, address: PciAddress, code: str) -> None:
    """Passgate refuses, libvirt or QEMU do too when forced: with the words that the finding foretells."""
    sentence = _refused(address, code)
    words = bench.forced(domain("forced", hostdev(address)))
    machine = _look()
    found = [finding for finding in verdict_of(machine, address).findings if finding.code == code]
    expect([one for one in found if one.message in sentence], f"{code} says {found}; inject says {sentence}")
    _foretold(bench, machine, found, words)


def _refused(address: PciAddress, code: str) -> str:
    sentence = refusal("--host", "/", "--device", str(address), given=small("refused"))
    expect(sentence.endswith(f"[{code}]"), f"{address} should be refused for {code}: {sentence}")
    return sentence


def _foretold(bench: Bench, machine: Machine, found: list[Any], words: str) -> None:
    """The finding's predicted words are in what was really said, and that leads back to the finding."""
    if not found:
        raise Mismatch("there is no such finding")
    (finding,) = found
    expect(words, f"it started; {finding.code} was foretold")
    expect(
        any(text in words for text in predict_texts(machine, finding)),
        f"foretold {predict_texts(machine, finding)}: {words}",
    )
    explained = [item["code"] for item in passgate_json("node", "explain", words)["items"]]
    expect(finding.code in explained, f"node explain takes {words!r} for {explained}")
    bench.record(f"start with {finding.subject}", f"{finding.message} [{finding.code}]", words)


def _vfs_again(part: topology.Part) -> None:
    """As the host was prepared, once the PF's own driver has it back."""
    for _ in range(TURNS):
        if pci.driver(part.address) == part.model:
            break
        time.sleep(PAUSE)
    pci.create_vfs(part.address, part.vfs)
    pci.bind(part.vf(0))


def _look() -> Machine:
    with Host("/") as host:
        return scan(host)


def _kind(machine: Machine, address: PciAddress) -> str:
    function = machine.functions[address]
    return f"{function.role}, {function.driver or 'no driver'}"
