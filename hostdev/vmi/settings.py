"""What may be said of a device beside which it is: one vocabulary of `--device` and of passgate.dev/devices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from domxml.attributes import ATTRIBUTES, NUMBER


class Setting(NamedTuple):
    """One of them, under its names."""

    name: str
    values: str
    """What it can be, for people: words between bars, or a noun in capitals."""
    meaning: str
    example: str
    also: tuple[str, ...] = ()
    """Its other names."""
    which: bool = False
    """It says which devices are meant; in `--device` the device itself stands there."""

    @property
    def names(self) -> tuple[str, ...]:
        """The first is the one that texts use."""
        return (self.name, *self.also)

    @property
    def spelling(self) -> str:
        """As help shows it."""
        return f"{self.name}={self.values}"

    @property
    def explanation(self) -> str:
        """What it means, its other names, and an example."""
        also = f"; also {', '.join(self.also)}" if self.also else ""
        return f"{self.meaning}{also} ({self.example})"

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that a shell can offer."""
        return tuple(word for word in self.values.split("|") if word.islower())


_VALUES = {"rom.file": "PATH", "driverModel": "DRIVER", "teaming": "ALIAS"}
_EXAMPLES = {
    "rom.file": "rom.file=/usr/share/gpu.rom",
    "driverModel": "driverModel=mlx5_vfio_pci",
    "teaming": "teaming=ua-default",
    "acpiIndex": "acpiIndex=7",
}


def _attributes() -> Iterable[Setting]:
    for key, row in ATTRIBUTES.items():
        values = _VALUES.get(key) or ("N" if row.legal == NUMBER else row.legal)
        example = _EXAMPLES.get(key) or f"{key}={'1' if values == 'N' else values.split('|')[0]}"
        yield Setting(key, values, row.meaning, example)


SETTINGS: Mapping[str, Setting] = {
    row.name: row
    for row in (
        Setting(
            "resource",
            "NAME",
            "a device-plugin resource: the devices allocated for it",
            "resource=qat.intel.com/generic",
            which=True,
        ),
        Setting(
            "device",
            "NAME",
            "a name in the VM's spec: the device that KubeVirt puts in",
            "device=gpu0",
            which=True,
        ),
        Setting(
            "address",
            "ADDRESS|UUID",
            "a host device: a PCI address or the UUID of a mediated device",
            "address=0000:3d:02.2",
            which=True,
        ),
        Setting("name", "NAME", "the device's name: its alias becomes ua-passgate-<name>", "name=qat"),
        Setting("count", "N", "how many devices must be there", "count=2", which=True),
        Setting(
            "guest",
            "ADDRESS",
            "the guest address, such as 0000:10:00.0",
            "guest=10:00.0",
            ("guestAddress",),
        ),
        Setting(
            "functions",
            "one|all|NUMBERS",
            "one, all (every function of the host slot), or numbers such as 0+1",
            "functions=all",
        ),
        Setting(
            "numa",
            "host|NODE",
            "host (the guest node that maps to the device's host node), or a guest node's number",
            "numa=host",
        ),
        *_attributes(),
    )
}
"""By name."""

NAMES: Mapping[str, str] = {name: row.name for row in SETTINGS.values() for name in row.names}
"""From every name to the first."""
