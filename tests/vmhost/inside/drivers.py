"""Functions that are on another driver for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domxml.pciaddress import PciAddress
from tests.vmhost.inside import layers, pci
from tests.vmhost.inside.prepare import run


@contextmanager
def driven(address: PciAddress, driver: str) -> Iterator[None]:
    """A function that has no driver has one."""
    run("modprobe", driver)
    pci.bind(address, driver)
    try:
        layers.wait((pci.directory(address) / "net").is_dir)
        run("udevadm", "settle")
        yield
    finally:
        (pci.directory(address) / "driver_override").write_text("\n")
        (pci.directory(address) / "driver/unbind").write_text(str(address))


@contextmanager
def bound_for_a_while(*addresses: PciAddress) -> Iterator[None]:
    """Functions are on vfio-pci, and then again on what has them without an override."""
    for address in addresses:
        pci.bind(address)
    try:
        yield
    finally:
        for address in addresses:
            pci.release(address)


@contextmanager
def display_on_host(display: PciAddress, *, console: bool = False) -> Iterator[str]:
    """A display that was set aside is on its DRM driver, with the console on it or without; the node of its card."""
    run("modprobe", "bochs")
    pci.release(display)
    try:
        layers.wait(lambda: any((pci.directory(display) / "drm").glob("card*")))
        run("udevadm", "settle")
        (card,) = (pci.directory(display) / "drm").glob("card*")
        if not console:
            for one in Path("/sys/class/vtconsole").glob("vtcon*"):
                if "frame buffer" in (one / "name").read_text():
                    (one / "bind").write_text("0")
        yield f"/dev/dri/{card.name}"
    finally:
        pci.bind(display)
        run("modprobe", "--remove", "bochs")
