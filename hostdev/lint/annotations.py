"""Our own annotations: can they be read, are they where something reads them."""

from __future__ import annotations

from collections.abc import Iterator

from domxml import alias as aliases
from domxml.finding import Finding
from domxml.text import did_you_mean
from hostdev.findings.spec import (
    ANNOTATION_MISPLACED,
    ATTRIBUTE_TAKEN,
    BAD_ANNOTATION,
    NAME_COLLISION,
    UNKNOWN_ANNOTATION,
)
from hostdev.lint.suppressions import IGNORE
from hostdev.lint.view import HOOKS, Asked, View
from hostdev.vmi.addressing import INTERFACES, read_interfaces
from hostdev.vmi.annotations import KNOWN, MOST_DEVICES, POLICY, PREFIX, read_policy
from hostdev.vmi.bonds import BONDS, read_bonds
from hostdev.vmi.vmi import Disk, Interface


def unreadable_annotations(view: View) -> Iterator[Finding]:
    """Every mistake in the annotations, not only the first."""
    text = view.vmi.annotations.get(POLICY)
    errors = view.devices.errors if view.devices else ()
    if text is not None:
        errors += read_policy(text)[1]
    text = view.vmi.annotations.get(BONDS)
    if text is not None:
        errors += read_bonds(text)[1]
    text = view.vmi.annotations.get(INTERFACES)
    if text is not None:
        errors += read_interfaces(text)[1]
    for error in errors:
        yield BAD_ANNOTATION.found(error.subject, error.message, hint=error.hint or None)


def unknown_annotations(view: View) -> Iterator[Finding]:
    """Annotations with our prefix that are none."""
    for name in view.vmi.annotations:
        if name.startswith(PREFIX) and name not in {*KNOWN, IGNORE}:
            place = view.vmi.at(f"metadata.annotations[{name[:80]}]")
            yield UNKNOWN_ANNOTATION.found(
                place, "nobody reads this annotation", hint=did_you_mean(name, {*KNOWN, IGNORE})
            )


def misplaced_annotations(view: View) -> Iterator[Finding]:
    """Annotations at the VM that the VMI does not get."""
    for name in (HOOKS, *KNOWN):
        if name in view.manifest.own_annotations:
            also = ", and the one of the template is what counts" if name in view.vmi.annotations else ""
            what = f"stands at the {view.manifest.kind}, where nothing reads it{also}"
            hint = f"move it to {view.vmi.at('metadata.annotations')}"
            yield ANNOTATION_MISPLACED.found(f"metadata.annotations[{name}]", what, hint=hint)


ANNOTATION_RULES = (unreadable_annotations, unknown_annotations, misplaced_annotations)


_FUNCTIONS = range(8)


def attribute_numbers(view: View) -> Iterator[Finding]:
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


def name_numbers(view: View) -> Iterator[Finding]:
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


NUMBER_RULES = (attribute_numbers, name_numbers)
