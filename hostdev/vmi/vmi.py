"""The VM that is being started, as far as its devices go: a value read from KubeVirt's JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from hostdev.jsontext import Format, parse_json
from hostdev.jsonutil import JsonObject, as_object
from hostdev.vmi.resources import is_device_resource

CODE = "bad-vmi"
MAX_BYTES = 4 << 20
"""What gRPC lets through; etcd holds less."""
DOCUMENT = Format("the VMI", CODE, MAX_BYTES)

TEMPLATES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "VirtualMachineInstance": (),
        "VirtualMachine": ("spec", "template"),
        "VirtualMachineInstanceReplicaSet": ("spec", "template"),
        "VirtualMachinePool": ("spec", "virtualMachineTemplate", "spec", "template"),
    }
)
"""Where each kind of object keeps what becomes the VMI."""

BINDINGS = ("masquerade", "bridge", "sriov", "macvtap", "passt", "passtBinding", "slirp")
_CLOUD_INIT = ("cloudInitNoCloud", "cloudInitConfigDrive")
_NETWORK_DATA = ("networkData", "networkDataBase64", "networkDataSecretRef")
_TARGET_PHASES = frozenset({"Running", "WaitingForSync"})
"""The target of a migration between clusters is a VMI of its own that never was Scheduled."""


class SpecDevice(NamedTuple):
    """A GPU or host device of the spec, which KubeVirt puts into the domain by itself."""

    name: str
    place: str
    resource: str = ""
    """The device-plugin resource it comes from; empty when it comes from a DRA claim."""
    claim: str = ""
    claim_request: str = ""


class Interface(NamedTuple):
    """A network interface, with the network it is connected to."""

    name: str
    place: str
    binding: str = ""
    """How it is connected: `sriov`, `masquerade` and so on; empty for a plugin."""
    plugin: str = ""
    mac: str = ""
    guest: PciAddress | None = None
    boot_order: int | None = None
    acpi_index: int | None = None
    definition: str = ""
    """The NetworkAttachmentDefinition, for a Multus network."""
    claim: str = ""

    @property
    def is_sriov(self) -> bool:
        """KubeVirt gives the guest a VF for it."""
        return self.binding == "sriov"


class CloudInit(NamedTuple):
    """The volume with the guest's cloud-init data, of which KubeVirt reads the first."""

    place: str
    config_drive: bool = False
    """The older of its two formats, whose network data is OpenStack's."""
    network_data: bool = False
    """The VM's author has written network data, or refers to a secret with it."""


class Disk(NamedTuple):
    """A disk, as far as it takes places from others."""

    name: str
    place: str
    guest: PciAddress | None = None
    boot_order: int | None = None


class Vmi(NamedTuple):
    """One VMI. What the spec does not say is empty, or None."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    annotations: Mapping[str, str] = MappingProxyType({})
    architecture: str = ""
    machine: str = ""
    virtio_transitional: bool = False
    """Its virtio devices are conventional PCI devices for guests without virtio 1.0."""
    memory: int = 0
    """Bytes of guest memory."""
    gpus: tuple[SpecDevice, ...] = ()
    host_devices: tuple[SpecDevice, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    disks: tuple[Disk, ...] = ()
    cloud_init: CloudInit | None = None
    limits: Mapping[str, int] = MappingProxyType({})
    """Extended resources (those with a slash) that the spec asks for outright, with their counts."""
    requests: Mapping[str, int] = MappingProxyType({})
    claims: tuple[str, ...] = ()
    """The names of the spec's resourceClaims."""
    dedicated_cpus: bool = False
    guaranteed: bool = False
    """Its CPU and memory requests are its limits."""
    guest_numa: bool = False
    """guestMappingPassthrough: the guest sees the NUMA nodes it runs on."""
    locks_memory: bool = False
    """Something besides VFIO makes KubeVirt raise the limit of locked memory."""
    eviction_strategy: str = ""
    features: Mapping[str, bool] = MappingProxyType({})
    phase: str = ""
    migrating: bool = False
    """status.migrationState is set."""
    status: Mapping[str, Any] = MappingProxyType({})
    """As it is: DRA of KubeVirt 1.6 and 1.7 tells its devices there."""
    place: str = ""
    """Where it stands in the object it was read from: `spec.template` in a VM."""

    def __str__(self) -> str:
        return "/".join(part for part in (self.namespace, self.name) if part) or "the VM"

    @property
    def devices(self) -> tuple[SpecDevice, ...]:
        """The GPUs and host devices of the spec."""
        return (*self.host_devices, *self.gpus)

    @property
    def has_vfio(self) -> bool:
        """KubeVirt's own test for VFIO devices; one that only a hook adds does not count."""
        return bool(self.devices) or any(interface.is_sriov for interface in self.interfaces)

    @property
    def is_migration_target(self) -> bool:
        """The pod waits for a running VM to come; a pod that boots one sees the phase Scheduled."""
        return self.migrating and self.phase in _TARGET_PHASES

    @property
    def device_limits(self) -> Mapping[str, int]:
        """The resources of the limits for which the guest shall have devices, with their counts."""
        return {name: count for name, count in self.limits.items() if count and is_device_resource(name)}

    @property
    def asked(self) -> Mapping[str, int]:
        """How many of each resource the compute container asks kubelet for, as far as the spec alone tells."""
        return Counter(self.limits) + Counter(device.resource for device in self.devices if device.resource)

    def at(self, path: str) -> str:
        """A place in the object it was read from."""
        return f"{self.place}.{path}" if self.place else path


def parse_vmi(data: bytes) -> Vmi:
    """Read the JSON of a VMI, or of an object with a VMI's template in it."""
    return vmi_of(as_object(parse_json(data, DOCUMENT), "", CODE))


def vmi_of(document: JsonObject) -> Vmi:
    """The VMI in a KubeVirt object."""
    name = document.get_object("metadata").get_str("name") or ""
    template = document
    for key in TEMPLATES[kind_of(document)]:
        template = template.get_object(key)
    vmi = _vmi(template)
    return vmi if template is document else vmi._replace(name=vmi.name or name, namespace=_namespace(document))


def kind_of(document: JsonObject) -> str:
    """The object's kind; KubeVirt itself leaves it out when it talks to a hook."""
    kind = document.get_str("kind") or ""
    if not kind and document.has("spec"):
        return "VirtualMachine" if document.get_object("spec").has("template") else "VirtualMachineInstance"
    if kind not in TEMPLATES:
        what = "holds no kind and no spec" if not kind else f"is a {kind[:60]}"
        raise BadInput(CODE, f"{what}, not a VM", subject=document.path, hint=f"kinds read: {', '.join(TEMPLATES)}")
    return kind


def _namespace(document: JsonObject) -> str:
    return document.get_object("metadata").get_str("namespace") or ""


def _vmi(document: JsonObject) -> Vmi:
    metadata, spec, status = (document.get_object(key) for key in ("metadata", "spec", "status"))
    domain = spec.get_object("domain")
    cpu, devices = domain.get_object("cpu"), domain.get_object("devices")
    resources = domain.get_object("resources")
    networks = {network.get_str("name"): network for network in spec.get_objects("networks")}
    return Vmi(
        name=metadata.get_str("name") or "",
        namespace=_namespace(document),
        uid=metadata.get_str("uid") or "",
        annotations=metadata.get_texts("annotations"),
        architecture=spec.get_str("architecture") or "",
        machine=domain.get_object("machine").get_str("type") or "",
        virtio_transitional=devices.get_bool("useVirtioTransitional") or False,
        memory=_memory(domain),
        gpus=tuple(map(_device, devices.get_objects("gpus"))),
        host_devices=tuple(map(_device, devices.get_objects("hostDevices"))),
        interfaces=tuple(_interface(one, networks) for one in devices.get_objects("interfaces")),
        disks=tuple(map(_disk, devices.get_objects("disks"))),
        cloud_init=next(filter(None, map(_cloud_init, spec.get_objects("volumes"))), None),
        limits=_extended(resources.get_object("limits")),
        requests=_extended(resources.get_object("requests")),
        claims=tuple(claim.get_str("name") or "" for claim in spec.get_objects("resourceClaims")),
        dedicated_cpus=cpu.get_bool("dedicatedCpuPlacement") or False,
        guaranteed=_guaranteed(resources),
        guest_numa=cpu.get_object("numa").has("guestMappingPassthrough"),
        locks_memory=_locks_memory(domain),
        eviction_strategy=spec.get_str("evictionStrategy") or "",
        features=_features(domain.get_object("features")),
        phase=status.get_str("phase") or "",
        migrating=status.has("migrationState"),
        status=status.fields,
        place=document.path,
    )


def _device(device: JsonObject) -> SpecDevice:
    return SpecDevice(
        device.get_str("name") or "",
        device.path,
        device.get_str("deviceName") or "",
        device.get_str("claimName") or "",
        device.get_str("requestName") or "",
    )


def _interface(interface: JsonObject, networks: Mapping[str | None, JsonObject]) -> Interface:
    name = interface.get_str("name") or ""
    network = networks.get(name, JsonObject({}, "", CODE))
    return Interface(
        name,
        interface.path,
        binding=next((binding for binding in BINDINGS if interface.has(binding)), ""),
        plugin=interface.get_object("binding").get_str("name") or "",
        mac=interface.get_str("macAddress") or "",
        guest=_guest(interface),
        boot_order=interface.get_int("bootOrder"),
        acpi_index=interface.get_int("acpiIndex"),
        definition=network.get_object("multus").get_str("networkName") or "",
        claim=network.get_object("resourceClaim").get_str("claimName") or "",
    )


def _disk(disk: JsonObject) -> Disk:
    order = disk.get_int("bootOrder")
    return Disk(disk.get_str("name") or "", disk.path, _guest(disk.get_object("disk")), order)


def _cloud_init(volume: JsonObject) -> CloudInit | None:
    for key in _CLOUD_INIT:
        if volume.has(key):
            source = volume.get_object(key)
            return CloudInit(source.path, key == "cloudInitConfigDrive", any(map(source.fields.get, _NETWORK_DATA)))
    return None


def _guest(owner: JsonObject) -> PciAddress | None:
    return owner.get_parsed("pciAddress", PciAddress.parse) if owner.get_str("pciAddress") else None


def _memory(domain: JsonObject) -> int:
    guest = domain.get_object("memory").get_quantity("guest")
    requested = domain.get_object("resources").get_object("requests").get_quantity("memory")
    return guest or requested or 0


def _extended(resources: JsonObject) -> dict[str, int]:
    return {name: resources.get_quantity(name) or 0 for name in resources.fields if "/" in name}


def _guaranteed(resources: JsonObject) -> bool:
    limits, requests = resources.get_object("limits"), resources.get_object("requests")
    for key in ("cpu", "memory"):
        limit, request = (amounts.get_quantity(key, scale=1000) for amounts in (limits, requests))
        if not limit or request not in {limit, None}:
            return False
    return True


def _locks_memory(domain: JsonObject) -> bool:
    overhead = domain.get_object("memory").get_object("reservedOverhead")
    realtime = domain.get_object("cpu").has("realtime")
    sealed = domain.get_object("launchSecurity").has("sev")
    return overhead.get_str("memLock") == "Required" or realtime or sealed


def _features(features: JsonObject) -> dict[str, bool]:
    """A feature that is named is on, unless it says otherwise."""
    named = {name: value for name, value in features.fields.items() if isinstance(value, dict)}
    return {name: value.get("enabled") is not False for name, value in named.items()}
