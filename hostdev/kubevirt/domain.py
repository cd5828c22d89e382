"""The domain of a first pass, before placeholders and hooks: as far as the guest's PCI tree depends on it."""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree

from domxml.document import Element
from hostdev.jsonutil import parse_quantity
from hostdev.kubevirt import devices as make
from hostdev.kubevirt.admission import MACHINES
from hostdev.kubevirt.changes import EXPANDERS_FIRST, NUMA_PLACEMENT, S390_ROOT_COMPLEX
from hostdev.kubevirt.hostdevices import host_devices
from hostdev.kubevirt.placing import place_on_cells, place_on_root
from hostdev.kubevirt.pod import Pod
from hostdev.kubevirt.ports import ARCHITECTURES
from hostdev.kubevirt.releases import Release
from hostdev.kubevirt.spec import Spec, get_map, get_text
from hostdev.kubevirt.structs import sort_devices

_KUBEVIRT = "http://kubevirt.io"
_ARCHITECTURES = {kubernetes: own for own, kubernetes in ARCHITECTURES.items()}
_LOADERS = {
    "arm64": ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    "amd64": ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
}


def first_domain(spec: Spec, release: Release, pod: Pod) -> bytes:
    """What virt-launcher makes of an admitted VMI."""
    root = etree.Element("domain", type="kvm")
    namespace = get_text(spec.vmi, "metadata", "namespace") or "default"
    etree.SubElement(root, "name").text = f"{namespace}_{get_text(spec.vmi, 'metadata', 'name') or 'vm'}"
    etree.SubElement(root, "memory", unit="b").text = str(guest_memory(spec) or 1 << 30)
    _max_memory(root, spec)
    root.append(_os(spec))
    if spec.listed("filesystems"):
        backing = etree.SubElement(root, "memoryBacking")
        etree.SubElement(backing, "source", type="memfd")
        etree.SubElement(backing, "access", mode="shared")
    root.append(_devices(spec, release, pod))
    etree.SubElement(root, "metadata").append(etree.fromstring(f'<kubevirt xmlns="{_KUBEVIRT}"><uid/></kubevirt>'))
    features = etree.SubElement(root, "features")
    if spec.architecture != "s390x":
        etree.SubElement(features, "acpi")
    root.append(_cpu(spec))
    etree.SubElement(root, "vcpu", placement="static").text = str(_vcpus(spec))
    etree.indent(root)
    return etree.tostring(root)


def _os(spec: Spec) -> Element:
    element = etree.Element("os")
    machine = spec.machine or MACHINES.get(spec.architecture, MACHINES["amd64"])
    kind = etree.SubElement(element, "type", arch=_ARCHITECTURES.get(spec.architecture, "x86_64"), machine=machine)
    kind.text = "hvm"
    code, template = _LOADERS.get(spec.architecture, ("", "")) if spec.is_efi else ("", "")
    if code:
        loader = etree.SubElement(element, "loader", readonly="yes", type="pflash")
        loader.text = code
        etree.SubElement(element, "nvram", template=template).text = "/var/run/kubevirt-private/nvram_VARS.fd"
    return element


def _max_memory(root: Element, spec: Spec) -> None:
    most = get_map(spec.domain, "memory").get("maxGuest")
    if most is not None:
        etree.SubElement(root, "maxMemory", unit="b", slots="0").text = str(parse_quantity(str(most)))


def _cpu(spec: Spec) -> Element:
    """The processor; without a word of the VM or the cluster, it is the host's model, which has not the host's bits."""
    cpu = get_map(spec.domain, "cpu")
    model = get_text(cpu, "model") or "host-model"
    is_mode = model in {"host-model", "host-passthrough"}
    element = etree.Element("cpu", mode=model if is_mode else "custom")
    if not is_mode:
        etree.SubElement(element, "model").text = model
    for feature in cpu.get("features") or ():
        if isinstance(feature, dict) and isinstance(feature.get("name"), str):
            etree.SubElement(element, "feature", name=feature["name"], policy=str(feature.get("policy") or "require"))
    return element


def guest_memory(spec: Spec) -> int:
    """In bytes, as admission fills it in; 0 where nothing tells."""
    resources = get_map(spec.domain, "resources")
    places = (
        (get_map(spec.domain, "memory"), "guest"),
        (get_map(resources, "requests"), "memory"),
        (get_map(resources, "limits"), "memory"),
        (get_map(spec.domain, "memory", "hugepages"), "pageSize"),
    )
    for owner, key in places:
        value = owner.get(key)
        if value is not None:
            return parse_quantity(str(value))
    return 0


def _vcpus(spec: Spec) -> int:
    cpu = get_map(spec.domain, "cpu")
    number = 1
    for key in ("sockets", "cores", "threads"):
        value = cpu.get(key)
        number *= value if isinstance(value, int) and 0 < value < 1 << 10 else 1
    return number


def _devices(spec: Spec, release: Release, pod: Pod) -> Element:
    networks = list(make.interfaces(spec, release, pod))
    passed = host_devices(spec, release, pod)
    control = list(make.controllers(spec, release, pod))
    drives, inputs = list(make.disks(spec)), list(make.inputs(spec))
    dog, rng, balloon = list(make.watchdog(spec)), list(make.rng(spec)), list(make.balloon(spec))
    expanders = _expanders(spec, release, pod, passed, control)
    if spec.on_root_complex and (spec.architecture != "s390x" or S390_ROOT_COMPLEX.holds(release)):
        order = [*networks, *(one for one in passed if one.get("type") == "pci")]
        order += [one for one in control if one.get("model") != "pcie-root"]
        order += [one for one in (*drives, *inputs) if _is_virtio(one)]
        place_on_root([*order, *dog, *rng, *balloon])
    at = len(control) - (bool(control) and EXPANDERS_FIRST.holds(release) and control[-1].get("type") != "scsi")
    control[at:at] = expanders
    element = etree.Element("devices")
    element.extend([*networks, *make.channels(spec), *passed, *make.panic(spec, release), *control])
    element.extend([*make.display(spec, release, pod), *balloon, *drives, *inputs, *make.consoles(spec), *dog, *rng])
    element.extend([*make.filesystems(spec), *make.others(spec)])
    sort_devices(element)
    return element


def _expanders(
    spec: Spec, release: Release, pod: Pod, passed: Sequence[Element], control: Sequence[Element]
) -> list[Element]:
    dedicated = get_map(spec.domain, "cpu").get("dedicatedCpuPlacement") is True
    if not (pod.cells and dedicated and NUMA_PLACEMENT.holds(release)) or spec.architecture == "s390x":
        return []
    return place_on_cells(passed, control, release, pod)


def _is_virtio(element: Element) -> bool:
    target = element.find("target")
    return (element.get("bus") if target is None else target.get("bus")) == "virtio"
