"""Kubelet's own record of resource claims: those that pods on the node have, and has not been told to give back."""

from __future__ import annotations

import os
from typing import NamedTuple
from zlib import crc32

from domxml.errors import BadInput
from hostdev.jsontext import Format, parse_json
from hostdev.jsonutil import JsonObject, as_object, show_value
from hostdev.kubelet.directory import read_bounded

FILE = "dra_manager_state"
"""In kubelet's directory."""
CODE = "kubelet-claims-unreadable"
KIND, GROUP = "DRACheckpoint", "checkpoint.dra.kubelet.k8s.io/"
MAX_BYTES = 64 << 20

_FORMAT = Format(FILE, CODE, MAX_BYTES)


class HeldClaim(NamedTuple):
    """A claim that kubelet holds, and the drivers that it asked for it."""

    uid: str
    namespace: str
    name: str
    drivers: tuple[str, ...]
    """Empty before the first answer: kubelet writes a claim down before it asks."""


def parse_claims(data: bytes) -> tuple[HeldClaim, ...]:
    """Read the file's content; raises BadInput where it is torn, or of a form that is not known."""
    outer = as_object(parse_json(data, _FORMAT), "", CODE)
    text = outer.get_str("Data")
    if text is None:
        raise BadInput(CODE, "has no Data", subject=FILE, hint="is this kubelet's file?")
    # Kubelet itself starts empty, or not at all, with one whose sum is wrong.
    if outer.fields.get("Checksum") != crc32(text.encode()):
        raise BadInput(CODE, "is damaged: its sum is another", subject=FILE)
    state = as_object(parse_json(text, _FORMAT), "Data", CODE)
    version, kind = state.get_str("apiVersion") or "", state.get_str("kind")
    if kind != KIND or not version.startswith(GROUP) or "ClaimInfoStateList" not in state.fields:
        what = f"is {show_value(version)} {show_value(kind)}, and no {KIND}"
        raise BadInput(CODE, what, subject=FILE, hint="is this kubelet newer?")
    return tuple(map(_claim, state.get_objects("ClaimInfoStateList")))


def _claim(found: JsonObject) -> HeldClaim:
    uid, namespace, name = (found.get_str(key) or "" for key in ("ClaimUID", "Namespace", "ClaimName"))
    if not uid or not name:
        raise found.refused("ClaimUID", "a claim without UID or name")
    return HeldClaim(uid, namespace, name, tuple(found.get_object("DriverState").fields))


def read_claims(kubelet_dir: str) -> tuple[HeldClaim, ...]:
    """Read kubelet's record; raises BadInput, or the OSError of a file that is not there."""
    return parse_claims(read_bounded(os.path.join(kubelet_dir, FILE), MAX_BYTES))  # noqa: PTH118
