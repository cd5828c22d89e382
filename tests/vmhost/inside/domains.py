"""The text of small domains that hold host devices."""

from __future__ import annotations

from domxml.pciaddress import PciAddress


def hostdev(source: PciAddress, *, guest: PciAddress | None = None, managed: bool = False) -> str:
    """A host device; libvirt finds a place for it where none is given."""
    place = f"<address type='pci' {_attributes(guest)}/>" if guest else ""
    return (
        f"<hostdev mode='subsystem' type='pci' managed='{'yes' if managed else 'no'}'><driver name='vfio'/>"
        f"<source><address {_attributes(source)}/></source>{place}</hostdev>"
    )


def domain(name: str, *devices: str) -> str:
    """A q35 domain without anything else that takes a PCI slot."""
    return f"""\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    {"".join(devices)}
  </devices>
</domain>
"""


def _attributes(address: PciAddress) -> str:
    return " ".join(f"{name}='{value}'" for name, value in address.attributes().items())
