"""Models of which it is known that they do not come back from a VM, or harm one: by ids, with kernels and sources.

What is not here is not known to be good.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from hostdev.inventory.machine import PciFunction

QUIRKS = "Linux, drivers/pci/quirks.c"
VENDOR_RESET = "github.com/gnif/vendor-reset, src/device-db.h"


class Model(NamedTuple):
    """Devices that behave alike."""

    name: str
    vendor: int
    devices: Collection[int]
    trouble: str
    """What happens, as a sentence about the device goes on."""
    helps: str
    source: str
    fixed: tuple[int, int] | None = None
    """The first Linux that works around it; None: none does."""


_AMD_RESET = "does not reset: a VM leaves it in a state from which the next one, or the guest's reboot, cannot start it"
_AMD_HELPS = "load the module vendor-reset, or reboot the node between two VMs"
_BUS_KILLS = "does not come back from a bus reset until the node is powered off"
_FLR_HANGS = "hangs after a function level reset"
_ALIAS = "speaks with the number of its function 1, which the IOMMU stops"
_ALIAS_QUIRK = f"{QUIRKS}, quirk_dma_func1_alias, bugzilla 42679"
_NEWER = "use a newer kernel, or choose another method in `reset_method`"

MODELS = (
    Model(
        "AMD Polaris (RX 400, RX 500, Pro WX)",
        0x1002,
        frozenset(
            (
                *(0x67C0, 0x67C1, 0x67C2, 0x67C4, 0x67C7, 0x67C8, 0x67C9, 0x67CA, 0x67CC, 0x67CF, 0x67D0, 0x67DF),
                *(0x67E0, 0x67E1, 0x67E3, 0x67E7, 0x67E8, 0x67E9, 0x67EB, 0x67EF, 0x67FF, 0x6FDF),
                *(0x6980, 0x6981, 0x6985, 0x6986, 0x6987, 0x6995, 0x6997, 0x699F),
            )
        ),
        _AMD_RESET,
        _AMD_HELPS,
        VENDOR_RESET,
    ),
    Model(
        "AMD Vega 10 (Vega 56, Vega 64, MI25)",
        0x1002,
        frozenset((*range(0x6860, 0x6865), *range(0x6867, 0x6870), 0x687F)),
        _AMD_RESET,
        _AMD_HELPS,
        VENDOR_RESET,
    ),
    Model(
        "AMD Vega 20 (Radeon VII, MI50, MI60)",
        0x1002,
        frozenset((*range(0x66A0, 0x66A5), 0x66A7, 0x66AF)),
        _AMD_RESET,
        _AMD_HELPS,
        VENDOR_RESET,
    ),
    Model(
        "AMD Navi 10, 12 and 14 (RX 5000, Pro V520)",
        0x1002,
        frozenset(
            (
                *(0x7310, 0x7312, 0x7318, 0x7319, 0x731A, 0x731B, 0x731E, 0x731F),
                *(0x7340, 0x7341, 0x7347, 0x734F, 0x7360, 0x7362),
            )
        ),
        _AMD_RESET,
        _AMD_HELPS,
        VENDOR_RESET,
    ),
    Model(
        "AMD Instinct, as a whole card",
        0x1002,
        frozenset((0x740F, 0x75A3)),
        "reads nothing but ones after a reset by vfio-pci, until the node is booted; its VFs do not",
        "give VFs of it to VMs, and not the PF",
        "github.com/amd/MxGPU-Virtualization/issues/25",
    ),
    Model(
        "NVIDIA Tesla T4",
        0x10DE,
        frozenset((0x1EB8,)),
        f"{_BUS_KILLS}, where it is right below a root port",
        _NEWER,
        f"{QUIRKS}, d5af729dc207",
        (6, 5),
    ),
    Model(
        "NVIDIA GPUs 0x2340 to 0x237f (GH200 and relatives)",
        0x10DE,
        range(0x2340, 0x2380),
        _BUS_KILLS,
        _NEWER,
        f"{QUIRKS}, 4c207e7121fa",
        (5, 14),
    ),
    Model(
        "AMD Starship and Matisse: audio and USB of the processor",
        0x1022,
        frozenset((0x1487, 0x148C, 0x149C)),
        _FLR_HANGS,
        _NEWER,
        f"{QUIRKS}, quirk_no_flr",
        (5, 8),
    ),
    Model(
        "AMD FCH SATA controller",
        0x1022,
        frozenset((0x7901,)),
        "does not find its disks in the guest after a function level reset",
        "use a newer kernel, or `echo bus > reset_method` before it is bound",
        f"{QUIRKS}, quirk_no_flr",
        (6, 3),
    ),
    Model(
        "MediaTek MT7922",
        0x14C3,
        frozenset((0x0616,)),
        _FLR_HANGS,
        _NEWER,
        f"{QUIRKS}, quirk_no_flr",
        (6, 14),
    ),
    Model(
        "MediaTek MT7925",
        0x14C3,
        frozenset((0x7925,)),
        f"{_FLR_HANGS}: its firmware does not start again until the node is powered off",
        "`echo bus > reset_method` before a VM gets it",
        "linux-pci, 2026-05, `PCI: Disable FLR for MT7925`",
    ),
    Model(
        "Qualcomm WCN6855 and WCN7850",
        0x17CB,
        frozenset((0x1103, 0x1107)),
        "does not come back from a bus reset, and has no other reset",
        "expect to power the node off between two VMs",
        "linux-pci, 2026-06, `PCI: Disable broken bus reset on Qualcomm devices`",
    ),
    Model(
        "Atheros QCA6174",
        0x168C,
        frozenset((0x003E,)),
        "hangs the VM after a bus reset, as soon as its driver loads",
        _NEWER,
        f"{QUIRKS}, quirk_no_bus_reset",
        (5, 16),
    ),
    Model(
        "TI KeyStone C667X",
        0x104C,
        frozenset((0xB005,)),
        "has no reset that works: the kernel leaves it as it is, with what the VM before left in it",
        "keep it to one tenant",
        f"{QUIRKS}, quirk_no_bus_reset",
    ),
    Model(
        "Marvell 88SE9215",
        0x1B4B,
        frozenset((0x9215,)),
        _ALIAS,
        "use a newer kernel",
        _ALIAS_QUIRK,
        (5, 12),
    ),
    Model(
        "Marvell 88SE9125",
        0x1B4B,
        frozenset((0x9125,)),
        _ALIAS,
        "use a newer kernel",
        _ALIAS_QUIRK,
        (5, 17),
    ),
    Model(
        "Marvell 88SE9123 to 88SE9230",
        0x1B4B,
        frozenset((0x9123, 0x9130, 0x9172, 0x917A, 0x91A0, 0x9230)),
        _ALIAS,
        "use a newer kernel",
        f"{_ALIAS_QUIRK}; the first release with all of them is not known, 4.7 has them",
        (4, 7),
    ),
)


def known_model(function: PciFunction) -> Model | None:
    """The row of a function; VFs have ids of their own."""
    found = (model for model in MODELS if model.vendor == function.vendor and function.device in model.devices)
    return next(found, None)
