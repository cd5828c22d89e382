"""What KubeVirt refuses of disks, file systems and I/O threads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hostdev.findings.admission import DISK_REFUSED, GATE_CLOSED
from hostdev.lint.admission.interfaces import INTERFACES
from hostdev.lint.admission.releases import since, until
from hostdev.lint.admission.rule import ARM64, EMPTY, Hit, Rule, Subject, at, find_repeated, gate_rule

DISKS, FILESYSTEMS, VOLUMES = "domain.devices.disks", "domain.devices.filesystems", "volumes"
TARGETS = ("disk", "lun", "cdrom")
_BUSES = ("virtio", "scsi", "sata", "usb")
_CACHES = ("none", "writethrough", "writeback")
_IO = ("native", "threads")
_ERRORS = ("stop", "ignore", "report", "enospace")
_POLICIES = ("shared", "auto", "supplementalPool")
_SERIAL = re.compile(r"[A-Za-z0-9_.+-]+", re.ASCII)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.ASCII)
_PCI = re.compile(r"[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]", re.ASCII)


def volume_of(subject: Subject, name: object) -> Mapping[str, Any] | None:
    """The volume that the spec gives this name, if it does."""
    return next((volume for _, volume in subject.each(VOLUMES) if volume.get("name") == name), None)


def target_of(disk: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """What a disk is, with its settings; without a word it is a disk."""
    return next(((target, disk[target]) for target in TARGETS if target in disk), ("disk", EMPTY))


def _without_volume(subject: Subject) -> Iterator[Hit]:
    for place, disk in subject.each(DISKS):
        if "cdrom" not in disk and volume_of(subject, disk.get("name")) is None:
            yield f"{place}.name", {"name": disk.get("name", "")}


def _empty_cdrom(subject: Subject) -> Iterator[Hit]:
    for place, disk in subject.each(DISKS):
        if "cdrom" in disk and volume_of(subject, disk.get("name")) is None:
            yield f"{place}.name", {"name": disk.get("name", "")}


def _disk_twice(subject: Subject) -> Iterator[Hit]:
    for place, name in find_repeated(subject, DISKS):
        yield place, {"name": name}


def _strange_name(subject: Subject) -> Iterator[Hit]:
    for place, disk in subject.each(DISKS):
        name = disk.get("name") or ""
        if len(name) > 63 or not _LABEL.fullmatch(name):
            yield f"{place}.name", {"name": name[:80]}


def _buses(subject: Subject) -> Iterator[tuple[str, str, str]]:
    for place, disk in subject.each(DISKS):
        target, settings = target_of(disk)
        yield f"{place}.{target}.bus", target, settings.get("bus") or ""


def _ide(subject: Subject) -> Iterator[Hit]:
    for place, _, bus in _buses(subject):
        if bus == "ide":
            yield place, {}


def _strange_bus(subject: Subject) -> Iterator[Hit]:
    for place, _, bus in _buses(subject):
        if bus and bus not in {*_BUSES, "ide"}:
            yield place, {"bus": bus, "buses": ", ".join(_BUSES)}


def _virtio_cdrom(subject: Subject) -> Iterator[Hit]:
    for place, target, bus in _buses(subject):
        if target == "cdrom" and bus == "virtio":
            yield place, {}


def _readonly_sata(subject: Subject) -> Iterator[Hit]:
    for place, disk in subject.each(DISKS):
        if at(disk, "disk.bus") == "sata" and at(disk, "disk.readonly"):
            yield f"{place}.disk.bus", {}


def _two_targets(subject: Subject) -> Iterator[Hit]:
    for place, disk in subject.each(DISKS):
        if sum(target in disk for target in TARGETS) > 1:
            yield place, {}


def _lun_of_an_image(subject: Subject) -> Iterator[Hit]:
    for place, disk in subject.each(DISKS):
        volume = volume_of(subject, disk.get("name"))
        if "lun" in disk and volume is not None and not {"dataVolume", "persistentVolumeClaim"} & volume.keys():
            yield f"{place}.lun", {}


def _reservation(subject: Subject) -> Iterator[Hit]:
    is_on = at(subject.switches, "persistentReservationConfiguration.enabled")
    for place, disk in subject.each(DISKS):
        if at(disk, "lun.reservation") and not is_on:
            yield f"{place}.lun.reservation", {}


def _boot_order_zero(subject: Subject) -> Iterator[Hit]:
    for place, disk in subject.each(DISKS):
        if disk.get("bootOrder") == 0:
            yield f"{place}.bootOrder", {}


def _boot_order_twice(subject: Subject) -> Iterator[Hit]:
    met: set[int] = set()
    for path in (DISKS, INTERFACES):
        for place, device in subject.each(path):
            order = device.get("bootOrder")
            if order and order in met:
                yield f"{place}.bootOrder", {"order": order}
            met.add(order or 0)


def _address(subject: Subject) -> Iterator[Hit]:
    for place, disk in subject.each(DISKS):
        target, settings = target_of(disk)
        if settings.get("pciAddress") and settings.get("bus") != "virtio":
            yield f"{place}.{target}.pciAddress", {}


def _malformed_address(subject: Subject) -> Iterator[Hit]:
    for place, disk in subject.each(DISKS):
        target, settings = target_of(disk)
        address = settings.get("pciAddress")
        if address and settings.get("bus") == "virtio" and not _PCI.fullmatch(address):
            yield f"{place}.{target}.pciAddress", {"address": address}


def _long_serial(subject: Subject) -> Iterator[Hit]:
    for place, disk in subject.each(DISKS):
        if len(disk.get("serial") or "") > 256:
            yield f"{place}.serial", {}


def _strange_serial(subject: Subject) -> Iterator[Hit]:
    for place, disk in subject.each(DISKS):
        if disk.get("serial") and not _SERIAL.fullmatch(disk["serial"]):
            yield f"{place}.serial", {}


def _words(subject: Subject) -> Iterator[Hit]:
    for place, disk in subject.each(DISKS):
        for key, known in (("cache", _CACHES), ("io", _IO), ("errorPolicy", _ERRORS)):
            if disk.get(key) and disk[key] not in known:
                yield f"{place}.{key}", {"value": disk[key], "known": ", ".join(known)}


def _threaded(subject: Subject) -> Iterator[tuple[str, str]]:
    for place, disk in subject.each(DISKS):
        if disk.get("dedicatedIOThread"):
            yield f"{place}.dedicatedIOThread", target_of(disk)[1].get("bus") or ""


def _thread_elsewhere(subject: Subject) -> Iterator[Hit]:
    for place, bus in _threaded(subject):
        if bus not in {"", "virtio"}:
            yield place, {"bus": bus}


def _thread_without_bus(subject: Subject) -> Iterator[Hit]:
    if subject.architecture != ARM64:
        for place, bus in _threaded(subject):
            if not bus:
                yield place, {}


def _block_size(subject: Subject) -> Iterator[Hit]:
    for place, disk in subject.each(DISKS):
        sizes = at(disk, "blockSize.custom") or EMPTY
        for key in ("logical", "physical"):
            size = sizes.get(key)
            if size is not None and (size & (size - 1) or not 512 <= size <= 2 << 20):
                yield f"{place}.blockSize.custom.{key}", {"size": size}


def _block_order(subject: Subject) -> Iterator[Hit]:
    for place, disk in subject.each(DISKS):
        sizes = at(disk, "blockSize.custom") or EMPTY
        if (sizes.get("logical") or 0) > (sizes.get("physical") or sizes.get("logical") or 0):
            yield f"{place}.blockSize.custom.logical", {}


def _threads_policy(subject: Subject) -> Iterator[Hit]:
    policy = subject.at("domain.ioThreadsPolicy")
    if policy and policy not in _POLICIES:
        yield "domain.ioThreadsPolicy", {"policy": policy, "policies": ", ".join(_POLICIES)}


def _pool_without_count(subject: Subject) -> Iterator[Hit]:
    pooled = subject.at("domain.ioThreadsPolicy") == "supplementalPool"
    if pooled and not subject.at("domain.ioThreads.supplementalPoolThreadCount"):
        yield "domain.ioThreads.supplementalPoolThreadCount", {}


def _sata_on_arm64(subject: Subject) -> Iterator[Hit]:
    if subject.architecture == ARM64:
        for place, _, bus in _buses(subject):
            if bus == "sata":
                yield place, {}


def _shared(subject: Subject, sources: tuple[str, ...]) -> Iterator[Hit]:
    for place, filesystem in subject.each(FILESYSTEMS):
        volume = volume_of(subject, filesystem.get("name")) or EMPTY
        if any(source in volume for source in sources):
            yield place, {}


def _shared_storage(subject: Subject) -> Iterator[Hit]:
    yield from _shared(subject, ("persistentVolumeClaim", "dataVolume"))


def _shared_config(subject: Subject) -> Iterator[Hit]:
    yield from _shared(subject, ("configMap", "secret", "serviceAccount", "downwardAPI"))


_ADD_VOLUME = "add a volume of the same name to spec.volumes, or correct the name"
RULES = (
    Rule(DISK_REFUSED, _without_volume, "no volume: the disk '{name}' not found among the volumes", _ADD_VOLUME),
    Rule(DISK_REFUSED, _empty_cdrom, "no volume: the CD-ROM '{name}' not found among the volumes", _ADD_VOLUME,
         until("1.5")),
    gate_rule(GATE_CLOSED, _empty_cdrom, "DeclarativeHotplugVolumes",
          "DeclarativeHotplugVolumes feature gate not enabled, cannot define an empty CD-ROM disk"),
    Rule(DISK_REFUSED, _disk_twice, "two disks must not have the same Name: '{name}'", "rename one, with its volume"),
    Rule(DISK_REFUSED, _strange_name,
         "'{name}' is no name of a disk: at most 63 lower-case letters, digits and dashes",
         "rename the disk and its volume"),
    Rule(DISK_REFUSED, _ide, "IDE bus is not supported", "write sata, or virtio where the guest has its driver"),
    Rule(DISK_REFUSED, _strange_bus, "is set with an unrecognized bus {bus}", "write one of {buses}"),
    Rule(DISK_REFUSED, _virtio_cdrom, "Bus type virtio is invalid for CD-ROM device", "write sata or scsi"),
    Rule(DISK_REFUSED, _readonly_sata, "sata hard-disks do not support read-only", "use virtio, scsi or a cdrom"),
    Rule(DISK_REFUSED, _two_targets, "can only have a single target type defined", "keep one of disk, lun, cdrom"),
    Rule(DISK_REFUSED, _lun_of_an_image,
         "a lun can only be mapped to a DataVolume or PersistentVolumeClaim volume", "write disk instead of lun"),
    gate_rule(GATE_CLOSED, _reservation, "PersistentReservation",
          "PersistentReservation feature gate is not enabled", until("1.8")),
    gate_rule(GATE_CLOSED, _reservation, "PersistentReservation",
          "persistent reservation is not enabled in kubevirt config", since("1.9")),
    Rule(DISK_REFUSED, _boot_order_zero, "must have a boot order > 0, if supplied", "count from 1"),
    Rule(DISK_REFUSED, _boot_order_twice, "Boot order {order} already set for a different device",
         "give each device its own number"),
    Rule(DISK_REFUSED, _address, "setting a PCI address is only possible with bus type virtio", "write `bus: virtio`"),
    Rule(DISK_REFUSED, _malformed_address, "malformed PCI address ({address})",
         "write domain:bus:slot.function, as in 0000:0a:00.0"),
    Rule(DISK_REFUSED, _long_serial, "serial must be less than or equal to 256 in length", "shorten it"),
    Rule(DISK_REFUSED, _strange_serial, "serial must be made up of letters, digits and _.+-", "correct it"),
    Rule(DISK_REFUSED, _words, "has invalid value {value}", "write one of {known}"),
    Rule(DISK_REFUSED, _thread_elsewhere, "IOThreads are not supported for disks on a {bus} bus",
         "write `bus: virtio`, or leave dedicatedIOThread out"),
    Rule(DISK_REFUSED, _thread_without_bus,
         "IOThreads are not supported for disks on a sata bus, which a disk without a bus gets",
         "write `bus: virtio`", vmi_only=True),
    Rule(DISK_REFUSED, _block_size, "Provided size of {size} is not a power of 2 from 512 to 2097152",
         "write 512 or 4096"),
    Rule(DISK_REFUSED, _block_order, "the logical block size must not be above the physical one", "swap them"),
    Rule(DISK_REFUSED, _threads_policy, "Invalid IOThreadsPolicy ({policy})", "write one of {policies}"),
    Rule(DISK_REFUSED, _pool_without_count, "the number of iothreads must be set and be at least 1",
         "write ioThreads.supplementalPoolThreadCount"),
    Rule(DISK_REFUSED, _sata_on_arm64, "Arm64 not support this disk bus type, please use virtio or scsi",
         "write `bus: virtio`", vmi_only=True),
    gate_rule(GATE_CLOSED, _shared_storage, "EnableVirtioFsStorageVolumes",
          "virtiofs is not allowed: virtiofs feature gate is not enabled for PVC"),
    gate_rule(GATE_CLOSED, _shared_config, "EnableVirtioFsConfigVolumes",
          "virtiofs is not allowed: virtiofs feature gate is not enabled for config volumes"),
)  # fmt: skip
"""Disks, in the order of KubeVirt's checks."""
