"""Changes of the host as a user makes them, and where devices are before and after them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from domxml.pciaddress import PciAddress
from hostdev.binding.effects import Effects
from tests.vmhost.inside import pci
from tests.vmhost.inside.product import passgate_json
from tests.vmhost.inside.scenario import Mismatch, expect

_TRIES, _PAUSE = 600, 0.5


@contextmanager
def state_dir() -> Iterator[str]:
    """A journal of its own."""
    with tempfile.TemporaryDirectory(prefix="passgate-state-") as directory:
        yield directory


def change(state: str, verb: str, address: PciAddress, *words: str, code: int = 0) -> Mapping[str, Any]:
    """`passgate node VERB ADDRESS`, agreed to beforehand."""
    return passgate_json("node", verb, str(address), *words, "--yes", "--state-dir", state, code=code)


def undo(state: str, name: str) -> Mapping[str, Any]:
    """`passgate node journal undo`."""
    return passgate_json("node", "journal", "undo", name, "--yes", "--state-dir", state)


def recover(state: str, code: int = 0) -> list[Mapping[str, Any]]:
    """`passgate node journal recover`: the changes that had not ended."""
    return list(passgate_json("node", "journal", "recover", "--state-dir", state, code=code)["items"])


def expect_on(address: PciAddress, driver: str | None, override: str) -> None:
    """A device is on this driver, with this override."""
    expect(shown(address) == state_of(driver, override), f"{address} is {shown(address)}, not {driver}, {override}")


def shown(address: PciAddress) -> str:
    """The driver and the override, as sysfs has them."""
    return state_of(pci.driver(address), override(address))


def override(address: PciAddress) -> str:
    """The override as sysfs has it."""
    return (pci.directory(address) / "driver_override").read_text().strip()


def state_of(driver: str | None, override: str) -> str:
    """How both are shown."""
    return f"{driver or 'no driver'}, override {override}"


def port_shown(port: PciAddress) -> str:
    """A PF's driver, its VFs with theirs, and autoprobe; none of it is a read that waits."""
    links = sorted(pci.directory(port).glob("virtfn*"))
    vfs = [pci.driver(PciAddress.parse(link.readlink().name)) or "none" for link in links]
    autoprobe = (pci.directory(port) / "sriov_drivers_autoprobe").read_text().strip()
    return f"{pci.driver(port)}, {len(vfs)} VFs ({', '.join(vfs)}), autoprobe {autoprobe}"


def words(effects: Mapping[str, Any]) -> str:
    """The outcome, and what forbade it."""
    codes = [one["code"] for one in effects["findings"] if one["severity"] == "error"]
    return ": ".join(filter(None, (effects["outcome"], ", ".join(dict.fromkeys(codes)))))


def sentence(effects: Effects) -> str:
    """The same of effects that were not printed."""
    return f"{effects.outcome}: {', '.join(finding.code for finding in effects.findings)}"


def until(ask: Callable[[], Any]) -> Any:
    """Ask until it is as expected."""
    for _ in range(_TRIES):
        try:
            return ask()
        except Mismatch:
            time.sleep(_PAUSE)
    return ask()
