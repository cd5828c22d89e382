"""What Passgate sees of the host, beside what the kernel, lspci and libvirt say, of every device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.vmhost.inside import facts, pci
from tests.vmhost.inside.facts import Facts
from tests.vmhost.inside.product import passgate_json
from tests.vmhost.inside.scenario import expect, scenario

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

NODE_DEVICE = "`virsh nodedev-dumpxml`"
HARMLESS = {None, pci.VFIO, "pcieport"}
"""Drivers that another member of a group may be on."""


@scenario
def the_list_is_what_the_kernel_says(bench: Bench) -> None:
    """`node list` shows ids, class, driver, group, NUMA node and SR-IOV relations as sysfs does."""
    _compare(bench, facts.of_passgate(), facts.of_kernel(), "the kernel")


@scenario
def the_list_is_what_lspci_says(bench: Bench) -> None:
    """`node list` shows what lspci shows."""
    _compare(bench, facts.of_passgate(), facts.of_lspci(), "`lspci -Dvmmnk`")


@scenario
def the_list_is_what_libvirt_says(bench: Bench) -> None:
    """`node list` shows what libvirt's node devices show."""
    _compare(bench, facts.of_passgate(), facts.of_libvirt(bench.connection), NODE_DEVICE)


@scenario
def the_groups_are_what_libvirt_says(bench: Bench) -> None:
    """`node groups` has the members that libvirt's node devices have."""
    groups = passgate_json("node", "groups", "--host", "/")["items"]
    inside = {group["id"]: sorted(member["address"] for member in group["members"]) for group in groups}
    said = {address: {"members": members} for members in inside.values() for address in members}
    devices = facts.node_devices(bench.connection).items()
    _compare(
        bench, said, {address: {"members": sorted(facts.members(device))} for address, device in devices}, NODE_DEVICE
    )


@scenario
def the_doctor_knows_the_host(bench: Bench) -> None:
    """`node doctor` tells of firmware, IOMMU, groups, modules and VFIO what the kernel shows."""
    # 1: one of the devices set aside is the display, whose group is not viable.
    checks = passgate_json("node", "doctor", "--host", "/", code=1)["checks"]
    said = {check["name"]: check for check in checks if check["subject"] == "host"}
    modules = {line.split()[0] for line in Path("/proc/modules").read_text().splitlines()}
    kernel = {
        "firmware": "DMAR" if Path("/sys/firmware/acpi/tables/DMAR").exists() else "no table",
        "iommu-units": ", ".join(sorted(path.name for path in Path("/sys/class/iommu").iterdir())),
        "iommu-groups": f"{len(pci.groups())} IOMMU groups",
        "modules": ", ".join(sorted(name for name in modules if name.startswith("vfio"))),
        "nodes": "/dev/vfio/vfio" if Path("/dev/vfio/vfio").is_char_device() else "no node",
    }
    for name, words in kernel.items():
        check = said[name]
        right = check["status"] == "PASS" and words in check["detail"]
        expect(right, f"{name}: the doctor says {check['status']}: {check['detail']}; the kernel has {words}")
        bench.record(f"`node doctor`: {check['title']}", check["detail"], f"the kernel: {words}")


@scenario
def the_doctor_knows_every_device(bench: Bench) -> None:
    """`node doctor` passes and fails role, group and driver of each device by what libvirt's node devices show."""
    devices = facts.node_devices(bench.connection)
    # 1: no host is without devices that must not go.
    told = passgate_json("node", "doctor", *sorted(devices), "--host", "/", code=1)["checks"]
    said = {(check["subject"], check["name"]): check for check in told}
    drivers = {address: device.findtext("driver/name") for address, device in devices.items()}
    for address, device in devices.items():
        others = {drivers[member] for member in facts.members(device) if member != address}
        wanted = {"exists": True, "endpoint": False}
        if not facts.is_bridge(device):
            free = {"role": not facts.vfs(device), "driver": drivers[address] == pci.VFIO, "group": others <= HARMLESS}
            wanted = {"exists": True, **free}
        for name, right in wanted.items():
            check = said[address, name]
            expect((check["status"] != "FAIL") == right, f"{address}: {NODE_DEVICE}: {right}; the doctor: {check}")
    good = sum(check["status"] != "FAIL" for check in said.values())
    bench.record("`node doctor ADDRESS…`", f"{good} checks pass, {len(said) - good} fail", f"{NODE_DEVICE}: the same")


def _compare(bench: Bench, said: Mapping[str, Facts], seen: Mapping[str, Facts], who: str) -> None:
    """Every fact that others have is one of Passgate's, and the same."""
    expect(said.keys() == seen.keys(), f"Passgate and {who} differ in {sorted(said.keys() ^ seen.keys())}")
    wrong: list[Any] = [
        f"{address}: {key} is {said[address].get(key)!r}, {who} says {value!r}"
        for address, shown in sorted(seen.items())
        for key, value in shown.items()
        if said[address].get(key) != value
    ]
    expect(not wrong, "\n".join(wrong))
    keys = ", ".join(next(iter(seen.values())))
    bench.record("every device", f"{keys} of {len(said)} devices", f"{who}: the same")
