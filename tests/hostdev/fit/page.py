"""The tables of docs/fit.md, and its picture: every recorded graphics card in VMs of KubeVirt, by firmware and bits.

`python -m tests.hostdev.fit.page` writes both again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from domxml.document import Domain
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice
from hostdev.fit.firmware import parse_firmware
from hostdev.fit.fit import Fit, fit
from hostdev.fit.inputs import HostFunction, Node, host_functions
from hostdev.fit.solution import Outcome
from hostdev.inventory.bars import size_text
from hostdev.kubevirt.channels import Asked, Given
from hostdev.kubevirt.releases import release_of
from hostdev.kubevirt.vmplan import plan_vm
from tests.hostdev.cli.running import machine, process
from tests.house import ROOT

PAGE = ROOT / "docs/fit.md"
PICTURE = ROOT / "docs/fit/h100.svg"
DRAWN = (
    *("fit", "docs/fit/h100.yaml", "--env-file", "docs/fit/h100.env"),
    *("--host", "tests/fixtures/machines/hgx-h100.toml", "--firmware", "ovmf-2025.02", "--physical-bits", "42"),
    *("-o", "svg"),
)
TABLE = re.compile(r"(?<=<!-- made by tests/hostdev/fit/page\.py -->\n).*?(?=<!-- end -->)", re.DOTALL)
RESOURCE = "example.com/CARD"
COUNTS = (1, 4, 8)
KERNEL = "6.1"
"""Its KVM tells no guest how many bits it can use, as that of Linux 6.10 does."""


class Card(NamedTuple):
    """A recorded card."""

    name: str
    machine: str
    address: str
    resized: int = 0
    """The size that its second BAR is set to."""


CARDS = (
    Card("T4 (16 MiB, 256 MiB, 32 MiB)", "tesla-t4", "0000:3b:00.0"),
    Card("consumer card, VGA class (the same, and I/O)", "consumer-gpu", "0000:01:00.0"),
    Card("the same, its BAR resized to 16 GiB", "consumer-gpu", "0000:01:00.0", 16 << 30),
    Card("H100 SXM (16 MiB, 128 GiB, 32 MiB)", "hgx-h100", "0000:19:00.0"),
)
FIRMWARES = ("ovmf-2022.11", "ovmf-2025.02", "ovmf-2026.11", "seabios-1.16.3", "seabios-1.17.0")
GUESTS = (
    *(("40 bits, Intel", "intel", 40), ("40 bits, AMD", "amd", 40)),
    *((f"{bits} bits", "intel", bits) for bits in (42, 44, 46)),
)


def vm(count: int, *, efi: bool) -> dict[str, object]:
    """A VM of KubeVirt with so many cards."""
    domain: dict[str, object] = {
        "machine": {"type": "q35"},
        "memory": {"guest": "64Gi"},
        "devices": {
            "gpus": [{"name": f"gpu{number}", "deviceName": RESOURCE} for number in range(count)],
            "disks": [{"name": "root", "disk": {"bus": "virtio"}}],
            "interfaces": [{"name": "default", "masquerade": {}}],
        },
    }
    if efi:
        domain["firmware"] = {"bootloader": {"efi": {"secureBoot": False}}}
    spec = {
        "architecture": "amd64",
        "domain": domain,
        "networks": [{"name": "default", "pod": {}}],
        "volumes": [{"name": "root", "containerDisk": {"image": "registry.example/disk"}}],
    }
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {"name": "cards"},
        "spec": spec,
    }


def domain_of(count: int, *, efi: bool) -> Domain:
    """The domain of its last pass."""
    devices = ",".join(f"0000:{0x10 + number:02x}:00.0" for number in range(count))
    given = Given({"PCI_RESOURCE_EXAMPLE_COM_CARD": devices})
    return Domain.parse(plan_vm(vm(count, efi=efi), Asked(release_of("1.9"), given)).final)


def functions_of(card: Card, domain: Domain) -> dict[HostDevice, HostFunction]:
    """Each host device of the domain as that card."""
    host, address = machine(card.machine, bars=True), PciAddress.parse(card.address)
    known = host_functions(host, [address])[address]
    if card.resized:
        bars = tuple(bar._replace(size=card.resized) if bar.index == 1 else bar for bar in known.bars)
        known = known._replace(bars=bars)
    return dict.fromkeys(domain.host_devices, known)


def answer(card: Card, domain: Domain, firmware: str, vendor: str, bits: int) -> Fit:
    return fit(
        domain, functions_of(card, domain), Node(vendor, kernel=KERNEL), firmware=parse_firmware(firmware), bits=bits
    )


def tables() -> str:
    """A table for each firmware."""
    domains = {(count, efi): domain_of(count, efi=efi) for count in COUNTS for efi in (True, False)}
    return "".join(part for firmware in FIRMWARES for part in _table(firmware, domains))


def _table(firmware: str, domains: dict[tuple[int, bool], Domain]) -> Iterator[str]:
    kind, _, release = firmware.partition("-")
    yield f"\n### {'OVMF' if kind == 'ovmf' else 'SeaBIOS'} {release}\n\n"
    yield f"| card | cards | needs | {' | '.join(name for name, _, _ in GUESTS)} |\n"
    yield f"| --- | --- | --- |{' --- |' * len(GUESTS)}\n"
    for card in CARDS:
        for count in COUNTS:
            domain = domains[count, kind == "ovmf"]
            answers = [answer(card, domain, firmware, vendor, bits) for _, vendor, bits in GUESTS]
            needed = _needed(card, domain, firmware)
            cells = [_cell(one, count) for one in answers]
            yield f"| {card.name} | {count} | {needed} | {' | '.join(cells)} |\n"


def _needed(card: Card, domain: Domain, firmware: str) -> str:
    """The least bits with which all have room, and how much of the window they take then."""
    for bits in range(40, 53):
        found = answer(card, domain, firmware, "intel", bits)
        if found.outcome is Outcome.FITS:
            (size,) = [window.size for window in found.windows if window.kind == "mem64"] or [0]
            room = f" of {size_text(size)}" if size else ""
            return f"{bits} bits: {size_text(found.asked)}{room}"
    return "-"


def _cell(found: Fit, count: int) -> str:
    if found.outcome is Outcome.DEVICES_MISSING:
        placed = sum(one.placed is True for one in found.functions if one.source)
        return f"{placed} of {count}"
    return _WORDS[found.outcome]


_WORDS = {
    Outcome.FITS: "fits",
    Outcome.NO_PCI: "**no PCI**",
    Outcome.NOT_STARTED: "QEMU does not start",
    Outcome.OUT_OF_REACH: "out of reach",
    Outcome.DEPENDS: "depends",
}


def with_tables(text: str) -> str:
    """The page with the tables as they are now."""
    return TABLE.sub(lambda _: f"{tables()}\n", text)


def picture() -> str:
    return process(*DRAWN).out


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
    PICTURE.write_text(picture())
