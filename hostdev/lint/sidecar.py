"""The annotation that makes KubeVirt add hook sidecars to the VM's pod."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from domxml.errors import BadInput, Refused
from domxml.finding import Finding, Severity
from domxml.text import did_you_mean
from hostdev.cloudinit.netplan import homeless, macs, misnamed_bonds, misplaced_interfaces, network
from hostdev.findings.cloudinit import BOND_NOT_POSSIBLE, BONDS_NOT_READ, CLOUD_INIT_MISSING, INTERFACE_NOT_POSSIBLE
from hostdev.findings.effects import SIDECAR_ARGUMENT
from hostdev.findings.spec import (
    BAD_HOOK_SIDECARS,
    HOOK_KEY_IGNORED,
    HOOK_WITHOUT_IMAGE,
    NO_HOOK_SIDECAR,
    SIDECAR_GATE,
    SIDECAR_LIMITS,
)
from hostdev.jsontext import Format, parse_json
from hostdev.jsonutil import JsonObject, list_of_objects, show_value
from hostdev.lint.view import HOOKS, View, is_passgate
from hostdev.vmi.addressing import INTERFACES, GuestInterface, read_interfaces
from hostdev.vmi.annotations import KNOWN
from hostdev.vmi.bonds import BONDS, Bond, read_bonds
from hostdev.vmi.entry import MAX_BYTES

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
FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "--socket-dir": "DIR",
        "--version": "v1alpha3|v1alpha2|v1alpha1",
        "--mode": "hook|plugin",
        "--plugin-socket": "PATH",
        "--kubevirt": "RELEASE",
        "--host": "ROOT|MACHINE.toml|none",
        "--wait": "SECONDS",
        "--libvirt": "VERSION",
        "--firmware": "NAME",
        "--cloud-init": "",
        "--log-level": "debug|info|warning|error",
    }
)
"""What Passgate's sidecar takes, and the value that follows; a test compares it with the sidecar's own table."""
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
    """The feature gates that the cluster must have."""
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
            what = f"KubeVirt ignores the key {show_value(key)}"
            yield HOOK_KEY_IGNORED.found(sidecar.path, what, hint=did_you_mean(key, _KEYS))
    for key, read in _KEYS.items():
        try:
            read(sidecar, key)
        except BadInput as error:
            yield _unreadable(error)
    # A script that a configMap or a PVC brings is what the shim is for.
    if not any(sidecar.fields.get(key) for key in ("image", "configMap", "pvc")):
        yield HOOK_WITHOUT_IMAGE.found(sidecar.path, "has no image: KubeVirt runs its own sidecar-shim")


def _unreadable(error: BadInput) -> Finding:
    return BAD_HOOK_SIDECARS.found(error.subject, error.message, hint=error.hint or None)


def arguments(view: View) -> Iterator[Finding]:
    """What is written after the name of Passgate's own sidecar."""
    alone = len(view.sidecars) == 1 and KNOWN.keys() & view.vmi.annotations.keys()
    for sidecar in view.sidecars:
        if not is_passgate(sidecar) and not (alone and sidecar.fields.get("image")):
            continue
        try:
            words = sidecar.get_strings("args")
        except BadInput:
            continue
        yield from _unknown_words(words, sidecar.path)


def _unknown_words(words: tuple[str, ...], path: str) -> Iterator[Finding]:
    rest = list(enumerate(words))
    while rest:
        index, word = rest.pop(0)
        place = f"{path}.args[{index}]"
        name, equals, value = word.partition("=")
        if name not in FLAGS:
            hint = did_you_mean(name, FLAGS)
            yield SIDECAR_ARGUMENT.found(place, f"the sidecar has no argument {show_value(word)}", hint=hint)
            continue
        wanted = FLAGS[name]
        if wanted and not equals:
            value = rest.pop(0)[1] if rest else ""
        if wanted and not value:
            yield SIDECAR_ARGUMENT.found(place, f"{name} needs a value", hint=f"write {name} {wanted}")
        elif wanted.islower() and value not in wanted.split("|"):
            yield SIDECAR_ARGUMENT.found(place, f"{name} cannot be {value}", hint=f"it is one of {wanted}")


RULES = (hooks, gate, limits, arguments)


FLAG = "--cloud-init"


def cloudinit_wiring(view: View) -> Iterator[Finding]:
    """Check what the guest's network data would be made of."""
    bonds, wanted = _bonds(view), _interfaces(view)
    if not bonds and not wanted and not (_writes(view) and _is_open(view)):
        return
    asked = [annotation for annotation, entries in ((BONDS, bonds), (INTERFACES, wanted)) if entries]
    mistakes = [*misnamed_bonds(view.vmi, bonds), *misplaced_interfaces(view.vmi, wanted, bonds, {})]
    mistakes += [finding for annotation in asked for finding in homeless(view.vmi, annotation)]
    yield from mistakes
    if mistakes:
        return
    try:
        yield from network(view.vmi, bonds, macs(view.vmi, {}), frozenset(), wanted).findings
    except Refused as error:
        # A binding plugin, or what hands out addresses in the cluster, may still tell one.
        kind = next(one for one in (BOND_NOT_POSSIBLE, INTERFACE_NOT_POSSIBLE) if one.code == error.code)
        yield kind.found(error.subject, error.message, hint=error.hint, severity=Severity.WARNING)


def cloudinit_subscription(view: View) -> Iterator[Finding]:
    """Bonds need a sidecar that writes cloud-init data, and a volume to write it into."""
    if HOOKS not in view.vmi.annotations:
        return
    writes = _writes(view)
    for annotation, asked in ((BONDS, _bonds(view)), (INTERFACES, _interfaces(view))):
        if asked and not writes:
            what = f"no hook sidecar has {FLAG} among its args, so that nobody reads {annotation}"
            yield BONDS_NOT_READ.found(HOOKS, what)
    if writes and view.vmi.cloud_init is None:
        yield CLOUD_INIT_MISSING.found(HOOKS, f"a hook sidecar has {FLAG}, and the VM has no cloud-init volume")


def _bonds(view: View) -> tuple[Bond, ...]:
    text = view.vmi.annotations.get(BONDS)
    return read_bonds(text)[0] if text is not None else ()


def _interfaces(view: View) -> tuple[GuestInterface, ...]:
    text = view.vmi.annotations.get(INTERFACES)
    return read_interfaces(text)[0] if text is not None else ()


def _is_open(view: View) -> bool:
    volume = view.vmi.cloud_init
    return volume is not None and not volume.config_drive and not volume.network_data


def _writes(view: View) -> bool:
    try:
        return any(FLAG in (*one.get_strings("command"), *one.get_strings("args")) for one in view.sidecars)
    except BadInput:
        return False


CLOUDINIT_RULES = (cloudinit_wiring, cloudinit_subscription)
