"""Small domains, and what libvirt is known to say of them."""

from __future__ import annotations

_DOMAIN = """\
<domain type='kvm'>
  <name>t1</name>
  <memory unit='MiB'>512</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <cpu><numa><cell id='0' cpus='0-1' memory='512' unit='MiB'/></numa></cpu>
  <devices>{}</devices>
</domain>
"""

INVALID = 27
UNSUPPORTED = 67
INTERNAL = 1


def domain(devices: str) -> bytes:
    """A q35 domain with these devices."""
    return _DOMAIN.format(devices).encode()


def hostdev(function: str, *children: str) -> str:
    """A host's `65:02.3`, passed through."""
    bus, slot, number = function[:2], function[3:5], function[6:]
    source = f"<source><address domain='0x0000' bus='0x{bus}' slot='0x{slot}' function='0x{number}'/></source>"
    return f"<hostdev mode='subsystem' type='pci' managed='no'>{source}{''.join(children)}</hostdev>"


def mdev(uuid: str, *children: str) -> str:
    """A mediated device."""
    source = f"<source><address uuid='{uuid}'/></source>"
    return f"<hostdev mode='subsystem' type='mdev' model='vfio-pci'>{source}{''.join(children)}</hostdev>"


def at(bus: int, slot: int, function: int = 0, *, domain: int = 0) -> str:
    """A guest address."""
    return f"<address type='pci' domain='{domain:#x}' bus='{bus:#x}' slot='{slot:#x}' function='{function:#x}'/>"


def controller(index: int, model: str, *children: str) -> str:
    """A PCI controller."""
    return f"<controller type='pci' index='{index}' model='{model}'>{''.join(children)}</controller>"


def expander(bus: int, node: int) -> str:
    """A root and its expander bus 1."""
    target = f"<target busNr='{bus}'><node>{node}</node></target>"
    return controller(0, "pcie-root") + controller(1, "pcie-expander-bus", target)


_ANY = "65:02.3"
_OTHER = "17:00.0"
_UUID = "c2177883-f1bb-47f0-914d-32a22e3a8804"
_PORT = controller(1, "pcie-root-port")

REFUSALS: dict[str, tuple[str, int, str]] = {
    "two at one address": (
        hostdev(_ANY, at(5, 0)) + hostdev(_OTHER, at(5, 0)),
        INVALID,
        "XML error: Attempted double use of PCI Address 0000:05:00.0",
    ),
    "an address of the chipset": (
        hostdev(_ANY, at(0, 0x1F)),
        INVALID,
        "XML error: Attempted double use of PCI Address 0000:00:1f.0",
    ),
    "slot 1 behind a root port": (
        _PORT + hostdev(_ANY, at(1, 1)),
        INVALID,
        "XML error: Invalid PCI address 0000:01:01.0. slot must be <= 0",
    ),
    "slot 0 behind a bridge": (
        controller(0, "pcie-root") + controller(1, "pci-bridge") + hostdev(_ANY, at(1, 0)),
        INVALID,
        "XML error: Invalid PCI address 0000:01:00.0. slot must be >= 1",
    ),
    "another PCI domain": (
        hostdev(_ANY, at(1, 0, domain=1)),
        INVALID,
        "XML error: Invalid PCI address 0001:01:00.0. Only PCI domain 0 is available",
    ),
    "slot out of range": (
        hostdev(_ANY, at(1, 0x20)),
        INVALID,
        "XML error: Invalid PCI address slot='0x20', must be <= 0x1F",
    ),
    "function out of range": (
        hostdev(_ANY, at(1, 0, 8)),
        INVALID,
        "XML error: Invalid PCI address function=0x8, must be <= 7",
    ),
    "bus out of range": (
        hostdev(_ANY, at(0x100, 0)),
        INVALID,
        "XML error: Invalid PCI address bus='0x100', must be <= 0xFF",
    ),
    "an endpoint on an expander bus": (
        expander(100, 0) + hostdev(_ANY, at(1, 0)),
        INVALID,
        (
            "XML error: The device at PCI address 0000:01:00.0 cannot be plugged into the PCI controller with "
            "index='1'. It requires a controller that accepts a PCI Express device."
        ),
    ),
    "an expander bus of no guest node": (
        expander(100, 1),
        INVALID,
        (
            "XML error: pcie-expander-bus with index 1 is configured for a NUMA node (1) not present in the domain's "
            "<cpu><numa> array (1)"
        ),
    ),
    "an expander bus numbered 0": (
        expander(0, 0),
        UNSUPPORTED,
        "unsupported configuration: PCI controller busNr '0' out of range - must be 1-254",
    ),
    "an integrated device behind a port": (
        _PORT + f"<iommu model='virtio'>{at(1, 0)}</iommu>",
        INVALID,
        "XML error: The device at PCI address 0000:01:00.0 needs to be an integrated device (bus=0)",
    ),
    "SATA elsewhere": (
        f"<controller type='sata' index='0'>{at(0, 5)}</controller>",
        INTERNAL,
        "internal error: Primary SATA controller must have PCI address 0:0:1f.2",
    ),
    "one index twice": (
        _PORT + _PORT,
        INVALID,
        "XML error: Multiple 'pci' controllers with index '1'",
    ),
    "a port in the place of the root": (
        controller(0, "pcie-root-port"),
        INVALID,
        (
            "XML error: The PCI controller with index='0' must be model='pcie-root' for this machine type, "
            "but model='pcie-root-port' was found instead"
        ),
    ),
    "one host device twice": (
        hostdev(_ANY) + hostdev(_ANY),
        INVALID,
        "XML error: Hostdev already exists in the domain configuration",
    ),
    "one alias twice": (
        hostdev(_ANY, "<alias name='ua-x'/>") + hostdev(_OTHER, "<alias name='ua-x'/>"),
        UNSUPPORTED,
        "unsupported configuration: non unique alias detected: ua-x",
    ),
    "one boot order twice": (
        hostdev(_ANY, "<boot order='1'/>") + hostdev(_OTHER, "<boot order='1'/>"),
        UNSUPPORTED,
        "unsupported configuration: boot order '1' used for more than one device",
    ),
    "ACPI index 0": (
        hostdev(_ANY, "<acpi index='0'/>"),
        INVALID,
        "XML error: Invalid value for attribute 'index' in element 'acpi': Zero is not permitted",
    ),
    "a mediated device kept from the guest": (
        mdev(_UUID, "<address type='unassigned'/>"),
        INVALID,
        "XML error: Unsupported address type 'unassigned' with mediated device model 'vfio-pci'",
    ),
}

TRANSCRIPT = domain(
    "<interface type='ethernet'><model type='virtio'/></interface>"
    "<controller type='usb' model='qemu-xhci'/>"
    "<video><model type='vga'/></video>"
    f"{hostdev(_ANY)}{hostdev(_OTHER)}{mdev(_UUID)}"
    "<memballoon model='virtio'/>"
)
TRANSCRIPT_ADDRESSES = {
    "controller:usb:0": "0000:02:00.0",
    "controller:sata:0": "0000:00:1f.2",
    # One port for each PCIe device, and a spare one.
    **{f"controller:pci:{index}": f"0000:00:02.{index - 1}" for index in range(1, 8)},
    "interface": "0000:01:00.0",
    "video": "0000:00:01.0",
    "hostdev:pci:0000:65:02.3": "0000:03:00.0",
    "hostdev:pci:0000:17:00.0": "0000:04:00.0",
    f"hostdev:mdev:{_UUID}": "0000:05:00.0",
    "memballoon": "0000:06:00.0",
}
