"""The edge where files are found and read: names, directories, patterns, standard input."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from domxml.errors import BadInput
from hostdev.lint.objects import LARGEST
from hostdev.lint.rendering import VM_TEXT
from hostdev.printing import output
from hostdev.vmi.file import check_no_xml

_ENDINGS = (".yaml", ".yml", ".json")
_RELEVANT = re.compile(
    rb"VirtualMachine|SriovNetwork|NetworkAttachmentDefinition|PCIDeviceClaim|kind[\"']?\s*:\s*[\"']?(?:KubeVirt|NodeState(?:List)?)\b"
)
"""A file that names none of these holds nothing that is looked at."""
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_PATCH = re.compile(r"^\s*-?\s*(?:path:\s*)?[\"']?([\w./@-]+\.(?:ya?ml|json))[\"']?\s*$")


class File(NamedTuple):
    """A file as it lies there."""

    name: str
    data: bytes = b""
    error: BadInput | None = None
    is_named: bool = True
    """Whether it was named itself, and not found in a directory."""
    chart: str = ""
    """The directory of the Helm chart that it belongs to."""
    overlay: str = ""
    """The directory of the kustomization that has it among its patches."""


def read_files(names: Sequence[str]) -> Iterator[File]:
    """Every file that is meant, once, in the order of the names; only what may hold something is read whole."""
    met: set[str] = set()
    patches = _Patches()
    for name in names:
        for path, is_named in _expanded(name):
            real = path if path == "-" else os.path.realpath(path)
            if real in met:
                continue
            met.add(real)
            yield _read(path, is_named, patches)


def _expanded(name: str) -> Iterator[tuple[str, bool]]:
    if name == "-" or os.path.isfile(name):  # noqa: PTH113  paths stay as they are typed
        yield name, True
    elif os.path.isdir(name):  # noqa: PTH112
        yield from ((path, False) for path in _below(name))
    elif any(letter in name for letter in "*?["):
        found = sorted(glob.glob(name, recursive=True))  # noqa: PTH207
        if not found:
            yield name, True
        for path in found:
            yield from _expanded(path)
    else:
        yield name, True


def _below(directory: str) -> Iterator[str]:
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(_ENDINGS))  # noqa: PTH118


def _read(path: str, is_named: bool, patches: _Patches) -> File:  # noqa: FBT001
    try:
        data = output.read_input(LARGEST + 1) if path == "-" else _contents(path)
        if is_named:
            check_no_xml(data, path)
    except BadInput as error:
        return File(path, error=error, is_named=is_named)
    except OSError as error:
        what = f"cannot read it: {error.strerror}"
        hint = "name a file, a directory or a pattern that is there"
        return File(path, error=BadInput("unreadable-file", what, subject=path, hint=hint), is_named=is_named)
    if len(data) > LARGEST:
        what = f"it has more than {LARGEST} bytes"
        return File(path, error=BadInput("unreadable-file", what, subject=path, hint="split it"), is_named=is_named)
    if not is_named and not _RELEVANT.search(data):
        return File(path, is_named=False)
    if not VM_TEXT.search(data) or path == "-":
        return File(path, data, is_named=is_named)
    return File(path, data, None, is_named, _chart(path), patches.overlay_of(path))


def _contents(path: str) -> bytes:
    # A FIFO into which nothing writes is empty; opening it would otherwise wait for ever.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        os.set_blocking(file.fileno(), True)
        return file.read(LARGEST + 1)


def _chart(path: str) -> str:
    folder = os.path.dirname(path)  # noqa: PTH120
    for _ in range(5):
        if os.path.isfile(os.path.join(folder, "Chart.yaml")):  # noqa: PTH113, PTH118
            return folder or "."
        if os.path.basename(folder) in {"", ".."}:  # noqa: PTH119
            break
        folder = os.path.dirname(folder)  # noqa: PTH120
    return ""


class _Patches:
    """Which files are patches of a kustomization beside or above them; each is read once."""

    def __init__(self) -> None:
        self.known: dict[str, frozenset[str]] = {}

    def overlay_of(self, path: str) -> str:
        folder = os.path.dirname(path)  # noqa: PTH120
        for _ in range(3):
            if os.path.realpath(path) in self.patches_of(folder):
                return folder or "."
            if os.path.basename(folder) in {"", ".."}:  # noqa: PTH119
                break
            folder = os.path.dirname(folder)  # noqa: PTH120
        return ""

    def patches_of(self, folder: str) -> frozenset[str]:
        if folder not in self.known:
            texts = [text for name in _KUSTOMIZATIONS if (text := _text(os.path.join(folder, name)))]  # noqa: PTH118
            names = {found for text in texts for found in _patch_names(text)}
            self.known[folder] = frozenset(os.path.realpath(os.path.join(folder, name)) for name in names)  # noqa: PTH118
        return self.known[folder]


def _text(path: str) -> str:
    try:
        return _contents(path).decode(errors="replace")
    except OSError:
        return ""


def _patch_names(text: str) -> Iterator[str]:
    """What stands below `patches:` and its older names; a resource is a whole object, and no patch."""
    inside = False
    for line in text.splitlines():
        if line[:1] not in {"", " ", "-", "#", "\t"}:
            inside = line.startswith(("patches", "patchesStrategicMerge"))
        match = _PATCH.match(line) if inside else None
        if match:
            yield match[1]
