"""What kernels say, word for word, and which device it is about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.pciaddress import PciAddress
from hostdev.inventory.kernellog import LogLine
from hostdev.vitals.kernelwords import MOST, read_words

DEVICE = "0000:44:00.0"
PORT = "0000:40:02.0"


def codes(*texts: str, device: str = DEVICE, parent: str | None = PORT) -> list[str]:
    lines = [LogLine(float(number), text) for number, text in enumerate(texts)]
    above = PciAddress.parse(parent) if parent else None
    return [found.code for found in read_words(device, lines, PciAddress.parse(device), above).findings]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (
            "DMAR: [DMA Read NO_PASID] Request device [44:00.0] fault addr 0x5000000 [fault reason 0x06] PTE",
            "dma-fault",
        ),
        ("DMAR: [DMA Write] Request device [44:00.0] PASID ffffffff fault addr 0 [fault reason 05]", "dma-fault"),
        ("DMAR: [INTR-REMAP] Request device [44:00.0] fault index 0x22 [fault reason 0x25]", "dma-fault"),
        (
            "vfio-pci 0000:44:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0014 address=0x0 flags=0x0]",
            "dma-fault",
        ),
        ("AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:44:00.0 domain=0x14 address=0x0 flags=0x0]", "dma-fault"),
        ("arm-smmu-v3 arm-smmu-v3.0.auto: event: F_TRANSLATION client: 0000:44:00.0 sid: 0x4400", "dma-fault"),
        ("vfio-pci 0000:44:00.0: PCIe Bus Error: severity=Uncorrectable (Non-Fatal), type=Transaction", "bus-error"),
        ("vfio-pci 0000:44:00.0: PCIe Bus Error: severity=Uncorrected (Fatal), type=Inaccessible", "bus-error"),
        ("pcieport 0000:40:02.0: PCIe Bus Error: severity=Uncorrectable (Fatal), type=Data Link", "bus-error"),
        ("pcieport 0000:40:02.0: DPC: containment event, status:0x1f01 source:0x0000", "bus-error"),
        (
            "vfio-pci 0000:44:00.0: Unable to change power state from D3cold to D0, device inaccessible",
            "device-off-bus",
        ),
        ("pcieport 0000:40:02.0: pciehp: Slot(3): Link Down", "device-off-bus"),
        ("pcieport 0000:40:02.0: pciehp: Slot(3-1): Card not present", "device-off-bus"),
        ("NVRM: Xid (PCI:0000:44:00): 79, pid='<unknown>', GPU has fallen off the bus.", "device-off-bus"),
        ("vfio-pci 0000:44:00.0: refused to change power state from D3hot to D0", "device-power-stuck"),
        ("vfio-pci 0000:44:00.0: Refused to change power state, currently in D3", "device-power-stuck"),
        ("vfio-pci 0000:44:00.0: not ready 65535ms after FLR; giving up", "device-reset-failed"),
        ("vfio-pci 0000:44:00.0: not ready 65535ms after bus reset; giving up", "device-reset-failed"),
    ],
)
def test_trouble(text: str, code: str) -> None:
    assert codes(text) == [code]


@pytest.mark.parametrize(
    "text",
    [
        # Nothing lost, or not yet.
        "vfio-pci 0000:44:00.0: not ready 1023ms after FLR; waiting",
        "vfio-pci 0000:44:00.0: PCIe Bus Error: severity=Corrected, type=Physical Layer, (Receiver ID)",
        "vfio-pci 0000:44:00.0: PCIe Bus Error: severity=Correctable, type=Physical Layer",
        "vfio-pci 0000:44:00.0: resetting",
        "vfio-pci 0000:44:00.0: enabling device (0000 -> 0002)",
        # Of others.
        "DMAR: [DMA Read NO_PASID] Request device [44:00.1] fault addr 0x5000000",
        "DMAR: [DMA Read NO_PASID] Request device [04:00.0] fault addr 0x5000000",
        "DMAR: DRHD: handling fault status reg 2",
        "vfio-pci 0001:44:00.0: not ready 65535ms after FLR; giving up",
        "vfio-pci 0000:44:00.01: not ready 65535ms after FLR; giving up",
        # Of the port itself: it has a power state of its own.
        "pcieport 0000:40:02.0: Unable to change power state from D3cold to D0, device inaccessible",
        "pcieport 0000:40:03.0: pciehp: Slot(3): Link Down",
    ],
)
def test_no_trouble(text: str) -> None:
    assert codes(text) == []


def test_intels_iommu_names_no_pci_domain() -> None:
    line = "DMAR: [DMA Read NO_PASID] Request device [44:00.0] fault addr 0x0"

    assert codes(line, device="0001:44:00.0", parent=None) == []


def test_many_faults_are_one_finding_with_the_last_lines() -> None:
    line = "DMAR: [DMA Read NO_PASID] Request device [44:00.0] fault addr {:#x}"
    lines = [LogLine(float(number), line.format(number)) for number in range(100)]

    (found,) = read_words(DEVICE, lines, PciAddress.parse(DEVICE), None).findings

    assert "100 times" in found.message
    assert len(found.evidence) == MOST
    assert found.evidence[-1].content.endswith("fault addr 0x63")


def test_other_lines_about_it_are_kept() -> None:
    lines = [
        LogLine(1.0, "vfio-pci 0000:44:00.0: Relaying device request to user (#0)"),
        LogLine(2.0, "audit: something 0000:44:00.0 else"),
    ]

    said = read_words(DEVICE, lines, PciAddress.parse(DEVICE), None)

    assert [line.seconds for line in said.others] == [1.0]


@given(st.text(max_size=80))
def test_no_text_breaks_it(text: str) -> None:
    for found in read_words(DEVICE, [LogLine(0.0, f"{DEVICE} device inaccessible {text}")], None, None).findings:
        assert found.message.isascii()
