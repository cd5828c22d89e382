"""The recorded machines of tests/fixtures/machines, laid out and scanned."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from domxml.pciaddress import PciAddress
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.scan import scan

FIXTURES = Path(__file__).parents[2] / "fixtures" / "machines"
NAMES = sorted(path.stem for path in FIXTURES.glob("*.toml"))


def fixture(name: str) -> Path:
    """The file of a recorded machine."""
    return FIXTURES / f"{name}.toml"


@cache
def picture(name: str) -> Machine:
    """What a scan sees of a recorded machine."""
    with open_host(fixture(name)) as host:
        return scan(host)


def function(name: str, address: str) -> PciFunction:
    """One function of a recorded machine."""
    return picture(name).functions[PciAddress.parse(address)]
