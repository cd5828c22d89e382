"""Our own annotations: can they be read, are they where something reads them."""

from __future__ import annotations

from collections.abc import Iterator

from domxml.finding import Finding
from domxml.text import did_you_mean
from hostdev.catalogue.spec import ANNOTATION_MISPLACED, BAD_ANNOTATION, UNKNOWN_ANNOTATION
from hostdev.lint.view import HOOKS, View
from hostdev.vmi.annotations import KNOWN, PREFIX
from hostdev.vmi.bonds import BONDS, read_bonds
from hostdev.vmi.policy import POLICY, read_policy


def unreadable(view: View) -> Iterator[Finding]:
    """Every mistake in the annotations, not only the first."""
    text = view.vmi.annotations.get(POLICY)
    errors = view.devices.errors if view.devices else ()
    if text is not None:
        errors += read_policy(text)[1]
    text = view.vmi.annotations.get(BONDS)
    if text is not None:
        errors += read_bonds(text)[1]
    for error in errors:
        yield BAD_ANNOTATION.found(error.subject, error.message, hint=error.hint or None)


def unknown(view: View) -> Iterator[Finding]:
    """Annotations with our prefix that are none."""
    for name in view.vmi.annotations:
        if name.startswith(PREFIX) and name not in KNOWN:
            place = view.vmi.at(f"metadata.annotations[{name[:80]}]")
            yield UNKNOWN_ANNOTATION.found(place, "nobody reads this annotation", hint=did_you_mean(name, KNOWN))


def misplaced(view: View) -> Iterator[Finding]:
    """Annotations at the VM that the VMI does not get."""
    for name in (HOOKS, *KNOWN):
        if name in view.manifest.own_annotations:
            also = ", and the one of the template is what counts" if name in view.vmi.annotations else ""
            what = f"stands at the {view.manifest.kind}, where nothing reads it{also}"
            hint = f"move it to {view.vmi.at('metadata.annotations')}"
            yield ANNOTATION_MISPLACED.found(f"metadata.annotations[{name}]", what, hint=hint)


RULES = (unreadable, unknown, misplaced)
