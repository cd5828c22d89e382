"""From a VM as its author writes it to the VMI that virt-launcher is given; and what the files alone do not tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from hostdev.kubevirt.changes import VIDEO_TYPE, minor_of
from hostdev.kubevirt.defaults import add_defaults, selects, with_instancetype, with_preference, with_preset
from hostdev.kubevirt.releases import Release
from hostdev.kubevirt.spec import EMPTY, Fields, Spec, get_list, get_map, get_text, volume_names
from hostdev.vmi.vmi import TEMPLATES

MACHINES = {"amd64": "q35", "arm64": "virt", "s390x": "s390-ccw-virtio"}
"""Built in; a cluster may be set otherwise."""
_BUSES = {"amd64": "sata"}
_OTHER_BUS = "virtio"
_TARGETS = ("disk", "lun", "cdrom", "floppy")
_VGA = "kubevirt.io/vga-display-efi-x86"
_ANY_CID = 3
"""The first that a guest can have; the cluster deals them out."""
_PREFERRED_VIDEO = (1, 9)


class Cluster(NamedTuple):
    """What the KubeVirt CR says; `configuration` is None where none is there."""

    configuration: Fields | None = None
    annotations: Fields = EMPTY

    @property
    def is_known(self) -> bool:
        """Whether anything is said of it."""
        return self.configuration is not None

    def machine(self, architecture: str) -> str:
        """Its machine type, empty where the one that is built in holds."""
        configuration = self.configuration or EMPTY
        own = get_text(configuration, "architectureConfiguration", architecture, "machineType")
        return get_text(configuration, "machineType") or own

    @property
    def attachments(self) -> dict[str, str]:
        """How each binding plugin attaches."""
        plugins = get_map(self.configuration, "network", "binding")
        return {name: get_text(plugins, name, "domainAttachmentType") for name in plugins}

    def has_gate(self, name: str) -> bool | None:
        """Whether a feature gate is named; None where nothing is known."""
        if self.configuration is None:
            return None
        gates = get_map(self.configuration, "developerConfiguration").get("featureGates")
        return isinstance(gates, list) and name in gates

    @property
    def bochs(self) -> bool:
        """Whether UEFI guests on amd64 get a bochs display."""
        return _VGA not in self.annotations


class Beside(NamedTuple):
    """What stands beside a VM and becomes part of it; None where it is named and not there."""

    instancetype: Fields | None = EMPTY
    preference: Fields | None = EMPTY
    presets: tuple[Fields, ...] = ()
    """Of the same namespace; those that select the VMI are part of it."""


class Admitted(NamedTuple):
    """The VMI, and what was taken for something that the files do not tell."""

    vmi: Fields
    unknown: tuple[str, ...] = ()


def admit(value: Fields, release: Release, cluster: Cluster, beside: Beside) -> Admitted:
    """Fill in what KubeVirt fills in, in its order: the VM's own defaults, then those of the VMI."""
    vmi = _template(value)
    if get_text(vmi, "status", "phase"):
        # A VMI of a cluster has been through all of this.
        return Admitted(vmi, tuple(_of_cluster(Spec(vmi), cluster)))
    unknown = list(_missing(beside))
    spec = dict(get_map(vmi, "spec"))
    architecture = spec["architecture"] = _architecture(spec, cluster, beside, unknown)
    spec = _with_beside(_with_bare_disks(spec), vmi, release, beside)
    unknown += _set_machine(spec, architecture, cluster)
    spec = dict(add_defaults(spec))
    if get_text(value, "kind") != "VirtualMachineInstance":
        spec = _with_input(spec)
    # What was added by now has wishes of the preference to fulfil as well.
    spec = dict(with_preference(spec, beside.preference or EMPTY))
    spec = _with_buses(spec, architecture)
    domain = dict(get_map(spec, "domain"))
    if architecture == "arm64":
        firmware = get_map(domain, "firmware")
        domain["firmware"] = {"bootloader": {"efi": {"secureBoot": False}}, **firmware}
    spec["domain"] = domain
    admitted = {**vmi, "spec": spec}
    admitted["status"] = _status(admitted, cluster, unknown)
    unknown += _of_cluster(Spec(admitted), cluster)
    return Admitted(admitted, tuple(unknown))


def _architecture(spec: Fields, cluster: Cluster, beside: Beside, unknown: list[str]) -> str:
    places = (
        (spec, "architecture"),
        (beside.preference or EMPTY, "preferredArchitecture"),
        (get_map(cluster.configuration, "architectureConfiguration"), "defaultArchitecture"),
    )
    for owner, key in places:
        if get_text(owner, key):
            return get_text(owner, key)
    unknown.append("spec.architecture is not set: the cluster's default decides, amd64 is taken")
    return "amd64"


def _template(value: Fields) -> dict[str, Any]:
    """The VMI in an object, named after it."""
    template, steps = value, TEMPLATES.get(get_text(value, "kind"), ())
    if not steps and "template" in get_map(value, "spec"):
        steps = ("spec", "template")
    for step in steps:
        template = get_map(template, step)
    metadata = dict(get_map(template, "metadata"))
    metadata["name"] = metadata.get("name") or get_text(value, "metadata", "name")
    metadata["namespace"] = metadata.get("namespace") or get_text(value, "metadata", "namespace") or "default"
    return {"kind": "VirtualMachineInstance", **template, "metadata": metadata}


def _missing(beside: Beside) -> Iterator[str]:
    if beside.instancetype is None:
        yield "its instance type is not among the files: the memory, GPUs and host devices that it brings are not here"
    if beside.preference is None:
        yield "its preference is not among the files: the buses, models and devices that it prefers are not here"


def _with_beside(spec: Fields, vmi: Fields, release: Release, beside: Beside) -> dict[str, Any]:
    if beside.instancetype:
        spec = with_instancetype(spec, beside.instancetype)
    if beside.preference:
        spec = with_preference(spec, beside.preference)
        spec = _with_newer(spec, get_map(beside.preference, "devices"), release)
    labels = get_map(vmi, "metadata", "labels")
    for preset in beside.presets:
        if selects(preset.get("selector"), labels):
            spec = with_preset(spec, preset)
    return dict(spec)


def _with_newer(spec: Fields, wanted: Fields, release: Release) -> Fields:
    """What only later releases read of a preference."""
    devices = dict(get_map(spec, "domain", "devices"))
    panic, video = (get_text(wanted, key) for key in ("preferredPanicDeviceModel", "preferredVideoType"))
    if panic and VIDEO_TYPE.holds(release) and not devices.get("panicDevices"):
        devices["panicDevices"] = [{"model": panic}]
    if video and minor_of(release) >= _PREFERRED_VIDEO and not devices.get("video"):
        devices["video"] = {"type": video}
    return {**spec, "domain": {**get_map(spec, "domain"), "devices": devices}}


def _set_machine(spec: dict[str, Any], architecture: str, cluster: Cluster) -> Iterator[str]:
    domain = get_map(spec, "domain")
    if get_text(domain, "machine", "type"):
        return
    found = cluster.machine(architecture)
    usual = found or MACHINES.get(architecture, MACHINES["amd64"])
    spec["domain"] = {**domain, "machine": {"type": usual}}
    if not cluster.is_known:
        yield f"spec.domain.machine.type is not set: the cluster's default decides, {usual} is taken"


def _with_bare_disks(spec: dict[str, Any]) -> dict[str, Any]:
    """Every volume that is neither a disk nor shared becomes a disk."""
    disks, shared = (get_list(spec, "domain", "devices", key) for key in ("disks", "filesystems"))
    named = {get_text(one, "name") for one in (*disks, *shared)}
    bare: list[Fields] = [{"name": name} for name in volume_names(spec) if name not in named]
    return _with_devices(spec, {"disks": [*disks, *bare]} if bare else {})


def _with_devices(spec: Mapping[str, Any], devices: Mapping[str, Any]) -> dict[str, Any]:
    domain = get_map(spec, "domain")
    return {**spec, "domain": {**domain, "devices": {**get_map(domain, "devices"), **devices}}}


def _with_input(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A VM, and no bare VMI, may ask for an input device without naming one."""
    devices = get_map(spec, "domain", "devices")
    asked = devices.get("autoattachInputDevice") is True and not devices.get("inputs")
    return _with_devices(spec, {"inputs": [{"name": "default-0"}]} if asked else {})


def _with_buses(spec: Mapping[str, Any], architecture: str) -> dict[str, Any]:
    bus = _BUSES.get(architecture, _OTHER_BUS)
    disks = [_with_target(disk, bus) for disk in get_list(spec, "domain", "devices", "disks")]
    inputs = [
        {**one, "bus": one.get("bus") or "usb", "type": one.get("type") or "tablet"}
        for one in get_list(spec, "domain", "devices", "inputs")
    ]
    found = {"disks": disks, "inputs": inputs}
    return _with_devices(spec, {key: value for key, value in found.items() if value})


def _with_target(disk: Fields, bus: str) -> Fields:
    kind = next((kind for kind in _TARGETS if isinstance(disk.get(kind), Mapping)), "disk")
    target = get_map(disk, kind)
    return {**disk, kind: target if target.get("bus") else {**target, "bus": bus}}


def _status(vmi: Fields, cluster: Cluster, unknown: list[str]) -> dict[str, Any]:
    """What the controllers have written by the time virt-launcher looks, where a manifest has no status."""
    status = dict(get_map(vmi, "status"))
    devices = get_map(vmi, "spec", "domain", "devices")
    interfaces = [one for one in get_list(devices, "interfaces") if "sriov" in one]
    if interfaces and "interfaces" not in status:
        status["interfaces"] = [{"name": get_text(one, "name"), "infoSource": "multus-status"} for one in interfaces]
    if devices.get("autoattachVSOCK") is True and "VSOCKCID" not in status:
        gate = cluster.has_gate("VSOCK")
        if gate is None:
            unknown.append("autoattachVSOCK needs the feature gate VSOCK: it is taken for open")
        if gate is not False:
            status["VSOCKCID"] = _ANY_CID
    return status


def _of_cluster(spec: Spec, cluster: Cluster) -> Iterator[str]:
    """What only the cluster knows, where this VM depends on it."""
    for interface in spec.listed("interfaces"):
        plugin = get_text(interface, "binding", "name")
        if "binding" in interface and plugin not in cluster.attachments:
            name = get_text(interface, "name")
            yield f"interface {name} is attached by the plugin {plugin}: taken for one that makes no <interface> itself"
