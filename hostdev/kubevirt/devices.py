"""The devices of a first pass, kind by kind: what of the spec makes each, of which model, and where it is put."""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase

from lxml import etree

from domxml.document import Element
from domxml.pciaddress import PciAddress
from hostdev.kubevirt.changes import (
    EMPTY_INPUT_BUS,
    NO_PCI_HOLE,
    PANIC_DEVICES,
    PASST_BINDING,
    VIDEO_TYPE,
)
from hostdev.kubevirt.hostdevices import guest_address
from hostdev.kubevirt.pod import Pod, Pools, resources_of
from hostdev.kubevirt.releases import Release
from hostdev.kubevirt.spec import NO_PCI_HOLE as NO_PCI_HOLE_ANNOTATION
from hostdev.kubevirt.spec import TARGETS, Fields, Spec, get_map, get_text, target_of

_REDIRECTED = 4
_DISK_NAMES = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd"}
_READY = ("MountedToPod", "Ready")
"""Phases of a hotplugged volume that is in the domain of a first pass."""
_TAPS = ("tap", "managedTap")
VOLUME = "/var/run/kubevirt-private/vmi-disks/{}/disk.img"


def interfaces(spec: Spec, release: Release, pod: Pod) -> Iterator[Element]:
    """One for each of the spec, but for VFs and for plugins that make their own."""
    for number, interface in enumerate(spec.listed("interfaces")):
        plugin = get_text(interface, "binding", "name")
        made = pod.attachments.get(plugin) in _TAPS if "binding" in interface else True
        if interface.get("state") == "absent" or "sriov" in interface or not made:
            continue
        model = get_text(interface, "model") or "virtio"
        kind = "vhostuser" if "passtBinding" in interface and PASST_BINDING.holds(release) else "ethernet"
        element = etree.Element("interface", type=kind)
        if kind == "vhostuser":
            etree.SubElement(element, "source", type="unix", path=f"/tmp/passt{number}", mode="client")  # noqa: S108
        else:
            etree.SubElement(element, "source")
            etree.SubElement(element, "target", dev=f"tap{number}", managed="no")
        etree.SubElement(element, "model", type=spec.virtio if model == "virtio" else model)
        mac = get_text(interface, "macAddress")
        if mac:
            etree.SubElement(element, "mac", address=mac.replace("-", ":"))
        _name(element, interface)
        _ask(element, get_text(interface, "pciAddress"))
        yield element


def channels(spec: Spec) -> Iterator[Element]:
    """The guest agent's, and that of the metrics device."""
    names = ["org.qemu.guest_agent.0", *["org.github.vhostmd.1"] * spec.has("downwardMetrics")]
    for name in names:
        element = etree.Element("channel", type="unix")
        etree.SubElement(element, "target", name=name, type="virtio")
        yield element


def panic(spec: Spec, release: Release) -> Iterator[Element]:
    """Notifiers of a guest's panic."""
    for device in spec.listed("panicDevices") if PANIC_DEVICES.holds(release) else ():
        yield etree.Element("panic", model=get_text(device, "model"))


def controllers(spec: Spec, release: Release, pod: Pod) -> Iterator[Element]:
    """In the order in which they are written; those of NUMA placement are not here."""
    usb = "qemu-xhci" if _needs_usb(spec, release, pod) else "none"
    yield etree.Element("controller", type="usb", index="0", model=usb)
    if spec.devices.get("disableHotplug") is not True or any(_bus(disk) == "scsi" for disk in spec.listed("disks")):
        model = "virtio-scsi" if spec.architecture == "s390x" else spec.virtio
        yield etree.Element("controller", type="scsi", index="0", model=model)
    wanted = spec.annotations.get(NO_PCI_HOLE_ANNOTATION, "")
    if NO_PCI_HOLE.holds(release) and spec.architecture == "amd64" and str(wanted).lower() == "true":
        element = etree.Element("controller", type="pci", index="0", model="pcie-root")
        etree.SubElement(element, "pcihole64", unit="KiB").text = "0"
        yield element
    if not spec.is_off("autoattachSerialConsole"):
        yield etree.Element("controller", type="virtio-serial", index="0", model=spec.virtio)


def _needs_usb(spec: Spec, release: Release, pod: Pod) -> bool:
    if spec.architecture != "amd64":
        return spec.architecture == "arm64"
    buses = [get_text(one, "bus") for one in spec.listed("inputs")]
    return (
        "usb" in buses
        or ("" in buses and EMPTY_INPUT_BUS.holds(release))
        or any(get_text(disk, "disk", "bus") == "usb" for disk in spec.listed("disks"))
        or spec.has("clientPassthrough")
        or bool(Pools(pod.environment, "USB_RESOURCE", resources_of(spec.listed("hostDevices"))))
    )


def _bus(disk: Fields) -> str:
    """Of a disk of any kind, as the converter looks for it."""
    kind = next((kind for kind in TARGETS if isinstance(disk.get(kind), dict)), "disk")
    return get_text(disk, kind, "bus")


def display(spec: Spec, release: Release, pod: Pod) -> Iterator[Element]:
    """A video card and the graphics that show it."""
    if spec.is_off("autoattachGraphicsDevice"):
        return
    asked = get_text(spec.devices, "video", "type") if VIDEO_TYPE.holds(release) else ""
    usual = "virtio" if spec.architecture != "amd64" else "bochs" if spec.is_efi and pod.bochs else "vga"
    video = etree.Element("video")
    etree.SubElement(video, "model", type=asked or usual, heads="1")
    graphics = etree.Element("graphics", type="vnc")
    etree.SubElement(graphics, "listen", type="socket", socket="/var/run/kubevirt-private/virt-vnc")
    yield from (video, graphics)


def balloon(spec: Spec) -> Iterator[Element]:
    """Always one, and be it of the model none."""
    yield etree.Element("memballoon", model="none" if spec.is_off("autoattachMemBalloon") else spec.virtio)


def disks(spec: Spec) -> Iterator[Element]:
    """All but hotplugged ones that are not there yet."""
    count: dict[str, int] = {}
    for disk in spec.listed("disks"):
        kind, target = target_of(disk)
        if not _is_there(spec, disk, kind):
            continue
        bus, name = get_text(target, "bus"), get_text(disk, "name")
        prefix = _DISK_NAMES.get(bus, "sd")
        number = count[prefix] = count.get(prefix, -1) + 1
        element = etree.Element("disk", device=kind, type="block" if kind == "lun" else "file")
        if kind == "disk" and bus == "virtio":
            element.set("model", spec.virtio)
        if name in spec.volumes:
            path = VOLUME.format(name)
            etree.SubElement(element, "source", {"dev" if kind == "lun" else "file": path})
        etree.SubElement(element, "target", bus=bus, dev=f"{prefix}{_letters(number)}")
        etree.SubElement(element, "driver", name="qemu", type="raw")
        _name(element, disk)
        if kind == "disk" and bus == "virtio":
            _ask(element, get_text(target, "pciAddress"))
        if kind == "cdrom":
            etree.SubElement(element, "readonly")
        yield element


def _is_there(spec: Spec, disk: Fields, kind: str) -> bool:
    name = get_text(disk, "name")
    if not spec.permanent or name in spec.permanent or (kind == "cdrom" and name not in spec.volumes):
        # As long as no volume has a status, virt-launcher takes all disks.
        return True
    return name in spec.volume_status and spec.volume_status[name].get("phase") in _READY


def _letters(number: int) -> str:
    text = ""
    while number >= 0:
        text = ascii_lowercase[number % 26] + text
        number = number // 26 - 1
    return text


def inputs(spec: Spec) -> Iterator[Element]:
    """Those of the spec, and what an architecture adds to a display."""
    asked = spec.listed("inputs")
    for one in asked:
        bus = get_text(one, "bus") or "usb"
        element = etree.Element("input", type=get_text(one, "type") or "tablet", bus=bus)
        if bus == "virtio":
            element.set("model", "virtio")
        _name(element, one)
        yield element
    if spec.is_off("autoattachGraphicsDevice"):
        return
    if spec.architecture == "arm64":
        if not any(get_text(one, "type") == "tablet" for one in asked):
            yield etree.Element("input", type="tablet", bus="usb")
        yield etree.Element("input", type="keyboard", bus="usb")
    elif spec.architecture == "s390x":
        yield etree.Element("input", type="keyboard", bus="virtio")


def consoles(spec: Spec) -> Iterator[Element]:
    """The serial port, and the console that it is."""
    if spec.is_off("autoattachSerialConsole"):
        return
    serial = etree.Element("serial", type="unix")
    etree.SubElement(serial, "source", mode="bind", path="/var/run/kubevirt-private/virt-serial0")
    etree.SubElement(serial, "target", port="0")
    console = etree.Element("console", type="pty")
    etree.SubElement(console, "target", type="serial", port="0")
    yield from (serial, console)


def watchdog(spec: Spec) -> Iterator[Element]:
    """At most one."""
    asked = get_map(spec.devices, "watchdog")
    if not asked:
        return
    model = "diag288" if spec.architecture == "s390x" else "i6300esb"
    action = get_text(asked, model, "action") or "reset"
    element = etree.Element("watchdog", model=model, action=action)
    _name(element, asked)
    yield element


def rng(spec: Spec) -> Iterator[Element]:
    """Only where it is asked for."""
    if spec.has("rng"):
        element = etree.Element("rng", model=spec.virtio)
        etree.SubElement(element, "backend", model="random").text = "/dev/urandom"
        yield element


def filesystems(spec: Spec) -> Iterator[Element]:
    """Shared by virtiofs."""
    for shared in spec.listed("filesystems"):
        if "virtiofs" in shared:
            element = etree.Element("filesystem", type="mount", accessmode="passthrough")
            etree.SubElement(element, "driver", type="virtiofs", queue="1024")
            etree.SubElement(element, "source", dir=f"/{get_text(shared, 'name')}")
            etree.SubElement(element, "target", dir=get_text(shared, "name"))
            yield element


def others(spec: Spec) -> Iterator[Element]:
    """What stands at the end: USB redirection, sound, TPM, vsock."""
    for _ in range(_REDIRECTED * spec.has("clientPassthrough")):
        element = etree.Element("redirdev", type="unix", bus="usb")
        etree.SubElement(element, "source", mode="bind", path="/var/run/kubevirt-private/virt-usbredir")
        yield element
    sound = get_map(spec.devices, "sound")
    if sound:
        element = etree.Element("sound", model=get_text(sound, "model") or "ich9")
        _name(element, sound)
        yield element
    if spec.has("tpm") and get_map(spec.devices, "tpm").get("enabled") is not False:
        persistent = get_map(spec.devices, "tpm").get("persistent") is True
        element = etree.Element("tpm", model="tpm-crb" if persistent else "tpm-tis")
        etree.SubElement(element, "backend", type="emulator", version="2.0")
        yield element
    if spec.status.get("VSOCKCID") is not None:
        element = etree.Element("vsock", model="virtio-non-transitional")
        etree.SubElement(element, "cid", auto="no", address=str(spec.status["VSOCKCID"]))
        yield element


def _name(element: Element, owner: Fields) -> None:
    etree.SubElement(element, "alias", name=f"ua-{get_text(owner, 'name')}")


def _ask(element: Element, address: str) -> None:
    if address:
        element.append(guest_address(PciAddress.parse(address)))
