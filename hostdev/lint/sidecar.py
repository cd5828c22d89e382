"""The annotation that makes KubeVirt add hook sidecars to the VM's pod."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from domxml.errors import BadInput
from domxml.finding import Finding, Severity
from domxml.text import did_you_mean
from hostdev.catalogue.spec import (
    BAD_HOOK_SIDECARS,
    HOOK_KEY_IGNORED,
    HOOK_WITHOUT_IMAGE,
    NO_HOOK_SIDECAR,
    SIDECAR_GATE,
    SIDECAR_LIMITS,
)
from hostdev.lint.view import HOOKS, View
from hostdev.vmi.annotations import KNOWN
from hostdev.vmi.entry import MAX_BYTES
from hostdev.vmi.jsontext import Format, parse_json
from hostdev.vmi.jsonvalue import JsonObject, list_of_objects, shown

_HOOKS = Format(HOOKS, BAD_HOOK_SIDECARS.code, MAX_BYTES, HOOKS)
_KEYS: Mapping[str, Callable[[JsonObject, str], object]] = MappingProxyType(
    {
        "image": JsonObject.get_str,
        "imagePullPolicy": JsonObject.get_str,
        "command": JsonObject.get_strings,
        "args": JsonObject.get_strings,
        "configMap": JsonObject.get_texts,
        "pvc": JsonObject.get_texts,
    }
)
"""What KubeVirt reads of a hook sidecar, and of what type it must be."""
_SPELLED = {key.lower(): key for key in _KEYS}
"""KubeVirt reads keys in any case."""


def hooks(view: View) -> Iterator[Finding]:
    """The annotation itself, as KubeVirt will read it."""
    text = view.vmi.annotations.get(HOOKS)
    if text is None:
        ours = [name for name in KNOWN if name in view.vmi.annotations]
        if ours and HOOKS not in view.manifest.own_annotations:
            what = f"{HOOKS} is not set, though {' and '.join(ours)} {'are' if len(ours) > 1 else 'is'}"
            finding = NO_HOOK_SIDECAR.found(view.vmi.at("metadata.annotations"), what)
            plugins = " or ".join(sorted({one.plugin for one in view.vmi.interfaces if one.plugin}))
            hint = f"nothing to do if the network binding plugin {plugins} brings Passgate"
            yield finding._replace(severity=Severity.INFO, hint=hint) if plugins else finding
        return
    try:
        sidecars = list_of_objects(parse_json(text, _HOOKS), HOOKS, _HOOKS.code)
    except BadInput as error:
        yield _unreadable(error)
        return
    if not sidecars:
        yield NO_HOOK_SIDECAR.found(HOOKS, "the list is empty")
    for sidecar in sidecars:
        yield from _sidecar(sidecar)


def gate(view: View) -> Iterator[Finding]:
    """What the cluster must allow."""
    if HOOKS in view.vmi.annotations:
        yield SIDECAR_GATE.found(HOOKS, "KubeVirt adds the sidecar only with the feature gate Sidecar")


def limits(view: View) -> Iterator[Finding]:
    """The corset of a VM whose pod is Guaranteed."""
    vmi = view.vmi
    if HOOKS in vmi.annotations and (vmi.dedicated_cpus or vmi.guaranteed):
        why = "the VM has dedicated CPUs" if vmi.dedicated_cpus else "the VM's requests are its limits"
        what = f"{why}: each hook sidecar gets 200m CPU and 64M of memory, which Passgate keeps within"
        yield SIDECAR_LIMITS.found(vmi.at("spec.domain.cpu" if vmi.dedicated_cpus else "spec.domain.resources"), what)


def _sidecar(written: JsonObject) -> Iterator[Finding]:
    fields = {_SPELLED.get(key.lower(), key): value for key, value in written.fields.items()}
    sidecar = written._replace(fields=fields)
    for key in sidecar.fields:
        if key not in _KEYS:
            what = f"KubeVirt ignores the key {shown(key)}"
            yield HOOK_KEY_IGNORED.found(sidecar.path, what, hint=did_you_mean(key, _KEYS))
    for key, read in _KEYS.items():
        try:
            read(sidecar, key)
        except BadInput as error:
            yield _unreadable(error)
    if not sidecar.fields.get("image"):
        yield HOOK_WITHOUT_IMAGE.found(sidecar.path, "has no image: KubeVirt runs its own sidecar-shim")


def _unreadable(error: BadInput) -> Finding:
    return BAD_HOOK_SIDECARS.found(error.subject, error.message, hint=error.hint or None)


RULES = (hooks, gate, limits)
