"""What the kernel says of devices while they change hands, without what it says of everything else."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from domxml.pciaddress import PciAddress
from tests.vmhost.inside.patience import PATIENCE

_RECORD = 1 << 13
_PAUSE = 0.5
_NOTHING = "nothing"
_NOISE = re.compile(
    r"BAR \d|bridge window|enabling device|resett?ing|reset done|Intel\(R\)|PHC|NIC Link|registered|Assigning random|"
    r"PCIe link|EEE|MAC:|eth\d|en[ops]\d|Using (MSI|legacy)|\d+ (tx|rx|queues)|default/read/poll|allocated|\[drm\]|"
    r"pci function|Address: |PBA No|removed|Reload the VF|Bring up the PF|vgaarb|\bfb\d|type 00 class|I/O|"
    r"input:|hdaudio|Interrupt|Adding to iommu group"
)
"""What comes with every probe, or not in every run."""


def answer(path: Path, value: str) -> str:
    """What the kernel says to a write."""
    try:
        path.write_text(value)
    except OSError as error:
        return str(error.strerror)
    return "it takes the write"


class KernelLog:
    """The kernel's log from now on."""

    def __init__(self) -> None:
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._fd, 0, os.SEEK_END)

    def said(self, *addresses: PciAddress) -> str:
        """What it has said of these since it was last asked, each thing once; "nothing" where it has said nothing."""
        names = tuple(map(str, addresses))
        words = (line for line in self._lines() if any(name in line for name in names) and not _NOISE.search(line))
        return "; ".join(dict.fromkeys(words)) or _NOTHING

    def said_soon(self, *addresses: PciAddress) -> str:
        """The same, once it has said something: on a busy host that may take a while."""
        until = time.monotonic() + PATIENCE
        while (words := self.said(*addresses)) == _NOTHING and time.monotonic() < until:
            time.sleep(_PAUSE)
        return words

    def _lines(self) -> Iterator[str]:
        while True:
            try:
                record = os.read(self._fd, _RECORD)
            except BlockingIOError:
                return
            except BrokenPipeError:
                # What is lost was overwritten meanwhile.
                continue
            yield record.decode(errors="replace").partition(";")[2].split("\n")[0].strip()
