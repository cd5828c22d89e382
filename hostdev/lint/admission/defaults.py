"""What KubeVirt's mutating webhooks add before anything is checked, as far as a rule can see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hostdev.lint.admission.rule import EMPTY, at


def add_defaults(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """A VMI without interfaces and networks gets the pod network."""
    devices = at(spec, "domain.devices") or EMPTY
    if devices.get("interfaces") or spec.get("networks") or devices.get("autoattachPodInterface") is False:
        return spec
    interfaces = [{"name": "default", "bridge": {}}]
    domain = {**(spec.get("domain") or EMPTY), "devices": {**devices, "interfaces": interfaces}}
    return {**spec, "domain": domain, "networks": [{"name": "default", "pod": {}}]}


def with_instancetype(spec: Mapping[str, Any], kind: Mapping[str, Any]) -> Mapping[str, Any]:
    """A VMI's spec with what an instance type brings."""
    domain = dict(spec.get("domain") or EMPTY)
    cpu, memory = kind.get("cpu") or EMPTY, kind.get("memory") or EMPTY
    brought = {
        "sockets": cpu.get("guest"),
        "dedicatedCpuPlacement": cpu.get("dedicatedCPUPlacement"),
        **{key: cpu.get(key) for key in ("isolateEmulatorThread", "numa", "realtime", "model", "maxSockets")},
    }
    domain["cpu"] = {**(domain.get("cpu") or EMPTY), **_written(brought)}
    kept = {key: memory.get(key) for key in ("guest", "hugepages", "maxGuest")}
    domain["memory"] = {**(domain.get("memory") or EMPTY), **_written(kept)}
    devices = dict(domain.get("devices") or EMPTY)
    for key in ("gpus", "hostDevices"):
        if kind.get(key):
            devices[key] = [*(devices.get(key) or ()), *kind[key]]
    domain["devices"] = devices
    domain.update(_written({key: kind.get(key) for key in ("launchSecurity", "ioThreadsPolicy", "ioThreads")}))
    return {**spec, "domain": domain}


def with_preference(spec: Mapping[str, Any], preference: Mapping[str, Any]) -> Mapping[str, Any]:
    """A VMI's spec with what a preference says where the VM says nothing."""
    domain = dict(spec.get("domain") or EMPTY)
    features = dict(domain.get("features") or EMPTY)
    smm = at(preference, "features.preferredSmm")
    if smm is not None:
        features.setdefault("smm", smm)
    efi = at(preference, "firmware.preferredEfi")
    if efi is None and at(preference, "firmware.preferredUseEfi"):
        efi = {"secureBoot": bool(at(preference, "firmware.preferredUseSecureBoot"))}
    firmware = dict(domain.get("firmware") or EMPTY)
    if efi is not None and not firmware.get("bootloader"):
        firmware["bootloader"] = {"efi": efi}
    machine = at(preference, "machine.preferredMachineType")
    if machine and not at(domain, "machine.type"):
        domain["machine"] = {"type": machine}
    devices = dict(domain.get("devices") or EMPTY)
    bus = at(preference, "devices.preferredDiskBus")
    if bus and devices.get("disks"):
        devices["disks"] = [_on_bus(disk, bus) for disk in devices["disks"]]
    return {**spec, "domain": {**domain, "features": features, "firmware": firmware, "devices": devices}}


def with_preset(spec: Mapping[str, Any], preset: Mapping[str, Any]) -> Mapping[str, Any]:
    """A VMI's spec with what a preset says of its domain where the VMI says nothing."""
    return {**spec, "domain": _merged(spec.get("domain") or EMPTY, preset.get("domain") or EMPTY)}


def _merged(mine: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    both = dict(mine)
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(both.get(key), Mapping):
            both[key] = _merged(both[key], value)
        else:
            both.setdefault(key, value)
    return both


def selects(selector: Any, labels: Mapping[str, Any]) -> bool:
    """Whether a label selector means an object; one that is empty means every object."""
    exact = at(selector, "matchLabels") or EMPTY
    rules = [rule for rule in at(selector, "matchExpressions") or () if isinstance(rule, Mapping)]
    return all(labels.get(key) == value for key, value in exact.items()) and all(_meets(rule, labels) for rule in rules)


def _meets(rule: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    there, value = rule.get("key") in labels, labels.get(str(rule.get("key")))
    values = rule.get("values") or ()
    return {
        "In": there and value in values,
        "NotIn": not there or value not in values,
        "Exists": there,
        "DoesNotExist": not there,
    }.get(str(rule.get("operator")), False)


def _on_bus(disk: Mapping[str, Any], bus: str) -> Mapping[str, Any]:
    settings = disk.get("disk")
    if settings is None or settings.get("bus"):
        return disk
    return {**disk, "disk": {**settings, "bus": bus}}


def _written(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
