"""What an instance type, a preference, a preset and KubeVirt itself add to a VM before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hostdev.kubevirt.spec import EMPTY, get_list, get_map, target_of


def add_defaults(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """A VMI without interfaces and networks gets the pod network."""
    devices = get_map(spec, "domain", "devices")
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


_PREFERRED = {
    "preferredUseVirtioTransitional": "useVirtioTransitional",
    "preferredAutoattachMemBalloon": "autoattachMemBalloon",
    "preferredAutoattachGraphicsDevice": "autoattachGraphicsDevice",
    "preferredAutoattachSerialConsole": "autoattachSerialConsole",
    "preferredAutoattachPodInterface": "autoattachPodInterface",
    "preferredAutoattachInputDevice": "autoattachInputDevice",
    "preferredRng": "rng",
    "preferredTPM": "tpm",
}
"""What a preference says of the devices, and what of the spec it stands for where the VM says nothing."""
_BUSES = {"disk": "preferredDiskBus", "cdrom": "preferredCdromBus", "lun": "preferredLunBus"}


def with_preference(spec: Mapping[str, Any], preference: Mapping[str, Any]) -> Mapping[str, Any]:
    """A VMI's spec with what a preference says where the VM says nothing."""
    domain = dict(get_map(spec, "domain"))
    features = dict(get_map(domain, "features"))
    smm = get_map(preference, "features").get("preferredSmm")
    if smm is not None:
        features.setdefault("smm", smm)
    efi = get_map(preference, "firmware").get("preferredEfi")
    if efi is None and get_map(preference, "firmware").get("preferredUseEfi"):
        efi = {"secureBoot": bool(get_map(preference, "firmware").get("preferredUseSecureBoot"))}
    firmware = dict(get_map(domain, "firmware"))
    if efi is not None and not firmware.get("bootloader"):
        firmware["bootloader"] = {"efi": efi}
    machine = get_map(preference, "machine").get("preferredMachineType")
    if machine and not get_map(domain, "machine").get("type"):
        domain["machine"] = {"type": machine}
    domain |= {"features": features, "firmware": firmware}
    return {**spec, "domain": {**domain, "devices": _preferred(domain, get_map(preference, "devices"))}}


def _preferred(domain: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    devices = dict(get_map(domain, "devices"))
    for key, name in _PREFERRED.items():
        if wanted.get(key) is not None and devices.get(name) is None:
            devices[name] = wanted[key]
    if wanted.get("preferredDisableHotplug") is not None:
        # The one wish that wins over what the VM says.
        devices["disableHotplug"] = wanted["preferredDisableHotplug"]
    if isinstance(devices.get("disks"), list):
        devices["disks"] = [_on_bus(disk, wanted) for disk in devices["disks"]]
    devices |= _filled(devices, "interfaces", {"model": wanted.get("preferredInterfaceModel")})
    inputs = {"bus": wanted.get("preferredInputBus"), "type": wanted.get("preferredInputType")}
    devices |= _filled(devices, "inputs", inputs)
    model = wanted.get("preferredSoundModel")
    if model and get_map(devices, "sound"):
        devices["sound"] = {"model": model, **get_map(devices, "sound")}
    return devices


def _filled(devices: Mapping[str, Any], key: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Devices of a list, with values for what they do not say."""
    found, written = devices.get(key), _written(values)
    if not isinstance(found, list) or not written:
        return EMPTY
    missing = [
        {**one, **{k: v for k, v in written.items() if not one.get(k)}} for one in found if isinstance(one, dict)
    ]
    return {key: missing}


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
    exact = get_map(selector, "matchLabels")
    rules = get_list(selector, "matchExpressions")
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


def _on_bus(disk: Any, wanted: Mapping[str, Any]) -> Any:
    if not isinstance(disk, Mapping):
        return disk
    kind, settings = target_of(disk)
    bus = wanted.get(_BUSES[kind])
    if not bus or settings.get("bus"):
        return disk
    return {**disk, kind: {**settings, "bus": bus}}


def _written(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
