"""Recorded boots of KubeVirt's own code, by VM and release: tests/fixtures/boots/README.md says what they are."""

from __future__ import annotations

import functools
import json
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.house import ROOT

ARCHIVE = ROOT / "tests/fixtures/boots/boots.tar.xz"
RELEASES = ("1.5.3", "1.6.6", "1.7.4", "1.8.4", "1.9.0", "head")


class Vm(NamedTuple):
    """What a VM is booted with, whatever the release."""

    name: str
    vmi: Mapping[str, Any]
    allocation: Mapping[str, str]
    """The variables of the allocation file."""
    environment: Mapping[str, str]
    """Of the container `compute`."""
    network_info: str

    @property
    def vmi_json(self) -> bytes:
        """As a hook is handed it."""
        return json.dumps(self.vmi).encode()

    @property
    def allocation_env(self) -> bytes:
        """The allocation file."""
        return "".join(f"{name}={value}\n" for name, value in self.allocation.items()).encode()


class Boot(NamedTuple):
    """A boot without Passgate, and what became of the same with Passgate 0.1.0."""

    vm: Vm
    release: str
    passes: tuple[bytes, ...]
    """What the hook is handed on each pass."""
    final: bytes
    """libvirt's inactive domain after the last."""
    with_passgate: Mapping[str, Any] | None
    """Its `passes`, and its `devices` by host address; nothing where 0.1.0 refused."""

    @property
    def id(self) -> str:
        """Its name in a test's parameters."""
        return f"{self.vm.name}-{self.release}"


@functools.cache
def boots() -> tuple[Boot, ...]:
    """All of them, sorted by VM, then by release."""
    files = _files()
    return tuple(boot for name in sorted({path.split("/")[0] for path in files}) for boot in _boots_of(name, files))


def boots_of(release: str) -> tuple[Boot, ...]:
    """All of one release."""
    return tuple(boot for boot in boots() if boot.release == release)


def boot_of(name: str, release: str) -> Boot:
    """The one of this VM and release."""
    return next(boot for boot in boots() if (boot.vm.name, boot.release) == (name, release))


def _files() -> dict[str, bytes]:
    with tarfile.open(ARCHIVE) as archive:
        members = ((member.name, archive.extractfile(member)) for member in archive)
        return {name: file.read() for name, file in members if file is not None}


def _boots_of(name: str, files: Mapping[str, bytes]) -> Iterator[Boot]:
    said = json.loads(files[f"{name}/vm.json"])
    vm = Vm(name, said["vmi"], said["allocation"], said["environmentOfCompute"], said.get("networkInfo", ""))
    for release in RELEASES:
        place = f"{name}/{release}"
        passes = tuple(files[path] for number in (1, 2, 3) if (path := f"{place}/pass{number}.xml") in files)
        if passes:
            later = files.get(f"{place}/with-passgate.json")
            yield Boot(vm, release, passes, files[f"{place}/final.xml"], json.loads(later) if later else None)
