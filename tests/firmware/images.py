"""The firmware of Debian's releases, in the cache: what guests are booted with, to be asked where their BARs are."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.oracle.cache import ensure, place
from tests.oracle.mirror import KEYRING, mirror
from tests.oracle.roots import Root, Say, Unavailable, available, named

PACKAGES = ("ovmf", "qemu-efi-aarch64", "seabios")
"""They hold firmware for any machine, and depend on nothing."""
_IMAGES = {
    "ovmf": ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),
    "aavmf": ("usr/share/AAVMF/AAVMF_CODE.fd", "usr/share/AAVMF/AAVMF_VARS.fd"),
    "seabios": ("usr/share/seabios/bios-256k.bin", ""),
}


class Images(NamedTuple):
    """The firmware of a release, and the root whose QEMU runs it."""

    root: Root
    path: Path

    def code(self, kind: str) -> Path:
        """The image of a family."""
        return (self.path / _IMAGES[kind][0]).resolve()

    def variables(self, kind: str) -> Path | None:
        """What it keeps its variables in, as it comes."""
        return (self.path / _IMAGES[kind][1]).resolve() if _IMAGES[kind][1] else None


def images(suite: str, *, build: bool, say: Say) -> Images | Unavailable:
    """Those of a release, fetched first where they are not there yet and `build` allows it."""
    root = available(named(suite), build=build, say=say)
    if isinstance(root, Unavailable):
        return root
    path = place(f"firmware-{suite}", (suite, *PACKAGES))
    if not path.exists():
        source = mirror()
        if not build or source is None:
            return Unavailable(f"the firmware of {suite} is not fetched: make test-host")
        say(f"fetching the firmware of {suite}, ten seconds")
        try:
            ensure(path, lambda partial: _fetch(suite, partial, source.options, source.uri))
        except subprocess.CalledProcessError as error:
            return Unavailable(f"the firmware of {suite} cannot be fetched: {error.stderr[-300:]}")
    return Images(root, path)


def _fetch(suite: str, target: Path, options: tuple[str, ...], uri: str) -> None:
    command = [
        *("setpriv", "--pdeathsig=KILL", "mmdebstrap", "--mode=root", "--variant=extract", "--format=directory"),
        f"--keyring={KEYRING}",
        f"--include={','.join(PACKAGES)}",
        *(f"--aptopt={option}" for option in options),
        *(suite, str(target), uri),
    ]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
