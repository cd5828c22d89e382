"""CDI as the container runtime reads it: files of specs, and what devices of theirs make of a container."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

DIRECTORIES = ("etc/cdi", "var/run/cdi")
"""On the host; a later one wins."""
FAILED = "failed to create containerd container: CDI device injection failed: "


class Uninjectable(Exception):
    """A container cannot have these devices."""


class Edits(NamedTuple):
    """What is changed of a container, in this order."""

    environment: tuple[tuple[str, str], ...] = ()
    nodes: tuple[tuple[str, str, str], ...] = ()
    """Path in the container, on the host, and permissions."""
    mounts: tuple[tuple[str, str], ...] = ()
    """Path in the container, and on the host."""

    def then(self, other: Edits) -> Edits:
        """Both, one after the other."""
        return Edits(self.environment + other.environment, self.nodes + other.nodes, self.mounts + other.mounts)


class Spec(NamedTuple):
    """One file."""

    path: str
    edits: Edits
    devices: Mapping[str, Edits]
    """By their qualified names."""


def resolve(root: Path, ids: Iterable[str]) -> Edits:
    """Read the files now, as the runtime does for each container; raises Uninjectable.

    The edits of a spec as a whole come once, before those of its first device.
    """
    known = {name: spec for spec in read_specs(root) for name in spec.devices}
    edits, specs, unresolved = Edits(), set[str](), []
    for name in ids:
        if name not in known:
            unresolved.append(name)
            continue
        spec = known[name]
        if spec.path not in specs:
            specs.add(spec.path)
            edits = edits.then(spec.edits)
        edits = edits.then(spec.devices[name])
    if unresolved:
        raise Uninjectable(f"{FAILED}unresolvable CDI devices {', '.join(unresolved)}")
    return edits


def read_specs(root: Path) -> Iterator[Spec]:
    """Those that can be read; of one that cannot, the devices are not there."""
    for directory in DIRECTORIES:
        for path in sorted((root / directory).glob("*.json")):
            try:
                yield _spec(path)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue


def _spec(path: Path) -> Spec:
    whole = json.loads(path.read_bytes())
    kind, devices = whole["kind"], whole["devices"]
    vendor, _, name = kind.partition("/")
    if not whole["cdiVersion"] or not vendor or not name or not devices:
        raise ValueError(f"{path} is no CDI spec")
    edits = {f"{kind}={one['name']}": _edits(one["containerEdits"]) for one in devices}
    if len(edits) < len(devices):
        raise ValueError(f"{path} names a device twice")
    return Spec(str(path), _edits(whole.get("containerEdits", {})), edits)


def _edits(found: Mapping[str, Any]) -> Edits:
    variables = (one.partition("=") for one in found.get("env", ()))
    return Edits(
        tuple((name, value) for name, _, value in variables),
        tuple(
            (one["path"], one.get("hostPath") or one["path"], one.get("permissions") or "rwm")
            for one in found.get("deviceNodes", ())
        ),
        tuple((one["containerPath"], one["hostPath"]) for one in found.get("mounts", ())),
    )
