"""The hostdevs that virt-launcher writes by itself: plug-in devices, claimed devices, VFs of SR-IOV interfaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lxml import etree

from domxml.document import Element
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice, Mdev, parse_host_device
from hostdev.kubevirt.changes import CLAIMED_DEVICES, CLAIMED_IN_ORDER, CLAIMED_NETWORKS, VF_VARIABLES
from hostdev.kubevirt.pod import Pod, Pools, resources_of
from hostdev.kubevirt.releases import Release
from hostdev.kubevirt.spec import Fields, Spec, get_list, get_text

_VARIABLES = (("PCI_RESOURCE", "pci"), ("MDEV_PCI_RESOURCE", "mdev"), ("USB_RESOURCE", "usb"))
"""The variables of plug-in devices in the order in which they are served, and what each names."""


def host_devices(spec: Spec, release: Release, pod: Pod) -> list[Element]:
    """All of them, in the order of the domain."""
    found: list[Element] = []
    for key, prefix, kinds in (("hostDevices", "hostdevice", _VARIABLES), ("gpus", "gpu", _VARIABLES[:2])):
        entries = spec.listed(key)
        found += _plugged(entries, prefix, pod, kinds)
        if CLAIMED_DEVICES.holds(release):
            found += _claimed(entries, f"dra-{prefix}", pod, release)
    return [*found, *_virtual_functions(spec, release, pod)]


def _plugged(entries: Sequence[Fields], prefix: str, pod: Pod, kinds: Sequence[tuple[str, str]]) -> Iterator[Element]:
    for name, kind in kinds:
        pools = Pools(pod.environment, name, resources_of(entries))
        for entry in entries:
            device = pools.take(get_text(entry, "deviceName"))
            if device and kind == "usb":
                yield _usb(device, f"ua-usb-host-{get_text(entry, 'name')}")
            elif device:
                yield hostdev(parse_host_device(device), f"ua-{prefix}-{get_text(entry, 'name')}")


def _claimed(entries: Sequence[Fields], prefix: str, pod: Pod, release: Release) -> list[Element]:
    found = [
        (device, f"ua-{prefix}-{name}")
        for entry in entries
        if is_claimed(entry) and (device := pod.claims.get(name := get_text(entry, "name"))) is not None
    ]
    if not CLAIMED_IN_ORDER.holds(release):
        found.sort(key=lambda pair: isinstance(pair[0], Mdev))
    return [hostdev(device, alias) for device, alias in found]


def is_claimed(entry: Fields) -> bool:
    """A GPU or host device by a DRA claim."""
    return "requestName" in entry or "claimRequest" in entry


def _virtual_functions(spec: Spec, release: Release, pod: Pod) -> Iterator[Element]:
    interfaces = [interface for interface in spec.listed("interfaces") if "sriov" in interface]
    attached = _attached(spec)
    ready = [interface for interface in interfaces if get_text(interface, "name") in attached]
    where = dict(pod.networks)
    if not where and VF_VARIABLES.holds(release):
        where = _by_variables(ready, pod)
    pairs = [(interface, where.get(get_text(interface, "name"))) for interface in ready]
    for interface, address in pairs:
        if address:
            yield _vf(interface, PciAddress.parse(address))
    for interface in interfaces if CLAIMED_NETWORKS.holds(release) else ():
        device = pod.claims.get(get_text(interface, "name"))
        if isinstance(device, PciAddress):
            yield _vf(interface, device)


def _attached(spec: Spec) -> frozenset[str]:
    """Only with this in its status does virt-launcher look for an interface's VF; without, it is silently missing."""
    status = get_list(spec.status, "interfaces")
    return frozenset(get_text(one, "name") for one in status if "multus-status" in get_text(one, "infoSource"))


def _by_variables(interfaces: Sequence[Fields], pod: Pod) -> dict[str, str]:
    names = [get_text(interface, "name") for interface in interfaces]
    resources = {name: pod.environment.get(f"KUBEVIRT_RESOURCE_NAME_{name}", "") for name in names}
    pools = Pools(pod.environment, "PCIDEVICE", resources.values())
    return {name: pools.take(resource) for name, resource in resources.items()}


def _vf(interface: Fields, device: PciAddress) -> Element:
    element = hostdev(device, f"ua-sriov-{get_text(interface, 'name')}")
    asked = get_text(interface, "pciAddress")
    if asked:
        element.append(guest_address(PciAddress.parse(asked)))
    return element


def hostdev(device: HostDevice, alias: str) -> Element:
    """A PCI device, or a mediated one."""
    if isinstance(device, Mdev):
        element = etree.Element("hostdev", type="mdev", mode="subsystem", model="vfio-pci")
        etree.SubElement(etree.SubElement(element, "source"), "address", uuid=device.uuid)
    else:
        element = etree.Element("hostdev", type="pci", managed="no")
        etree.SubElement(etree.SubElement(element, "source"), "address", device.attributes())
    etree.SubElement(element, "alias", name=alias)
    return element


def _usb(device: str, alias: str) -> Element:
    bus, _, number = device.partition(":")
    element = etree.Element("hostdev", type="usb", mode="subsystem", managed="no")
    source = etree.SubElement(element, "source")
    if bus.isdecimal() and number.isdecimal():
        etree.SubElement(source, "address", bus=bus, device=number)
    etree.SubElement(element, "alias", name=alias)
    return element


def guest_address(address: PciAddress) -> Element:
    """As it stands below a device."""
    return etree.Element("address", {"type": "pci", **address.attributes()})
