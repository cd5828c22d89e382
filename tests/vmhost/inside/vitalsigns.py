"""What `passgate node vitals` says on the passthrough host, and what sysfs shows beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host
from hostdev.inventory.scan import scan
from hostdev.vitals.look import find_held, look_around, signs_of
from hostdev.vitals.signs import Vital
from hostdev.vitals.verdict import judge
from tests.vmhost.inside import pci
from tests.vmhost.inside.product import passgate_json
from tests.vmhost.inside.scenario import expect

Items = Mapping[str, Mapping[str, Any]]


def vitals(*words: str, code: int = 0) -> Items:
    """The command's answer, by device."""
    return {item["device"]: item for item in passgate_json("node", "vitals", *words, code=code)["items"]}


def said(item: Mapping[str, Any]) -> str:
    """A verdict in a few words, without what differs from run to run."""
    codes = [found["code"] for found in item["findings"]]
    return f"{item['verdict']}{f': {codes[0]}' if codes else ''}"


def look(addresses: Iterable[PciAddress], later: float = 0.0) -> Mapping[PciAddress, Vital]:
    """The verdicts as they are, or would be if nothing else happened for so many seconds."""
    wanted = tuple(addresses)
    with Host("/") as host:
        machine = scan(host, only=wanted, use=False)
        around = look_around(host)
        held = find_held(host, machine, wanted)
        signs = {address: signs_of(host, machine, address, around, held[address]) for address in wanted}
    return {address: judge(one._replace(now=one.now + later)) for address, one in signs.items()}


def asleep(addresses: Iterable[PciAddress]) -> Mapping[PciAddress, str]:
    """Power and runtime state by plain reads, which wake nothing."""
    return {
        address: f"{_text(address, 'power_state')} {_text(address, 'power/runtime_status')}" for address in addresses
    }


def shown(address: PciAddress) -> str:
    """What the host shows of a held device: `enable`, its interrupts in the table, and in sysfs."""
    with open("/proc/interrupts", encoding="utf-8") as file:  # noqa: PTH123
        lines = [line.split()[-1] for line in file if f"({address})" in line]
    vectors = pci.directory(address) / "msi_irqs"
    listed = len(list(vectors.iterdir())) if vectors.exists() else 0
    kinds = ", ".join(sorted({line.partition("(")[0].partition("[")[0] for line in lines})) or "none"
    return f"enable {_text(address, 'enable')}, {kinds}, {'some' if listed else 'no'} msi_irqs"


def expect_verdict(items: Items, address: PciAddress, verdict: str, code: str | None = None) -> None:
    """A verdict, and the code of its first finding."""
    item = items[str(address)]
    codes = [found["code"] for found in item["findings"]]
    right = item["verdict"] == verdict and (code is None or code in codes)
    expect(right, f"{address} should be {verdict} {code or ''}: {item}; the host shows {shown(address)}")


def _text(address: PciAddress, name: str) -> str:
    return (pci.directory(address) / name).read_text().strip()
