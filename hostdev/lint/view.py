"""What the rules look at: the manifest, and what its annotations ask for."""

from __future__ import annotations

import re
from typing import NamedTuple

from domxml.errors import BadInput
from hostdev.jsontext import Format, parse_json
from hostdev.jsonutil import JsonObject, list_of_objects
from hostdev.vmi.annotations import DEVICES, KNOWN, Devices, read_devices
from hostdev.vmi.entry import MAX_BYTES
from hostdev.vmi.file import Manifest
from hostdev.vmi.request import Request
from hostdev.vmi.vmi import Vmi

HOOKS = "hooks.kubevirt.io/hookSidecars"


_HOOKS = Format(HOOKS, "", MAX_BYTES, HOOKS)
_IMAGE = re.compile(r"(?:^|/)[\w.-]*passgate[\w.-]*(?::[^/]*)?(?:@[^/]*)?$")


class Asked(NamedTuple):
    """One entry of `passgate.dev/devices` that can be read, and where it stands."""

    place: str
    request: Request

    @property
    def least(self) -> int:
        """How many devices it needs."""
        return self.request.quantity or len(self.request.guests) or 1

    @property
    def takes_all(self) -> bool:
        """It takes every device of the resource."""
        return bool(self.request.resource) and self.request.quantity is None and not self.request.guests


class View(NamedTuple):
    """A manifest, read."""

    manifest: Manifest
    devices: Devices | None
    """What `passgate.dev/devices` says; None where it is not written."""
    asked: tuple[Asked, ...]

    @property
    def vmi(self) -> Vmi:
        """The VMI that it makes."""
        return self.manifest.vmi

    @property
    def injected(self) -> int:
        """How many devices get into the guest that KubeVirt does not put there; at least that many."""
        if self.devices is None:
            return sum(self.vmi.limits.values()) if self.has_passgate else 0
        plugged = {interface.name for interface in self.vmi.interfaces if interface.plugin}
        return sum(one.least for one in self.asked if not one.request.device or one.request.device in plugged)

    @property
    def has_passgate(self) -> bool:
        """Whether Passgate is in the VM's pod: an annotation of ours says so, or an image of its name."""
        return bool(KNOWN.keys() & self.vmi.annotations.keys()) or any(map(is_passgate, self.sidecars))

    @property
    def sidecars(self) -> tuple[JsonObject, ...]:
        """The hook sidecars, as far as they can be read."""
        try:
            return list_of_objects(parse_json(self.vmi.annotations.get(HOOKS, "[]"), _HOOKS), HOOKS, "")
        except BadInput:
            return ()

    @property
    def elsewhere(self) -> str:
        """Other things, not shown by a manifest, that may bring devices or resources; empty: none."""
        definitions = sorted({one.definition for one in self.vmi.interfaces if one.definition})
        words = [f"the NetworkAttachmentDefinition {name}" for name in definitions]
        if self.manifest.instancetype:
            words.append(f"the instancetype {self.manifest.instancetype}")
        return " or ".join(words)


def is_passgate(sidecar: JsonObject) -> bool:
    """Whether a hook sidecar is Passgate's, by the name of its image; foreign ones are looked at no further."""
    image = sidecar.fields.get("image")
    return isinstance(image, str) and _IMAGE.search(image) is not None


def view_of(manifest: Manifest) -> View:
    """Read the annotations of a manifest."""
    text = manifest.vmi.annotations.get(DEVICES)
    devices = None if text is None else read_devices(text)
    entries = devices.entries if devices else ()
    asked = (Asked(f"{DEVICES}[{index}]", entry) for index, entry in enumerate(entries) if entry is not None)
    return View(manifest, devices, tuple(asked))
