"""What the guest's processor says of physical addresses: what may be known, and each case of what may not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from domxml.commandline import option_values
from domxml.document import Domain, Element
from domxml.guestpci.machines import VIRT
from domxml.pciaddress import read_number
from hostdev.fit.guest import Guest
from hostdev.fit.inputs import AMD, INTEL, OTHER, VENDOR_NAMES, Choice, Node, vendor_of

DEFAULT_BITS = 40
"""What QEMU shows a guest unless it is told."""
MOST_BITS = 52
_HOST_BITS = (36, *range(39, MOST_BITS + 1))
"""What processors have that can run guests."""
_ARM_BITS = (40, 42, 44, 48, 52)
_ARM_MODELS = MappingProxyType({"cortex-a53": 40, "cortex-a57": 44, "cortex-a72": 44, "cortex-a76": 40, "max": 52})
_INTEL_MODELS = ("Broadwell", "Cascadelake", "Clearwater", "Conroe", "Cooperlake", "Denverton", "Granite", "Haswell")
_MORE_INTEL = ("Icelake", "IvyBridge", "Knights", "Nehalem", "Penryn", "SandyBridge", "Sapphire", "Sierra", "Skylake")
_REST_INTEL = ("Snowridge", "Westmere", "core2duo", "coreduo", "kvm", "n270", "pentium", "qemu32")
_VENDOR_OF_MODEL = (
    (INTEL, (*_INTEL_MODELS, *_MORE_INTEL, *_REST_INTEL)),
    (AMD, ("EPYC", "Opteron", "athlon", "phenom", "qemu64", "max")),
    (OTHER, ("Dhyana", "YongFeng")),
)
_LARGE_PAGES = (
    *("Cascadelake-", "Clearwater", "Cooperlake", "Denverton", "Dhyana", "EPYC", "Granite", "Icelake-Server"),
    *(
        "Knights",
        "Opteron_G4",
        "Opteron_G5",
        "Sapphire",
        "Sierra",
        "Skylake-Server",
        "Snowridge",
        "YongFeng",
        "max",
        "phenom",
    ),
)
"""Models of QEMU's that have pages of 1 GiB."""
_SMALL_PAGES = (
    *("Broadwell", "Conroe", "Haswell", "IvyBridge", "Nehalem", "Opteron_G", "Penryn", "SandyBridge", "Skylake-Client"),
    *("Westmere", "athlon", "core2duo", "coreduo", "kvm", "n270", "pentium", "qemu", "486"),
)
_OWN = ("host", "max")
_PAGES = "pdpe1gb"
VENDOR, BITS, GUEST_BITS, PAGES = "vendor", "bits", "guest-bits", "pages"
"""What it may depend on."""


class Processor(NamedTuple):
    """One case."""

    vendor: str
    bits: int
    guest_bits: int = 0
    large_pages: bool = True

    @property
    def is_amd(self) -> bool:
        """Whether QEMU takes it for AMD's, and keeps addresses free for its IOMMU."""
        return self.vendor == AMD

    @property
    def believed(self) -> bool:
        """Whether firmware believes its bits: it distrusts what QEMU shows when it is told nothing."""
        return self.bits >= 41 or (self.vendor == INTEL and self.bits in {36, 39}) or (self.is_amd and self.bits == 40)


class Asked(NamedTuple):
    """What domain and command line ask for; None is what they leave open."""

    model: str
    """`host`, `max`, a name; empty for the machine's default."""
    bits: int | None
    from_host: bool
    """The host's bits, at most `limit`."""
    limit: int
    guest_bits: int | None
    vendor: str
    large_pages: bool | None


def asked_of(domain: Domain) -> Asked:
    """Read <cpu>, or what the command line has in its place."""
    told = list(option_values(domain, "-cpu"))
    return _from_command_line(told[-1]) if told else _from_xml(domain.root.find("cpu"))


def _from_xml(cpu: Element | None) -> Asked:
    if cpu is None:
        return Asked("", None, False, 0, None, "", None)
    mode = cpu.get("mode", "custom")
    model = {"host-passthrough": "host", "maximum": "max", "host-model": "host-model"}.get(mode, "")
    if not model:
        model = (cpu.findtext("model") or "").strip()
    width = cpu.find("maxphysaddr")
    emulated = width is not None and width.get("mode") == "emulate"
    passed = width is not None and width.get("mode") == "passthrough"
    limit = read_number(width.get("limit")) or 0 if passed and width is not None else 0
    bits = read_number(width.get("bits")) if emulated and width is not None else None
    pages = None
    for feature in cpu.iterfind("feature"):
        if feature.get("name") == _PAGES:
            pages = feature.get("policy", "require") in {"require", "force"}
    return Asked(model, bits, (model in _OWN or passed) and bits is None, limit, None, "", pages)


def _from_command_line(text: str) -> Asked:
    model, *settings = text.split(",")
    told: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        told[name.lstrip("+-")] = ("off" if name[:1] == "-" else "on") if not equals else value
    bits = read_number(told.get("phys-bits")) or None
    from_host = told.get("host-phys-bits", "on" if model in _OWN else "off") == "on"
    pages = told.get(_PAGES)
    return Asked(
        model,
        bits,
        from_host and bits is None,
        read_number(told.get("host-phys-bits-limit")) or 0,
        read_number(told.get("guest-phys-bits")),
        vendor_of(told.get("vendor", "")),
        None if pages is None else pages == "on",
    )


def choices(domain: Domain, guest: Guest, node: Node, bits: int | None) -> Mapping[str, tuple[Choice, ...]]:
    """List the values of everything that the processor's part of the answer depends on."""
    asked = asked_of(domain)
    if guest.machine is VIRT:
        return {BITS: tuple(_arm_bits(asked, guest, node, bits))}
    return {
        VENDOR: tuple(_vendors(asked, guest, node)),
        BITS: tuple(_bits(asked, guest, node, bits)),
        GUEST_BITS: tuple(_guest_bits(asked, guest, node)),
        PAGES: tuple(_pages(asked, guest)),
    }


def _vendors(asked: Asked, guest: Guest, node: Node) -> Iterator[Choice]:
    vendor = asked.vendor or (node.vendor if guest.kvm else _vendor_of(asked.model or "qemu64"))
    if vendor:
        yield Choice(vendor, VENDOR_NAMES[vendor])
    else:
        yield from (Choice(one, name) for one, name in VENDOR_NAMES.items())


def _vendor_of(model: str) -> str:
    return next((vendor for vendor, names in _VENDOR_OF_MODEL if model.startswith(names)), "")


def _bits(asked: Asked, guest: Guest, node: Node, told: int | None) -> Iterator[Choice]:
    if told is not None or asked.bits is not None:
        yield _of_guest(told if told is not None else asked.bits or DEFAULT_BITS)
        return
    from_host = guest.host_bits if not asked.from_host else True
    if not guest.kvm:
        yield _of_guest(DEFAULT_BITS)
        return
    if from_host is not True:
        yield Choice(DEFAULT_BITS, f"QEMU's default of {DEFAULT_BITS} bits")
    if from_host is not False:
        for bits in (node.bits,) if node.bits is not None else _HOST_BITS:
            shown = min(bits, asked.limit) if asked.limit else bits
            if from_host or shown != DEFAULT_BITS:
                yield Choice(shown, f"{bits} bits")


def _of_guest(bits: int) -> Choice:
    return Choice(bits, f"{bits} bits")


def _guest_bits(asked: Asked, guest: Guest, node: Node) -> Iterator[Choice]:
    if asked.guest_bits is not None:
        yield Choice(asked.guest_bits, f"{asked.guest_bits} guest bits")
        return
    told = node.told_guest_bits
    passes_on = guest.tells_guest_bits if guest.kvm else False
    if passes_on is not True or told in {0, None}:
        yield Choice(0, "they do not")
    if passes_on is not False and told != 0:
        # No less than what the firmware goes up to: it makes it believe the other number, and no more.
        yield Choice(told or MOST_BITS, "they do")


def _pages(asked: Asked, guest: Guest) -> Iterator[Choice]:
    known = asked.large_pages
    if known is None:
        known = _has_large_pages(asked.model or "qemu64", guest)
    if known is not False:
        yield Choice(True, "it has")
    if known is not True:
        yield Choice(False, "it has none")


def _has_large_pages(model: str, guest: Guest) -> bool | None:
    # Each processor with more than 40 bits has them, and they change nothing for others.
    if (guest.kvm and model in {"host", "max", "host-model"}) or model.startswith(_LARGE_PAGES):
        return True
    return False if model.startswith(_SMALL_PAGES) else None


def _arm_bits(asked: Asked, guest: Guest, node: Node, told: int | None) -> Iterator[Choice]:
    known = told if told is not None else (node.bits if guest.kvm else _ARM_MODELS.get(asked.model or "cortex-a15"))
    for bits in (known,) if known is not None else _ARM_BITS:
        yield Choice(bits, f"{bits} bits")
