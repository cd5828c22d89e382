"""What one variable of the environment says, whichever plugin set it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from domxml.finding import Evidence, Finding
from domxml.pciaddress import PciAddress
from domxml.text import printable
from hostdev.allocation import jsontext, naming, tokens
from hostdev.allocation.dialects import DIALECTS, Dialect, number_of, speaking
from hostdev.allocation.values import Device
from hostdev.catalogue.allocation import UNKNOWN_DIALECT, VARIABLE_UNREADABLE

INFO = "_INFO"
VALUE_LIMIT = 200


class Reading(NamedTuple):
    """A variable that a device plugin set, and the devices that it names."""

    variable: str
    rows: tuple[Dialect, ...]
    """All plugins that it may be of."""
    stem: str
    suffix: str
    """What the plugin made of the resource; empty where it made nothing of it."""
    devices: tuple[Device, ...]
    evidence: tuple[Evidence, ...]
    resource: str = ""
    is_info: bool = False
    """Whether it is the JSON beside a list."""
    readable: bool = True

    @property
    def family(self) -> str:
        """The vendor domain of numbered variables."""
        return self.rows[0].family

    @property
    def label(self) -> str:
        """What to name the devices after."""
        return self.resource or self.rows[0].label or self.suffix.lower().replace("_", "-")

    @property
    def subject(self) -> str:
        """Whose devices these are, for messages."""
        return self.resource or self.family or printable(self.stem + self.suffix or self.variable)

    @property
    def place(self) -> tuple[int, int, str]:
        """Sort key: by plugin, then QAT2 before QAT10."""
        row = self.rows[0]
        return DIALECTS.index(row), number_of(self.variable, row), self.variable


def read(environment: Mapping[str, str], channel: str) -> tuple[list[Reading], list[Finding]]:
    """Read what device plugins said; the rest of the environment is passed over, and nothing of it is told."""
    readings: list[Reading] = []
    findings: list[Finding] = []
    for variable, value in environment.items():
        evidence = (Evidence(f"{channel} {printable(variable)}", printable(value, VALUE_LIMIT)),)
        rows = speaking(variable)
        if rows:
            reading = _reading(variable, value, rows, evidence)
            readings.append(reading)
            if not reading.readable:
                text = f"{printable(variable)} is no JSON object"
                findings.append(VARIABLE_UNREADABLE.found(reading.subject, text, evidence=evidence))
            findings += tokens.remarks(reading.devices, reading.subject, evidence)
        elif _looks_like_addresses(value):
            text = "looks like PCI devices; no known plugin sets it"
            findings.append(UNKNOWN_DIALECT.found(printable(variable), text, evidence=evidence))
    return sorted(readings, key=lambda reading: reading.place), findings


def _reading(variable: str, value: str, rows: tuple[Dialect, ...], evidence: tuple[Evidence, ...]) -> Reading:
    stem = naming.stem_of(variable)
    suffix = variable.removeprefix(stem) if stem else ""
    # A resource may really be called x_info: only JSON makes it the information about x.
    if len(suffix) > len(INFO) and suffix.endswith(INFO) and value.lstrip().startswith("{"):
        words = _keys(value)
        about = Reading(variable, rows, stem, suffix.removesuffix(INFO), tokens.devices(words or ()), evidence)
        return about._replace(is_info=True, readable=words is not None)
    return Reading(variable, rows, stem, suffix, tokens.devices(tokens.split(value)), evidence)


def _keys(value: str) -> list[str] | None:
    """The devices of an _INFO; what the plugin says of each differs from release to release."""
    try:
        return [key.strip() for key in jsontext.load_object(value) if key.strip()]
    except ValueError:
        return None


def _looks_like_addresses(value: str) -> bool:
    words = tokens.split(value)
    return bool(words) and all(word.count(":") == 2 and isinstance(tokens.classify(word), PciAddress) for word in words)
