"""Plugins of KubeVirt: whether the releases that are looked at know their words, and what one does to VMs beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from domxml.finding import Finding, Severity
from domxml.text import listed
from hostdev.findings.admission import GATE_CLOSED
from hostdev.findings.plugins import PLUGIN_BY_RELEASE, PLUGIN_DROPS_MODE
from hostdev.lint.admission.releases import GATES, Cluster, shown
from hostdev.lint.admission.rule import at
from hostdev.lint.objects import Object
from hostdev.vmi.vmi import TEMPLATES

_GATE = GATES["Plugins"]
_FIRST, _SECOND = "domainHooks", "launcherHooks"
"""What virt-launcher's hooks are called in the first alpha, and in the second, which no release has."""
_MOST_NAMES = 3


def plugin_findings(plugin: Object, cluster: Cluster, vms: Sequence[Object]) -> Iterator[Finding]:
    """What is wrong with one Plugin in these releases, and with VMs that shall run beside it."""
    having = [release for release in cluster.releases if release in _GATE.releases]
    without = [release for release in cluster.releases if release not in having]
    if without:
        severity = Severity.INFO if having else Severity.ERROR
        yield PLUGIN_BY_RELEASE.found("kind", f"{shown(without)} has no Plugin", severity=severity)
    if not having:
        return
    yield from _hooks(plugin, having)
    yield from _gate(having, cluster)
    holders = [str(vm) for vm in vms if _has_host_devices(vm)]
    if holders:
        names = listed(holders[:_MOST_NAMES]) if len(holders) <= _MOST_NAMES else f"{len(holders)} VMs"
        have = "has" if len(holders) == 1 else "have"
        yield PLUGIN_DROPS_MODE.found("kind", f"{names} beside it {have} PCI host devices in the spec")


def _hooks(plugin: Object, having: Sequence[int]) -> Iterator[Finding]:
    spec = plugin.value.get("spec")
    there = [name for name in (_FIRST, _SECOND) if isinstance(spec, dict) and name in spec]
    if _SECOND in there:
        what = f"{shown(having)} does not know launcherHooks, and drops it: the hook is never called"
        if _FIRST in there:
            what = "domainHooks and launcherHooks are words of two alphas, and no release knows both"
        yield PLUGIN_BY_RELEASE.found(f"spec.{_SECOND}", what)


def _gate(having: Sequence[int], cluster: Cluster) -> Iterator[Finding]:
    """A Plugin is accepted whatever the gate is; without it nothing calls the hooks."""
    opened = {cluster.is_open(_GATE, release) for release in having}
    if opened == {True}:
        return
    severity = Severity.INFO if None in opened else Severity.ERROR
    what = f"needs the feature gate {_GATE.name}; without it the Plugin is there, and nothing calls its hooks"
    yield GATE_CLOSED.found("kind", what, hint="deploy/kubevirt/gates plugin", severity=severity)


def _has_host_devices(vm: Object) -> bool:
    """Those that KubeVirt itself puts into the domain."""
    devices = at(vm.value, ".".join((*TEMPLATES.get(vm.kind, ()), "spec.domain.devices")))
    if not isinstance(devices, dict):
        return False
    interfaces = devices.get("interfaces")
    sriov = isinstance(interfaces, list) and any(isinstance(one, dict) and "sriov" in one for one in interfaces)
    return sriov or bool(devices.get("gpus") or devices.get("hostDevices"))
