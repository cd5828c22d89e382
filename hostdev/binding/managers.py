"""Other programs that manage devices, by the files that they leave on a node."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from domxml.finding import Evidence, Finding, Severity
from domxml.text import printable
from hostdev.findings.binding import MANAGED_ELSEWHERE
from hostdev.holders.domains import defined_domains, running_domains
from hostdev.inventory.host import Host
from hostdev.inventory.machine import PciFunction
from hostdev.inventory.pciclasses import NETWORK, base
from hostdev.inventory.vfiodrivers import GENERIC

_SHOWN = 160
_NVIDIA = 0x10DE


class Trace(NamedTuple):
    """A file of a program, what stands there about the device, and what to do instead."""

    who: str
    what: str
    evidence: Evidence
    hint: str
    severity: Severity = Severity.ERROR


Find = Callable[[Host, str, PciFunction], Iterator[Trace]]
"""Looks below a root for what names a function."""


def managers_of(host: Host, function: PciFunction) -> Iterator[Finding]:
    """A finding for each program that manages the function, or will at the next boot."""
    root = host.node_root or ""
    for find in _TABLE:
        for trace in find(host, root, function):
            yield MANAGED_ELSEWHERE.found(
                str(function.address),
                f"{trace.who} {trace.what}",
                hint=trace.hint,
                severity=trace.severity,
                evidence=(trace.evidence,),
            )


def _driverctl(host: Host, root: str, function: PciFunction) -> Iterator[Trace]:
    file = f"{root}etc/driverctl.d/pci-{function.address}"
    driver = host.read(file)
    if driver is not None:
        what = f"puts it on {printable(driver)} at each boot and whenever it appears"
        yield Trace("driverctl", what, _evidence(file, driver), f"driverctl unset-override {function.address}")


def _sriov_operator(host: Host, root: str, function: PciFunction) -> Iterator[Trace]:
    directory = f"{root}etc/sriov-operator"
    port = function.physfn or function.address
    file = f"{directory}/pci/{port}"
    text = host.text(file, quiet=True)
    if text is not None:
        hint = f"change or remove the SriovNetworkNodePolicy that selects {port}; it makes VFs and binds them"
        yield Trace("the SR-IOV network operator", f"configured {port}", _evidence(file, text), hint)
    elif base(function.class_code) == NETWORK and host.exists(directory):
        what = f"runs on the node, and has not configured {port}"
        hint = "see that no SriovNetworkNodePolicy selects it: SriovNetworkNodeState is not to be seen from the node"
        evidence = _evidence(file, "(absent)")
        yield Trace("the SR-IOV network operator", what, evidence, hint, Severity.WARNING)


def _harvester(host: Host, root: str, function: PciFunction) -> Iterator[Trace]:
    file = f"{root}etc/harvester-release.yaml"
    text = host.text(file, quiet=True)
    if text is not None:
        what = "puts devices on vfio-pci for their PCIDeviceClaims, which are not to be seen from the node"
        hint = f"enable or disable passthrough of {function.address} in Harvester's PCI Devices (a PCIDeviceClaim)"
        yield Trace("Harvester", what, _evidence(file, text), hint)


def _gpu_operator(host: Host, root: str, function: PciFunction) -> Iterator[Trace]:
    directory = f"{root}run/nvidia/validations"
    names = host.names(directory) if function.vendor == _NVIDIA else None
    for name in names or ():
        if name in {"vfio-pci-ready", "vgpu-devices-ready", "vgpu-manager-ready"}:
            what = "prepares the node's GPUs for VMs"
            hint = "change the node's label nvidia.com/gpu.workload.config, or take the node out of the operator"
            yield Trace("NVIDIA's GPU operator", what, _evidence(f"{directory}/{name}", "(there)"), hint)


def _dra_drivers(host: Host, root: str, function: PciFunction) -> Iterator[Trace]:
    """Checkpoints of kubelet's plugins, and the container devices that they declared."""
    plugins = f"{root}var/lib/kubelet/plugins"
    files = [
        f"{plugins}/{plugin}/{name}"
        for plugin in host.names(plugins) or ()
        for name in host.names(f"{plugins}/{plugin}") or ()
        if name.endswith(".json")
    ]
    cdi = (f"{root}run/cdi", f"{root}etc/cdi")
    files += [f"{one}/{name}" for one in cdi for name in host.names(one) or () if name.endswith((".json", ".yaml"))]
    for file in files:
        text = host.text(file, quiet=True) or ""
        place = text.find(str(function.address))
        if place >= 0:
            who = f"the driver of resource claims {file.split('/')[-2]}" if "/plugins/" in file else "a CDI file"
            hint = "leave it to that driver, or exclude it in its configuration and let the claim end"
            yield Trace(who, "names it", _evidence(file, text[max(0, place - 40) :]), hint)


_RULES = ("etc/udev/rules.d", "run/udev/rules.d", "usr/local/lib/udev/rules.d")
_KERNEL = re.compile(r'\bKERNELS?=="([^"]+)"')
_ID = re.compile(r'\bATTRS?\{(vendor|device)\}=="(?:0x)?([0-9a-fA-F]{4})"')


def _udev_rules(host: Host, root: str, function: PciFunction) -> Iterator[Trace]:
    for directory in (f"{root}{one}" for one in _RULES):
        for name in host.names(directory) or ():
            for line in (host.text(f"{directory}/{name}", quiet=True) or "").splitlines():
                if "driver_override" in line and not line.lstrip().startswith("#") and _matches(line, function):
                    hint = f"take {function.address} out of {name}, and `udevadm control --reload`"
                    what = "writes its driver_override whenever it appears"
                    yield Trace("a rule of udev", what, _evidence(f"{directory}/{name}", line), hint)


def _matches(line: str, function: PciFunction) -> bool:
    names = _KERNEL.findall(line)
    wanted = {key: int(number, 16) for key, number in _ID.findall(line)}
    own = {"vendor": function.vendor, "device": function.device}
    by_name = all(any(fnmatchcase(str(function.address), one) for one in name.split("|")) for name in names)
    return bool(names or wanted) and by_name and all(own[key] == number for key, number in wanted.items())


_MODPROBE = ("etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d")
_OPTION = re.compile(r"^\s*options\s+vfio[-_]pci\s.*?\bids=(\S+)")
_PARAMETER = re.compile(r"(?:^|\s)vfio[-_]pci\.ids=(\S+)")


def _boot(host: Host, root: str, function: PciFunction) -> Iterator[Trace]:
    """What gives the model to vfio-pci from the boot on: no other program, but a change that does not last."""
    for file, line, ids in _ids_of_boot(host, root):
        if any(_is_model(one, function) for one in ids.strip("\"'").split(",")):
            what = f"gives every device of its model to {GENERIC}, now and at the next boot"
            hint = f"take {function.vendor:04x}:{function.device:04x} out of it, and update the initramfs"
            who = "the boot configuration"
            yield Trace(who, what, _evidence(file, line), hint, Severity.WARNING)


def _ids_of_boot(host: Host, root: str) -> Iterator[tuple[str, str, str]]:
    line = host.text("proc/cmdline", quiet=True) or ""
    for ids in _PARAMETER.findall(line):
        yield "proc/cmdline", f"vfio-pci.ids={ids}", ids
    for directory in (f"{root}{one}" for one in _MODPROBE):
        for name in host.names(directory) or ():
            for one in (host.text(f"{directory}/{name}", quiet=True) or "").splitlines():
                found = _OPTION.match(one)
                if found:
                    yield f"{directory}/{name}", one, found[1]


def _is_model(text: str, function: PciFunction) -> bool:
    """vendor:device[:subvendor[:subdevice[:class[:mask]]]], each in hexadecimal; what is left out fits any."""
    try:
        numbers = [int(part, 16) if part else None for part in text.split(":")]
    except ValueError:
        return False
    own = (function.vendor, function.device, function.subsystem_vendor, function.subsystem_device)
    return len(numbers) > 1 and all(
        number in {None, 0xFFFFFFFF, mine} for number, mine in zip(numbers[:4], own, strict=False)
    )


def _domains(host: Host, root: str, function: PciFunction) -> Iterator[Trace]:
    del root  # libvirt's directories are those of the host that is looked at
    for one in running_domains(host, function.address):
        if one.managed:
            what = f"took it for the domain {one.name}, and gives it back to the host at its end"
            yield Trace("libvirt", what, _evidence(one.file, "managed='yes'"), f"shut {one.name} off first")
    for one in defined_domains(host, function.address):
        if one.managed:
            what = f"takes it whenever the domain {one.name} starts, and gives it back to the host at its end"
            hint = f"write managed='no' into {one.name}"
            yield Trace("libvirt", what, _evidence(one.file, "managed='yes'"), hint, Severity.WARNING)


def _evidence(file: str, content: str) -> Evidence:
    plain = file.removeprefix("proc/1/root/")
    return Evidence(f"/{plain}", printable(" ".join(content.split()), _SHOWN))


_TABLE: tuple[Find, ...] = (
    _driverctl,
    _sriov_operator,
    _harvester,
    _gpu_operator,
    _dra_drivers,
    _udev_rules,
    _boot,
    _domains,
)
