"""What an unknown key may have meant: the same in other letters, the nearest, or one that belongs elsewhere."""

from __future__ import annotations

import re

from domxml.text import nearest
from hostdev.lint.admission.fields import Field, places, spec_of
from hostdev.vmi.vmi import TEMPLATES

_GO_NAMES = {
    "userDataSecretRef": "secretRef",
    "pvc": "persistentVolumeClaim",
    "dedicatedCPUPlacement": "dedicatedCpuPlacement",
}
"""What documents of Go code call it."""
_GONE = {
    "volumeName": "leave it out: a disk finds its volume by its name",
    "dev": "leave it out: the guest names its devices",
    "iommufd": "leave it out: no release of KubeVirt has it, it is of a proposal",
    "memBalloon": "did you mean autoattachMemBalloon?",
    "channels": "leave it out: KubeVirt adds the channels itself",
}
"""What is of another time, of a proposal, or of libvirt."""
_GENERIC = frozenset(
    {"enabled", "type", "name", "policy", "mode", "path", "end", "start", "version", "source", "model"}
)
"""Keys that say nothing of where they belong."""
_ROOT = ("apiVersion", "kind", "metadata", "spec")
_METADATA = ("name", "generateName", "namespace", "labels", "annotations")
_FEW = 6
_INDEX = re.compile(r"\[[^\]]*\]")


def key_hint(path: str, kind: str) -> str:
    """What to do about a key that KubeVirt drops."""
    bare = _INDEX.sub("", path)
    if path.endswith('"]'):
        holder, key = bare, path.rpartition('["')[2].removesuffix('"]')
    else:
        holder, _, key = bare.rpartition(".")
    if not holder or holder == "metadata":
        near = nearest(key, _METADATA if holder else _ROOT)
        return f"did you mean {near}?" if near else "remove it"
    siblings = _fields(holder, kind)
    return _same(key, siblings, kind, holder) or _elsewhere(key, holder, kind) or _near(key, siblings)


def _same(key: str, siblings: list[str], kind: str, holder: str) -> str:
    """The same key in other letters, or under the name that it has today."""
    same = next((name for name in siblings if name.lower() == key.lower()), None) or _GO_NAMES.get(key)
    if kind == "VirtualMachinePool" and (holder, key) == ("spec", "template"):
        same = "virtualMachineTemplate"
    return f"did you mean {same}?" if same in siblings else _GONE.get(key, "")


def _elsewhere(key: str, holder: str, kind: str) -> str:
    """Where a key belongs that stands at the wrong place."""
    if kind == "VirtualMachine" and (holder, key) == ("spec", "domain"):
        return "it belongs to spec.template.spec.domain"
    inner = ".".join(_inner(holder, kind))
    known = sorted(places(key), key=lambda place: _distance(place, inner)) if key not in _GENERIC else []
    return "it belongs to " + ".".join((*TEMPLATES.get(kind, ()), "spec", known[0])) if known else ""


def _near(key: str, siblings: list[str]) -> str:
    near = nearest(key, siblings, cutoff=0.7)
    known = f"known are {', '.join(siblings)}" if 0 < len(siblings) <= _FEW else "remove it"
    return f"did you mean {near}?" if near else f"no release of KubeVirt knows it; {known}"


def _fields(path: str, kind: str) -> list[str]:
    field: Field | None = spec_of(kind)
    for step in path.split(".")[1:]:
        field = field.fields.get(step) if field else None
    return list(field.fields) if field else []


def _inner(path: str, kind: str) -> list[str]:
    """The path inside the VMI's spec."""
    steps = path.split(".")
    outer = [*TEMPLATES.get(kind, ()), "spec"]
    return steps[len(outer) :] if steps[: len(outer)] == outer else []


def _distance(place: str, inner: str) -> tuple[int, int]:
    """How many steps two places have apart: the nearest place is the likeliest."""
    one, other = place.split(".")[:-1], inner.split(".") if inner else []
    shared = 0
    while shared < min(len(one), len(other)) and one[shared] == other[shared]:
        shared += 1
    return len(one) + len(other) - 2 * shared, len(one)
