"""Names and numbers that may be given only once in a VM."""

from __future__ import annotations

from collections.abc import Iterator

from domxml import alias as aliases
from domxml.finding import Finding
from hostdev.catalogue.spec import ATTRIBUTE_TAKEN, NAME_COLLISION
from hostdev.lint.view import Asked, View
from hostdev.vmi.devices import MOST_DEVICES
from hostdev.vmi.vmi import Disk, Interface

_FUNCTIONS = range(8)


def attributes(view: View) -> Iterator[Finding]:
    """Boot orders and ACPI indexes."""
    spec: list[Disk | Interface] = [*view.vmi.disks, *view.vmi.interfaces]
    orders = {device.boot_order: device.name for device in spec if device.boot_order}
    indexes = {one.acpi_index: one.name for one in view.vmi.interfaces if one.acpi_index}
    for key, taken in (("bootOrder", orders), ("acpiIndex", indexes)):
        owners: dict[str, str] = {str(number): name for number, name in taken.items()}
        for asked in view.asked:
            number = asked.request.attributes.get(key)
            owner = owners.setdefault(number, asked.place) if number else asked.place
            # An entry that refers to a device of the spec is that device.
            if owner not in {asked.place, asked.request.device}:
                yield ATTRIBUTE_TAKEN.found(f"{asked.place}.{key}", f"{owner} has {key} {number} already")


def names(view: View) -> Iterator[Finding]:
    """Names that two entries may end up with."""
    seen: dict[str, str] = {}
    for asked in view.asked:
        possible = _possible(asked, view.vmi.asked.get(asked.request.resource, 0))
        met = next((name for name in possible if name in seen), None)
        if met is not None:
            what = f"may be named {met}, and so may {seen[met]}"
            yield NAME_COLLISION.found(asked.place, what)
        seen.update(dict.fromkeys(possible, asked.place))


def _possible(asked: Asked, there: int) -> list[str]:
    """The names its devices may get: the plain one, or numbered."""
    request = asked.request
    base = request.name or aliases.name_from(request.device or request.resource or "device")
    count = min(there if asked.takes_all else asked.least, MOST_DEVICES)
    numbers = set(range(1, count + 1)) if count > 1 else set()
    if request.functions != "one":
        numbers |= set(_FUNCTIONS)
    return [base, *(f"{base}-{number}" for number in sorted(numbers))]


RULES = (attributes, names)
