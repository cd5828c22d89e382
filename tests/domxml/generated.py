"""Domains made by hypothesis: machines, controllers with and without indexes and addresses, devices of every kind."""

from __future__ import annotations

from hypothesis import strategies as st

_MAC = "<mac address='52:54:00:00:{0:02x}:{1:02x}'/>"
_NICS = ("virtio", "virtio-non-transitional", "virtio-transitional", "e1000", "e1000e", "rtl8139")
_DISK_MODELS = ("", "model='virtio-non-transitional'", "model='virtio-transitional'")


@st.composite
def devices(draw: st.DrawFn, *, arm: bool = False) -> list[str]:
    """A list of device elements, in any order, without addresses."""
    found: list[str] = []
    for number in range(draw(st.integers(0, 6))):
        model = draw(st.sampled_from(_NICS[:2] if arm else _NICS))
        mac = _MAC.format(1, number)
        found.append(f"<interface type='user'>{mac}<model type='{model}'/></interface>")
    for number in range(draw(st.integers(0, 6))):
        model = draw(st.sampled_from(_DISK_MODELS[:2] if arm else _DISK_MODELS))
        target = f"<target dev='vd{chr(97 + number)}' bus='virtio'/>"
        found.append(f"<disk type='file' device='disk' {model}><source file='/d{number}'/>{target}</disk>")
    singles = [
        "<memballoon model='virtio'/>",
        "<memballoon model='none'/>",
        "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
        "<controller type='scsi' index='0' model='virtio-scsi'/>",
        "<controller type='virtio-serial' index='0'/>",
        "<input type='tablet' bus='virtio'/>",
        "<vsock model='virtio'><cid auto='yes'/></vsock>",
        "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
    ]
    if not arm:
        singles += [
            "<video><model type='vga'/></video><graphics type='vnc'/>",
            "<controller type='usb' index='0' model='qemu-xhci'/>",
            "<controller type='usb' index='0' model='none'/>",
            "<sound model='ich9'/>",
            "<watchdog model='i6300esb' action='reset'/>",
            "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='0xfd' slot='0'/></source></hostdev>",
        ]
    picked = draw(st.lists(st.sampled_from(singles), unique=True))
    kinds: set[str] = set()
    for single in picked:
        kind = single.split(" ", 2)[0] + (single.split("'")[1] if "controller" in single else "")
        if kind not in kinds:
            kinds.add(kind)
            found.append(single)
    return draw(st.permutations(found))


@st.composite
def domains(draw: st.DrawFn) -> bytes:
    """A whole domain that libvirt defines."""
    arch, machine = draw(st.sampled_from([("x86_64", "q35"), ("x86_64", "pc"), ("aarch64", "virt")]))
    inside = draw(devices(arm=machine == "virt"))
    if machine != "pc":
        ports = draw(st.integers(0, 4))
        written = [f"<controller type='pci' index='{index + 1}' model='pcie-root-port'/>" for index in range(ports)]
        inside = written + inside
        if ports or draw(st.booleans()):
            inside.insert(0, "<controller type='pci' index='0' model='pcie-root'/>")
    body = "\n    ".join(inside)
    return (
        f"<domain type='qemu'>\n  <name>generated</name>\n  <memory unit='MiB'>256</memory>\n  <vcpu>1</vcpu>\n"
        f"  <os><type arch='{arch}' machine='{machine}'>hvm</type></os>\n"
        f"  <devices>\n    {body}\n  </devices>\n</domain>\n"
    ).encode()
