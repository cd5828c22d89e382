"""What libvirt has written down about its domains: those that run, in /run, and those that are defined, in /etc."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from domxml.document import Domain, parse_tree
from domxml.errors import BadInput, Refused
from domxml.pciaddress import PciAddress
from hostdev.holders.claim import Claim, How
from hostdev.inventory.host import Host

RUNNING = "run/libvirt/qemu"
DEFINED = "etc/libvirt/qemu"
SESSIONS = "run/user"
_SESSION = "libvirt/qemu/run"
_SUFFIX = ".xml"


class DomainUse(NamedTuple):
    """A domain with a device."""

    name: str
    managed: bool
    """libvirt takes the device from its driver at the start, and gives it back at the end."""
    file: str


def running_domains(host: Host, address: PciAddress) -> Iterator[DomainUse]:
    """Domains that run with a device, of the host's libvirt and of those of users."""
    for directory in _of_running(host):
        yield from _with_device(host, directory, address)


def defined_domains(host: Host, address: PciAddress) -> Iterator[DomainUse]:
    """Domains that are defined with a device, whether they run or not."""
    yield from _with_device(host, DEFINED, address)


def domain_claims(host: Host, address: PciAddress) -> tuple[Claim, ...]:
    """The domains that run with a device, as holders of it."""
    found = running_domains(host, address)
    return tuple(Claim(How.DOMAIN, one.name, f"/{one.file}", guest=one.name) for one in found)


def _of_running(host: Host) -> Iterator[str]:
    yield RUNNING
    for user in host.names(SESSIONS) or ():
        yield f"{SESSIONS}/{user}/{_SESSION}"


def _with_device(host: Host, directory: str, address: PciAddress) -> Iterator[DomainUse]:
    for name in host.names(directory) or ():
        file = f"{directory}/{name}"
        text = host.read_bytes(file, whole=True) if name.endswith(_SUFFIX) else None
        if text is None:
            continue
        try:
            tree = parse_tree(text)
            root = tree if tree.tag == "domain" else tree.find("domain")
            devices = None if root is None else root.find("devices")
            if root is None or devices is None:
                continue
            domain = Domain(text, root, devices)
            element = domain.host_devices.get(address)
        except (BadInput, Refused) as error:
            host.tell(file, error.message)
            continue
        if element is not None:
            yield DomainUse(domain.name, element.element.get("managed") == "yes", file)
