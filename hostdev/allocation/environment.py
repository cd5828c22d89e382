"""The environment as a channel: what its variables say, whichever plugin set them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from domxml.errors import BadInput
from domxml.finding import Evidence, Finding
from domxml.pciaddress import PciAddress
from domxml.text import listed, printable
from hostdev import jsontext
from hostdev.allocation import dialects
from hostdev.allocation.allocation import Allocation, Device, Gathered, Opaque, unite
from hostdev.allocation.dialects import Dialect, dialects_of, variable_number
from hostdev.findings.allocation import (
    CHANNELS_DISAGREE,
    DEVICE_IN_TWO_RESOURCES,
    FEWER_THAN_REQUESTED,
    MORE_THAN_REQUESTED,
    RESOURCE_NAME_AMBIGUOUS,
    UNKNOWN_DIALECT,
    VARIABLE_UNREADABLE,
)

INFO = "_INFO"
VALUE_LIMIT = 200


class Reading(NamedTuple):
    """A variable that a device plugin set, and the devices that it names."""

    variable: str
    rows: tuple[Dialect, ...]
    """All plugins that it may be of."""
    stem: str
    suffix: str
    """The plugin's spelling of the resource; empty where its name is not in the variable."""
    devices: tuple[Device, ...]
    evidence: tuple[Evidence, ...]
    resource: str = ""
    is_info: bool = False
    """It is the JSON beside a list."""
    readable: bool = True

    @property
    def family(self) -> str:
        """The vendor domain of numbered variables."""
        return self.rows[0].family

    @property
    def label(self) -> str:
        """The devices are named after it."""
        return self.resource or self.rows[0].label or self.suffix.lower().replace("_", "-")

    @property
    def subject(self) -> str:
        """As messages name the devices."""
        return self.resource or self.family or printable(self.stem + self.suffix or self.variable)

    @property
    def place(self) -> tuple[int, int, str]:
        """Sort key: by plugin, then QAT2 before QAT10."""
        row = self.rows[0]
        return dialects.DIALECTS.index(row), variable_number(self.variable, row), self.variable


def read_value(environment: Mapping[str, str], channel: str) -> tuple[list[Reading], list[Finding]]:
    """Read what device plugins said; the rest of the environment is passed over, and nothing of it is told."""
    readings: list[Reading] = []
    findings: list[Finding] = []
    for variable, value in environment.items():
        evidence = (Evidence(f"{channel} {printable(variable)}", printable(value, VALUE_LIMIT)),)
        rows = dialects_of(variable)
        if rows:
            reading = _reading(variable, value, rows, evidence)
            readings.append(reading)
            if not reading.readable:
                text = f"{printable(variable)} is no JSON object"
                findings.append(VARIABLE_UNREADABLE.found(reading.subject, text, evidence=evidence))
            findings += dialects.remarks(reading.devices, reading.subject, evidence)
        elif _looks_like_addresses(value):
            text = "looks like PCI devices; no known plugin sets it"
            findings.append(UNKNOWN_DIALECT.found(printable(variable), text, evidence=evidence))
    return sorted(readings, key=lambda reading: reading.place), findings


def read_variables(texts: Iterable[str]) -> dict[str, str]:
    """Read variables as a command line gives them, each once."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise BadInput("bad-variable", f"{text[:60]!r} is not NAME=VALUE", hint="write it as `env` prints it")
        if found.setdefault(name, value) != value:
            what = f"{name} is given twice: {found[name]!r} and {value!r}"
            raise BadInput("bad-variable", what, hint="an environment has one of each name")
    return found


def naming_variables(environment: Mapping[str, str]) -> list[str]:
    """The variables of known dialects that name a device."""
    found = (name for name in environment if dialects_of(name))
    return [name for name in found if any(map(_names_device, dialects.split(environment[name])))]


def _names_device(word: str) -> bool:
    return not isinstance(dialects.classify(word), Opaque)


def _reading(variable: str, value: str, rows: tuple[Dialect, ...], evidence: tuple[Evidence, ...]) -> Reading:
    stem = dialects.variable_stem(variable)
    suffix = variable.removeprefix(stem) if stem else ""
    # A resource may really be called x_info: only JSON makes it the information about x.
    if len(suffix) > len(INFO) and suffix.endswith(INFO) and value.lstrip().startswith("{"):
        words = _keys(value)
        about = Reading(variable, rows, stem, suffix.removesuffix(INFO), dialects.devices(words or ()), evidence)
        return about._replace(is_info=True, readable=words is not None)
    return Reading(variable, rows, stem, suffix, dialects.devices(dialects.split(value)), evidence)


def _keys(value: str) -> list[str] | None:
    """The devices of an _INFO; what the plugin says of each differs from release to release."""
    try:
        return [key.strip() for key in jsontext.load_object(value) if key.strip()]
    except ValueError:
        return None


def _looks_like_addresses(value: str) -> bool:
    words = dialects.split(value)
    return bool(words) and all(
        word.count(":") == 2 and isinstance(dialects.classify(word), PciAddress) for word in words
    )


_STALE = "start the pod anew; if it stays, restart the SR-IOV device plugin"

Resources: TypeAlias = Mapping[str, int | None]
"""The resources that the pod requested, and how many of each where that is known."""


def from_environment(
    environment: Mapping[str, str],
    resources: Resources,
    *,
    channel: str,
    owners: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Gathered:
    """Gather what the variables of one container say; `channel` tells how they reached us, `owners` whose they are."""
    readings, findings = read_value(environment, channel)
    readings, ambiguous = _attributed(readings, {**dict.fromkeys(chain(*owners.values())), **resources}, owners)
    allocations = unite(
        Allocation(
            device,
            resource=reading.resource,
            label=reading.label,
            told_by=(f"{channel} {printable(reading.variable)}",),
            family=reading.family,
        )
        for reading in readings
        for device in reading.devices
    )
    checks = (_miscounted(readings, resources), _twice_given(readings), _stale_information(readings))
    findings += [*ambiguous, *(finding for check in checks for finding in check)]
    return Gathered(tuple(allocations), tuple(sorted(findings)))


def _attributed(
    readings: Sequence[Reading], resources: Resources, noted: Mapping[str, Sequence[str]]
) -> tuple[list[Reading], list[Finding]]:
    """Tell each variable whose it is; one that two resources share belongs to neither."""
    owners: dict[str, Sequence[str]] = {}
    for stem in dialects.stems():
        suffixes = {reading.suffix for reading in readings if reading.stem == stem}
        fitting = dialects.suffix_owners(suffixes, resources)
        owners.update({stem + suffix: found for suffix, found in fitting.items()})
    attributed = []
    findings: dict[str, Finding] = {}
    for reading in readings:
        base = reading.stem + reading.suffix
        found = noted.get(reading.variable) or owners.get(base, ())
        attributed.append(reading._replace(resource=found[0]) if len(found) == 1 else reading)
        if len(found) > 1:
            text = f"is the variable of {listed(found)}"
            findings[base] = RESOURCE_NAME_AMBIGUOUS.found(reading.subject, text, evidence=reading.evidence)
    return attributed, list(findings.values())


def _miscounted(readings: Sequence[Reading], resources: Resources) -> Iterator[Finding]:
    """Compare how many devices were requested and how many are named."""
    named = {reading.resource for reading in readings}
    for subject, same in groupby(sorted(readings, key=lambda one: one.subject), key=lambda one: one.subject):
        group = list(same)
        devices = dict.fromkeys(device for reading in group for device in reading.devices)
        wanted = _requested(group[0], resources, named)
        evidence = tuple(item for reading in group for item in reading.evidence)
        if len(devices) < (1 if wanted is None else wanted):
            text = f"{_named(devices)}, {'at least 1' if wanted is None else wanted} requested"
            hint = _habits([row.fewer for reading in group for row in reading.rows]) or FEWER_THAN_REQUESTED.hint
            yield FEWER_THAN_REQUESTED.found(subject, text, hint=hint, evidence=evidence)
        elif wanted is not None and len(devices) > wanted:
            text = f"{_named(devices)}, {wanted} requested"
            hint = _habits([row.more for reading in group for row in reading.rows]) or MORE_THAN_REQUESTED.hint
            yield MORE_THAN_REQUESTED.found(subject, text, hint=hint, evidence=evidence)


def _requested(reading: Reading, resources: Resources, named: Collection[str]) -> int | None:
    """Count the devices that should be named; of a family, those of all resources without a variable of their own."""
    if reading.resource:
        # The agent notes whose a variable is, also of what the VM's spec does not ask for by that name.
        return resources.get(reading.resource)
    if not reading.family:
        return None
    family = f"{reading.family}/"
    counts = [count for name, count in resources.items() if name.startswith(family) and name not in named]
    known = [count for count in counts if count is not None]
    return sum(known) if counts and len(known) == len(counts) else None


def _named(devices: Mapping[Device, None]) -> str:
    return f"{len(devices)} named ({listed(devices)})" if devices else "none named"


def _habits(habits: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(habit for habit in habits if habit))


def _twice_given(readings: Sequence[Reading]) -> Iterator[Finding]:
    """Devices that stand in the variables of two resources."""
    given: dict[Device, dict[str, Reading]] = {}
    for reading in readings:
        if reading.suffix:
            for device in reading.devices:
                given.setdefault(device, {}).setdefault(dialects.fold_name(reading.suffix), reading)
    for device, resources in given.items():
        if len(resources) > 1:
            text = "is in " + listed(reading.subject for reading in resources.values())
            evidence = tuple(item for reading in resources.values() for item in reading.evidence)
            yield DEVICE_IN_TWO_RESOURCES.found(str(device), text, evidence=evidence)


def _stale_information(readings: Sequence[Reading]) -> Iterator[Finding]:
    """An _INFO that tells of other devices than the list beside it."""
    lists = {reading.variable: reading for reading in readings}
    for reading in readings:
        beside = lists.get(reading.stem + reading.suffix) if reading.is_info and reading.devices else None
        if beside is not None and set(beside.devices) != set(reading.devices):
            text = (
                f"{printable(beside.variable)} names {listed(beside.devices) or 'none'}, "
                f"{printable(reading.variable)} {listed(reading.devices)}"
            )
            evidence = (*beside.evidence, *reading.evidence)
            yield CHANNELS_DISAGREE.found(reading.subject, text, hint=_STALE, evidence=evidence)
