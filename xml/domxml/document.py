"""A domain document: the one parser for untrusted domain XML, and the one way back to bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias, cast

from lxml import etree

from domxml import alias as aliases
from domxml.errors import BadInput, Refused
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice, Mdev
from domxml.text import printable

Element: TypeAlias = etree._Element  # noqa: SLF001  lxml has no public name for it

MAX_BYTES = 4 * 1024 * 1024
"""What gRPC hands over at most; the largest domains seen are 60 KB."""
HYPERVISORS = frozenset({"kvm", "qemu"})
_WHOLE = "`virsh dumpxml VM` prints the whole of it; `xmllint --noout FILE` shows where it breaks"

_NOT_TEXT = re.compile(rb"\A(?:\xff\xfe|\xfe\xff|<\x00|\x00<|\x00\x00)")


_PARSER = etree.XMLParser(
    resolve_entities=False,
    load_dtd=False,
    dtd_validation=False,
    no_network=True,
    huge_tree=False,
    remove_blank_text=False,
    remove_comments=False,
    remove_pis=False,
    strip_cdata=False,
)
"""The one parser: it fetches nothing, expands nothing and forgets nothing."""


_ADDRESSES = etree.XPath("devices/*/source/address")
_PCI_KINDS = {("hostdev", "pci"), ("interface", "hostdev"), ("disk", "nvme")}
"""Elements and types that hold a PCI device."""


class DomainDevice(NamedTuple):
    """An element that gives a host device to the guest."""

    element: Element
    device: HostDevice

    @property
    def is_hostdev(self) -> bool:
        """A <hostdev>; interfaces and NVMe disks hold PCI devices too."""
        return bool(self.element.tag == "hostdev")

    @property
    def is_disk(self) -> bool:
        """An NVMe disk."""
        return bool(self.element.tag == "disk")

    @property
    def alias(self) -> str:
        """Empty where none is written."""
        found = self.element.find("alias")
        return "" if found is None else found.get("name", "")

    @property
    def is_ours(self) -> bool:
        """Whether an earlier pass of ours put it there."""
        return self.is_hostdev and aliases.is_ours(self.alias)

    @property
    def kubevirt_name(self) -> str:
        """Its name in the VM's spec, where KubeVirt itself put it there."""
        return aliases.kubevirt_name(self.alias) if self.is_hostdev else ""


class Domain:
    """A parsed domain: the tree is edited in place, and serialised once."""

    __slots__ = ("_host_devices", "data", "devices", "root")

    def __init__(self, data: bytes, root: Element, devices: Element) -> None:
        self.data = data
        """The bytes it was read from."""
        self.root = root
        self.devices = devices
        self._host_devices: Mapping[HostDevice, DomainDevice] | None = None

    @classmethod
    def parse(cls, data: bytes) -> Domain:
        """Read domain XML, refusing what libvirt or KubeVirt would stumble over later."""
        root = parse_tree(data)
        return cls(data, root, _devices(root))

    def serialise(self) -> bytes:
        """UTF-8 without an XML declaration: KubeVirt's parser refuses any other declared encoding."""
        # A third less time than encoding="utf-8" takes, and the same bytes.
        text = etree.tostring(self.root.getroottree(), encoding="unicode")
        return text.encode() + (b"\n" if self.data.endswith(b"\n") else b"")

    @property
    def name(self) -> str:
        """The domain's name, for messages."""
        return (self.root.findtext("name") or "").strip()

    @property
    def os_type(self) -> Element | None:
        """The <os><type> element: architecture and machine."""
        return self.root.find("os/type")

    @property
    def host_devices(self) -> Mapping[HostDevice, DomainDevice]:
        """The host devices it was read with, and what holds them; two holders of one are refused, as libvirt would."""
        if self._host_devices is None:
            self._host_devices = _once(_host_devices(self.root))
        return self._host_devices

    def check_hypervisor(self) -> None:
        """Host devices go to QEMU by VFIO: nothing else is served."""
        kind = self.root.get("type", "")
        if kind not in HYPERVISORS:
            raise Refused(
                "unsupported-hypervisor",
                f"the domain has type={kind!r}; VFIO devices go to type='kvm' or type='qemu' only",
                subject=self.name,
                hint="use a KVM domain",
            )


def _host_devices(root: Element) -> Iterator[DomainDevice]:
    for address in cast("list[Any]", _ADDRESSES(root)):
        element = address.getparent().getparent()
        kind = element.tag, element.get("type")
        if kind == ("hostdev", "mdev"):
            yield DomainDevice(element, Mdev.parse(address.get("uuid", "")))
        elif kind in _PCI_KINDS and (element.tag != "interface" or address.get("type") in {None, "pci"}):
            yield DomainDevice(element, PciAddress.from_attributes(address))


def _once(found: Iterator[DomainDevice]) -> Mapping[HostDevice, DomainDevice]:
    held: dict[HostDevice, DomainDevice] = {}
    for holder in found:
        first = held.setdefault(holder.device, holder)
        # Two namespaces of one NVMe controller are two disks.
        if first is not holder and not (first.is_disk and holder.is_disk):
            raise Refused(
                "duplicate-device",
                f"the domain already gives this device to the guest twice (<{first.element.tag}> "
                f"and <{holder.element.tag}>)",
                subject=str(holder.device),
                hint="libvirt would say: Hostdev already exists in the domain configuration; remove one of them",
            )
    return held


def parse_tree(data: bytes) -> Element:
    """Read XML with the one parser there is, within bounds."""
    if not data.strip():
        raise BadInput("empty-document", "the domain XML is empty", hint=_WHOLE)
    if len(data) > MAX_BYTES:
        raise BadInput(
            "document-too-large",
            f"the domain XML has {len(data)} bytes, the limit is {MAX_BYTES}",
            hint="no real domain is that large; look at what produced it",
        )
    if _NOT_TEXT.match(data):
        raise BadInput("bad-encoding", "the domain XML is not UTF-8 text", hint="convert it to UTF-8")
    try:
        root = etree.fromstring(data, _PARSER)
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        # lxml says where twice, and calls what is no file <string>.
        text = printable(re.sub(r" \(<string>, line [0-9]+\)$", "", " ".join(str(error).split())), 200)
        raise BadInput("malformed-xml", f"the domain XML cannot be parsed: {text}", hint=_WHOLE) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise BadInput(
            "document-type",
            "the domain XML has a DOCTYPE; libvirt would read its entities",
            hint="remove the <!DOCTYPE …> declaration",
        )
    return root


def _devices(root: Element) -> Element:
    if root.tag != "domain":
        namespaced = isinstance(root.tag, str) and etree.QName(root).localname == "domain"
        what = "a default namespace" if namespaced else f"root <{_tag(root)}>"
        raise BadInput(
            "not-a-domain", f"the document has {what}, not <domain>", hint="hand over the XML of one libvirt domain"
        )
    found = root.findall("devices")
    if len(found) != 1:
        raise BadInput(
            "devices-count",
            f"the domain has {len(found)} <devices> elements, it must have one",
            subject=(root.findtext("name") or "").strip(),
            hint="hand over the XML of a whole domain, as libvirt or virt-launcher writes it",
        )
    return found[0]


def _tag(element: Element) -> str:
    return str(element.tag)[:60]
