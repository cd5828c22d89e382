"""What KubeVirt refuses of volumes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from hostdev.findings.admission import GATE_CLOSED, VOLUME_REFUSED
from hostdev.lint.admission.disks import DISKS, FILESYSTEMS, VOLUMES, target_of, volume_of
from hostdev.lint.admission.releases import since
from hostdev.lint.admission.rule import EMPTY, Hit, Rule, Subject, at, find_repeated, gate_rule

SOURCES = frozenset(
    {
        *("cloudInitConfigDrive", "cloudInitNoCloud", "configMap", "containerDisk", "containerPath", "dataVolume"),
        *("downwardAPI", "downwardMetrics", "emptyDisk", "ephemeral", "hostDisk", "memoryDump", "secret"),
        *("persistentVolumeClaim", "serviceAccount", "sysprep"),
    }
)
_CLOUD_INIT = ("cloudInitNoCloud", "cloudInitConfigDrive")
_LONGEST = 2048
_NAMED = {"configMap": "name", "secret": "secretName", "serviceAccount": "serviceAccountName"}
_GUARDED = ("/var/run/kubevirt", "/var/run/libvirt")


def _volumes(subject: Subject, source: str) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    for place, volume in subject.each(VOLUMES):
        if source in volume:
            yield place, volume, volume[source]


def _not_one_source(subject: Subject) -> Iterator[Hit]:
    for place, volume in subject.each(VOLUMES):
        if len(SOURCES & volume.keys()) != 1:
            yield place, {}


def _volume_twice(subject: Subject) -> Iterator[Hit]:
    for place, name in find_repeated(subject, VOLUMES):
        yield place, {"name": name}


def _nameless_data_volume(subject: Subject) -> Iterator[Hit]:
    for place, _, source in _volumes(subject, "dataVolume"):
        if not source.get("name"):
            yield f"{place}.dataVolume.name", {}


def _relative_path(subject: Subject) -> Iterator[Hit]:
    for place, _, source in _volumes(subject, "containerDisk"):
        if source.get("path") and not source["path"].startswith("/"):
            yield f"{place}.containerDisk.path", {}


def _host_disk(subject: Subject) -> Iterator[Hit]:
    for place, _, _ in _volumes(subject, "hostDisk"):
        yield place, {}


def _host_disk_type(subject: Subject) -> Iterator[Hit]:
    for place, _, source in _volumes(subject, "hostDisk"):
        if source.get("type") not in {"Disk", "DiskOrCreate"}:
            yield f"{place}.hostDisk.type", {"type": source.get("type", "")}


def _host_disk_capacity(subject: Subject) -> Iterator[Hit]:
    for place, _, source in _volumes(subject, "hostDisk"):
        if source.get("capacity") is not None and source.get("type") == "Disk":
            yield f"{place}.hostDisk.capacity", {}


def _host_disk_path(subject: Subject) -> Iterator[Hit]:
    for place, _, source in _volumes(subject, "hostDisk"):
        if not source.get("path"):
            yield f"{place}.hostDisk.path", {}


def _nameless(subject: Subject) -> Iterator[Hit]:
    for kind, key in _NAMED.items():
        for place, _, source in _volumes(subject, kind):
            if not source.get(key):
                yield f"{place}.{kind}.{key}", {"key": f"{kind}.{key}"}


def _accounts(subject: Subject) -> Iterator[Hit]:
    places = [place for place, _, _ in _volumes(subject, "serviceAccount")]
    if len(places) > 1:
        yield places[1], {}


def _seeds(subject: Subject) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for kind in _CLOUD_INIT:
        for place, _, source in _volumes(subject, kind):
            yield f"{place}.{kind}", source


def _written(source: Mapping[str, Any], *keys: str) -> int:
    """How many of some keys say something; a reference to a secret without a name says nothing."""
    return sum(bool(at(source, f"{key}.name") if key.endswith("Ref") else source.get(key)) for key in keys)


def _user_sources(subject: Subject) -> Iterator[Hit]:
    for place, source in _seeds(subject):
        if _written(source, "userData", "userDataBase64", "secretRef") > 1:
            yield place, {}


def _network_sources(subject: Subject) -> Iterator[Hit]:
    for place, source in _seeds(subject):
        if _written(source, "networkData", "networkDataBase64", "networkDataSecretRef") > 1:
            yield place, {}


def _no_seed(subject: Subject) -> Iterator[Hit]:
    keys = ("userData", "userDataBase64", "secretRef", "networkData", "networkDataBase64", "networkDataSecretRef")
    for place, source in _seeds(subject):
        if not _written(source, *keys):
            yield place, {}


def _bad_base64(subject: Subject) -> Iterator[Hit]:
    for place, source in _seeds(subject):
        for key in ("userDataBase64", "networkDataBase64"):
            if source.get(key) and _decoded(source[key]) is None:
                yield f"{place}.{key}", {}


def _long_seed(subject: Subject) -> Iterator[Hit]:
    for place, source in _seeds(subject):
        for what in ("userData", "networkData"):
            text = source.get(what) or ""
            data = text.encode(errors="replace") or _decoded(source.get(f"{what}Base64") or "") or b""
            if len(data) > _LONGEST:
                yield f"{place}.{what if text else what + 'Base64'}", {"what": what.lower(), "bytes": len(data)}


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        return None


def _metrics_gate(subject: Subject) -> Iterator[Hit]:
    for place, _, _ in _volumes(subject, "downwardMetrics"):
        yield place, {}


def _metrics_bus(subject: Subject) -> Iterator[Hit]:
    for place, disk in subject.each(DISKS):
        if "downwardMetrics" in (volume_of(subject, disk.get("name")) or EMPTY):
            target, settings = target_of(disk)
            if settings.get("bus", "virtio") != "virtio":
                yield f"{place}.{target}.bus", {"bus": settings["bus"]}


def _metrics_twice(subject: Subject) -> Iterator[Hit]:
    places = [place for place, _, _ in _volumes(subject, "downwardMetrics")]
    if len(places) > 1:
        yield places[1], {}


def _utility(subject: Subject) -> Iterator[Hit]:
    if subject.at("utilityVolumes"):
        yield "utilityVolumes", {}


def _path_as_disk(subject: Subject) -> Iterator[Hit]:
    disks = {disk.get("name") for _, disk in subject.each(DISKS)}
    filesystems = {filesystem.get("name") for _, filesystem in subject.each(FILESYSTEMS)}
    for place, volume, _ in _volumes(subject, "containerPath"):
        if volume.get("name") in disks or volume.get("name") not in filesystems:
            yield place, {"name": volume.get("name", "")}


def _guarded_path(subject: Subject) -> Iterator[Hit]:
    for place, _, source in _volumes(subject, "containerPath"):
        path = source.get("path") or ""
        if path.startswith(_GUARDED):
            yield f"{place}.containerPath.path", {}


def _relative_container_path(subject: Subject) -> Iterator[Hit]:
    for place, _, source in _volumes(subject, "containerPath"):
        if not (source.get("path") or "").startswith("/"):
            yield f"{place}.containerPath.path", {}


def _acpi_tables(subject: Subject) -> Iterator[Hit]:
    tables = subject.at("domain.firmware.acpi") or EMPTY
    for key in ("slicNameRef", "msdmNameRef"):
        if tables.get(key) and "secret" not in (volume_of(subject, tables[key]) or EMPTY):
            yield f"domain.firmware.acpi.{key}", {}


RULES = (
    Rule(VOLUME_REFUSED, _not_one_source, "must have exactly one source type set",
         "write one of containerDisk, dataVolume, persistentVolumeClaim, cloudInitNoCloud and so on"),
    Rule(VOLUME_REFUSED, _volume_twice, "two volumes must not have the same Name: '{name}'", "rename one of them"),
    Rule(VOLUME_REFUSED, _nameless_data_volume, "DataVolume 'name' must be set", "write dataVolume.name"),
    Rule(VOLUME_REFUSED, _relative_path, "must be an absolute path to a file without relative elements",
         "begin the path with /"),
    gate_rule(GATE_CLOSED, _host_disk, "HostDisk", "HostDisk feature gate is not enabled"),
    Rule(VOLUME_REFUSED, _host_disk_type, "has invalid value '{type}', allowed are 'Disk' or 'DiskOrCreate'",
         "write Disk or DiskOrCreate"),
    Rule(VOLUME_REFUSED, _host_disk_capacity, "capacity is allowed to pass only with type equal to 'DiskOrCreate'",
         "leave capacity out"),
    Rule(VOLUME_REFUSED, _host_disk_path, "hostDisk.path is required", "write the path on the node"),
    Rule(VOLUME_REFUSED, _nameless, "{key} is a required field", "write {key}"),
    Rule(VOLUME_REFUSED, _accounts, "must have max one serviceAccount volume set", "keep one of them"),
    Rule(VOLUME_REFUSED, _user_sources, "must have only one userdatasource set",
         "keep one of userData, userDataBase64, secretRef"),
    Rule(VOLUME_REFUSED, _network_sources, "must have only one networkdatasource set",
         "keep one of networkData, networkDataBase64, networkDataSecretRef"),
    Rule(VOLUME_REFUSED, _no_seed, "must have at least one userdatasource or one networkdatasource set",
         "write userData, or name a Secret with secretRef"),
    Rule(VOLUME_REFUSED, _bad_base64, "is not a valid base64 value", "write plain text without Base64 at the key"),
    Rule(VOLUME_REFUSED, _long_seed, "{what} exceeds 2048 byte limit: {bytes}",
         "put the data into a Secret, and name it with secretRef or networkDataSecretRef"),
    gate_rule(GATE_CLOSED, _metrics_gate, "DownwardMetrics",
          "downwardMetrics disks are not allowed: DownwardMetrics feature gate is not enabled"),
    Rule(VOLUME_REFUSED, _metrics_bus, "DownwardMetrics volume must be mapped to virtio bus, is on {bus}",
         "write `bus: virtio`"),
    Rule(VOLUME_REFUSED, _metrics_twice, "must have max one downwardMetric volume set", "keep one of them"),
    Rule(VOLUME_REFUSED, _utility,
         "cannot create VMI with utility volumes in spec, utility volumes can only be added via hotplug",
         "remove utilityVolumes", since("1.8")),
    Rule(VOLUME_REFUSED, _path_as_disk, "ContainerPath volume '{name}' must be mapped to a filesystem, not a disk",
         "add a filesystem of that name to domain.devices.filesystems", since("1.8"), vmi_only=True),
    Rule(VOLUME_REFUSED, _guarded_path, "ContainerPath is below a directory of KubeVirt's own", "choose another path",
         since("1.8"), vmi_only=True),
    Rule(VOLUME_REFUSED, _relative_container_path, "ContainerPath must be an absolute path", "begin it with /",
         since("1.8")),
    Rule(VOLUME_REFUSED, _acpi_tables, "acpi does not have a matching Volume, which must be a secret",
         "add a volume of that name with a secret"),
)  # fmt: skip
"""Volumes, in the order of KubeVirt's checks."""
