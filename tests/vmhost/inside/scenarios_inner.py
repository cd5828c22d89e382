"""A cluster inside VMs: what a VF and a PF are in a VM that is a node itself, with a virtual IOMMU and without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.vmhost.inside import guestboot, innervm, layers, pci
from tests.vmhost.inside.changes import port_shown
from tests.vmhost.inside.devices import VF
from tests.vmhost.inside.prepare import run
from tests.vmhost.inside.scenario import expect, scenario, thorough
from tests.vmhost.topology import BY_ID

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

PORT = BY_ID["igb1"].address


@thorough
@scenario
def a_node_that_is_a_vm_needs_a_virtual_iommu(bench: Bench) -> None:
    """Without one there are no groups, and vfio-pci takes nothing: the doctor says so, and sends none to firmware."""
    found = _looked_at(bench, iommu=False)
    vf, pf = found["vf"], found["pf"]
    expect(not found["groups"], f"there are {found['groups']} groups: {found}")
    _tell_apart(bench, vf, pf)
    for device, looked in (("the VF", vf), ("the PF", pf)):
        said = _error(looked["doctor"], "no-iommu")
        expect("a VM of QEMU" in said and "virtual IOMMU" in said, said)
        bench.record(f"node doctor, of {device}", "no-iommu: the VM needs a virtual IOMMU", said)
    refused = _error(vf["bind"], "no-iommu")
    expect(vf["bind"]["said"]["outcome"] == "refused", f"bind: {vf['bind']}")
    bench.record("node bind, of the VF", "refused: no-iommu", refused)
    expect("no driver" in vf["kernel"], f"vfio-pci by hand: {vf['kernel']}")
    bench.record("vfio-pci by hand", "it does not take the VF", f"the inner kernel: {vf['kernel']}")
    bench.record("a holder of the VF, as a VM is one", "it cannot have it", vf["held"].partition(":")[0])


@thorough
@scenario
def a_virtual_iommu_makes_a_node_of_a_vm(bench: Bench) -> None:
    """With one a VF goes to vfio-pci and can be opened; a PF shows no SR-IOV, and makes no VFs."""
    found = _looked_at(bench, iommu=True)
    vf, pf = found["vf"], found["pf"]
    expect(found["groups"], f"there are no groups: {found}")
    _tell_apart(bench, vf, pf)
    alone = (vf["alone"], pf["alone"])
    expect(alone == (True, True), f"alone in their groups: {alone}")
    bench.record("IOMMU groups", "each device alone", "the inner kernel: the VF alone, the PF alone")
    before = [one["code"] for one in _findings(vf["doctor"]) if one["severity"] == "error"]
    bench.record("node doctor, of the VF on igbvf", "not-bound-to-vfio", ", ".join(before))
    expect(before == ["not-bound-to-vfio"], f"doctor: {vf['doctor']}")
    expect(vf["bind"]["said"]["outcome"] == "done", f"bind: {vf['bind']}")
    bench.record("node bind, of the VF", "done", f"the inner kernel: {vf['kernel']}")
    expect(vf["held"] == "it can be opened", vf["held"])
    bench.record("a holder of the VF, as a VM is one", "it can be opened", f"the inner kernel: {vf['held']}")
    expect(not vf["after"]["code"], f"doctor afterwards: {vf['after']}")
    bench.record("node doctor, of the VF on vfio-pci", "good", "exit code 0")


def _tell_apart(bench: Bench, vf: Mapping[str, Any], pf: Mapping[str, Any]) -> None:
    """A PF in a VM is no PF, and a VF no VF."""
    for name, looked, driver in (("the VF", vf, "igbvf"), ("the PF", pf, "igb")):
        signs = {key: looked[key] for key in ("driver", "physfn", "sriov", "sriovCapability")}
        expect(signs == {"driver": driver, "physfn": False, "sriov": False, "sriovCapability": False}, f"{signs}")
        said = f"on {driver}; no physfn, no sriov_totalvfs, no SR-IOV capability"
        bench.record(f"{name} of the host, in the VM", "an ordinary function", f"the inner kernel: {said}")
    said = _error(pf["vfs"], "no-vfs-possible")
    expect("VFs are made where the VM runs" in said, said)
    bench.record("node vfs, of the PF", "refused: no-vfs-possible", said)


def _findings(told: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Of a command's JSON, wherever they stand in it."""
    todo: list[Any] = [told["said"]]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            if {"code", "severity", "message"} <= one.keys():
                yield one
            todo += one.values()
        elif isinstance(one, list):
            todo += reversed(one)


def _error(told: Mapping[str, Any], code: str) -> str:
    found = [one for one in _findings(told) if one["code"] == code]
    expect(found, f"{code} is not told: {told}")
    return f"{code}: {found[0]['message']}: {found[0]['hint']}"


def _looked_at(bench: Bench, *, iommu: bool) -> Mapping[str, Any]:
    guestboot.prepared()
    with _whole(PORT):
        return innervm.looked_at(bench, VF, PORT, iommu=iommu)


@contextmanager
def _whole(port: Any) -> Iterator[None]:
    """A PF is on vfio-pci for a while, without VFs."""
    before = port_shown(port)
    (pci.directory(port) / "sriov_numvfs").write_text("0")
    pci.bind(port)
    try:
        yield
    finally:
        pci.release(port)
        layers.wait((pci.directory(port) / "net").is_dir)
        pci.create_vfs(port, BY_ID["igb1"].vfs)
        pci.bind(BY_ID["igb1"].vf(0))
        run("udevadm", "settle")
    expect(port_shown(port) == before, f"{port} is {port_shown(port)}, it was {before}")
