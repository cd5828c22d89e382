"""The dialects of device plugins: which variable names the devices of a resource, and how each is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from domxml.errors import BadInput
from domxml.finding import Evidence, Finding
from domxml.pciaddress import PciAddress
from domxml.source import Mdev
from domxml.text import listed, printable
from hostdev.allocation.allocation import Device, Opaque, Usb
from hostdev.findings.allocation import DEVICE_NAME_UNREADABLE, DEVICE_NOT_FOR_VFIO

AUXILIARY = "auxiliary device"
TOKEN_LIMIT = 60

_USB = re.compile(r"([0-9]{1,4}):([0-9]{1,4})", re.ASCII)
_AUXILIARY = re.compile(r"[A-Za-z0-9_]+\.[A-Za-z0-9_-]+\.[0-9]+", re.ASCII)


def split(value: str) -> tuple[str, ...]:
    """The words of a comma list; blanks and empty words are dropped."""
    return tuple(word for part in value.split(",") if (word := part.strip()))


def classify(word: str) -> Device:
    """Read one word as a device; what is none is kept as it stands, to be told."""
    for parse in (PciAddress.parse, Mdev.parse):
        try:
            return parse(word)
        except BadInput:
            continue
    usb = _USB.fullmatch(word)
    if usb:
        return Usb(int(usb[1]), int(usb[2]))
    return Opaque(printable(word, TOKEN_LIMIT), AUXILIARY if _AUXILIARY.fullmatch(word) else "")


def devices(words: Iterable[str]) -> tuple[Device, ...]:
    """Each device once, in the order of the words."""
    return tuple(dict.fromkeys(map(classify, words)))


def remarks(found: Iterable[Device], subject: str, evidence: tuple[Evidence, ...] = ()) -> Iterator[Finding]:
    """Tell of the devices that cannot be passed, and of the words that name none."""
    strange = [device for device in found if isinstance(device, Usb | Opaque)]
    unreadable = [device for device in strange if not _kind(device)]
    known = [f"{_kind(device)} {device}" for device in strange if _kind(device)]
    if unreadable:
        text = f"cannot be read as a device: {listed(unreadable)}"
        yield DEVICE_NAME_UNREADABLE.found(subject, text, evidence=evidence)
    if known:
        yield DEVICE_NOT_FOR_VFIO.found(subject, f"left alone: {listed(known)}", evidence=evidence)


def _kind(device: Usb | Opaque) -> str:
    return "USB device" if isinstance(device, Usb) else device.kind


_MADE_OF_RESOURCE = "<RESOURCE>"


def resource_suffix(resource: str) -> str:
    """Spell a resource as plugins do: intel.com/sriov-net becomes INTEL_COM_SRIOV-NET."""
    return resource.upper().replace("/", "_").replace(".", "_")


def fold_name(name: str) -> str:
    """A name as a shell-minded plugin would spell it, without regard to case."""
    return name.upper().replace("-", "_")


_SPELLINGS: tuple[Callable[[str], str], ...] = (str, str.upper, fold_name)
"""How a name may differ from the computed one, the strictest first."""


def suffix_owners(suffixes: Collection[str], resources: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """The resources that each suffix stands for; of two that fit, the one that fits more strictly."""
    claims: dict[str, list[tuple[int, str]]] = {name: [] for name in suffixes}
    for resource in sorted(resources):
        strictness, names = _fitting(suffixes, resource_suffix(resource))
        for name in names:
            claims[name].append((strictness, resource))
    return {name: _strictest(fitting) for name, fitting in claims.items()}


def _fitting(suffixes: Collection[str], computed: str) -> tuple[int, list[str]]:
    for strictness, spelling in enumerate(_SPELLINGS):
        names = [name for name in suffixes if spelling(name) == spelling(computed)]
        if names:
            return strictness, names
    return len(_SPELLINGS), []


def _strictest(claims: list[tuple[int, str]]) -> tuple[str, ...]:
    best = min((strictness for strictness, _ in claims), default=0)
    return tuple(resource for strictness, resource in claims if strictness == best)


class Dialect(NamedTuple):
    """One plugin's way of telling. Several plugins share a way; what is said of each then holds for all."""

    plugin: str
    variables: tuple[str, ...]
    """As documentation writes them; `<RESOURCE>` stands for what the plugin makes of the resource."""
    example: str
    starts: tuple[str, ...]
    """What the names of its variables start with."""
    numbered: bool = False
    """Nothing but a number follows: one variable a device, none of which tells the resource."""
    family: str = ""
    """Numbered variables may belong to any resource of this vendor domain."""
    label: str = ""
    """What to name devices after whose variables tell nothing."""
    more: str = ""
    """Why it names more devices than were requested."""
    fewer: str = ""
    """Why it names fewer."""

    @property
    def stems(self) -> tuple[str, ...]:
        """What it puts before the name that it makes of the resource."""
        return tuple(
            name.removesuffix(_MADE_OF_RESOURCE) for name in self.variables if name.endswith(_MADE_OF_RESOURCE)
        )


DIALECTS: tuple[Dialect, ...] = (
    Dialect(
        "SR-IOV network device plugin",
        ("PCIDEVICE_<RESOURCE>", "PCIDEVICE_<RESOURCE>_INFO"),
        "PCIDEVICE_INTEL_COM_SRIOV=0000:03:02.1,0000:03:04.3",
        ("PCIDEVICE_",),
        fewer="the SR-IOV plugin leaves out devices that it does not know any more",
    ),
    Dialect(
        "KubeVirt",
        ("PCI_RESOURCE_<RESOURCE>", "MDEV_PCI_RESOURCE_<RESOURCE>", "USB_RESOURCE_<RESOURCE>"),
        "PCI_RESOURCE_DEVICES_KUBEVIRT_IO_NVME=0000:5e:00.0",
        ("PCI_RESOURCE_", "MDEV_PCI_RESOURCE_", "USB_RESOURCE_"),
    ),
    Dialect(
        "NVIDIA KubeVirt GPU device plugin",
        ("PCI_RESOURCE_NVIDIA_COM_<NAME>", "MDEV_PCI_RESOURCE_NVIDIA_COM_<NAME>"),
        "PCI_RESOURCE_NVIDIA_COM_TU104GL_TESLA_T4=0000:da:00.0",
        ("PCI_RESOURCE_NVIDIA_COM_", "MDEV_PCI_RESOURCE_NVIDIA_COM_"),
        more="before 1.6 NVIDIA's plugin names all its functions of the IOMMU group",
    ),
    Dialect(
        "Harvester PCI devices",
        ("PCI_RESOURCE_<RESOURCE>", "MDEV_PCI_RESOURCE_<RESOURCE>", "USB_RESOURCE_<RESOURCE>"),
        "PCI_RESOURCE_NVIDIA_COM_GP106_GEFORCE_GTX_1060_3GB=0000:04:00.0,0000:04:00.0",
        ("PCI_RESOURCE_", "MDEV_PCI_RESOURCE_", "USB_RESOURCE_"),
        more="Harvester adds the resource's other devices of the IOMMU group, Passgate's offer those of the unit",
    ),
    Dialect(
        "AMD GPU device plugin",
        ("PCI_RESOURCE_AMD_COM_GPU", "PCI_RESOURCE_AMD_COM_GPU_VF", "PCI_RESOURCE_AMD_COM_GPU_PF"),
        "PCI_RESOURCE_AMD_COM_GPU_VF=0000:c1:02.0",
        ("PCI_RESOURCE_AMD_COM_GPU",),
        more="AMD's plugin names all functions of the IOMMU group",
        fewer="of several GPUs AMD's plugin names the last group only",
    ),
    Dialect(
        "Intel QAT device plugin",
        ("QAT<N>",),
        "QAT0=0000:3d:02.2",
        ("QAT",),
        numbered=True,
        family="qat.intel.com",
        label="qat",
        fewer="two qat.intel.com resources in one container both start at QAT0, and kubelet keeps one",
    ),
    Dialect(
        "Intel DSA device plugin, on vfio-pci",
        ("VFIO_BDF<N>",),
        "VFIO_BDF0=0000:6a:01.0",
        ("VFIO_BDF",),
        numbered=True,
        family="dsa.intel.com",
        label="dsa",
        fewer="two dsa.intel.com resources in one container both start at VFIO_BDF0, and kubelet keeps one",
    ),
    Dialect(
        "SR-IOV DRA driver",
        ("SRIOVNETWORK_VF_DEVICE_<DEVICE>", "SRIOVNETWORK_PCI_ADDRESSES"),
        "SRIOVNETWORK_VF_DEVICE_0000_3b_02_1=0000:3b:02.1",
        ("SRIOVNETWORK_VF_DEVICE_", "SRIOVNETWORK_PCI_ADDRESSES"),
        # Its variables are named after host addresses, which must not get into a domain.
        label="sriovnetwork",
    ),
)

_DIGITS = 5


def dialects_of(variable: str) -> tuple[Dialect, ...]:
    """The rows that a variable's name fits."""
    rows = tuple(row for row in DIALECTS if variable.startswith(row.starts) and _fits(row, variable))
    return () if rows and variable in stems() else rows


def stems() -> tuple[str, ...]:
    """What any plugin puts before the name that it makes of the resource."""
    return tuple(dict.fromkeys(stem for row in DIALECTS for stem in row.stems))


def variable_stem(variable: str) -> str:
    """What the variable starts with, if anything follows; empty: its name is not made of a resource."""
    return next((stem for stem in stems() if variable.startswith(stem) and len(variable) > len(stem)), "")


def variable_number(variable: str, row: Dialect) -> int:
    """The number of QAT7; 0 where nothing is numbered."""
    return int(variable.removeprefix(row.starts[0])) if row.numbered else 0


def _fits(row: Dialect, variable: str) -> bool:
    if not row.numbered:
        return True
    number = variable.removeprefix(row.starts[0])
    return number.isascii() and number.isdecimal() and len(number) <= _DIGITS
