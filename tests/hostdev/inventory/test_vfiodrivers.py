"""The table of vfio drivers, and the modules that are looked for."""

from __future__ import annotations

import pytest

from hostdev.inventory.platform import MODULES
from hostdev.inventory.vfiodrivers import VFIO_DRIVERS, vfio_driver


def test_every_driver_is_looked_for_among_the_modules() -> None:
    assert [name for name in VFIO_DRIVERS if name not in MODULES] == []


@pytest.mark.parametrize("name", ["qat_vfio_pci", "xe-vfio-pci", "xe_vfio_pci", "ism_vfio_pci", "nvgrace_gpu_vfio_pci"])
def test_new_ones_are_known_in_either_spelling(name: str) -> None:
    assert vfio_driver(name) is not None
    assert vfio_driver(name.replace("_", "-")) is vfio_driver(name)
