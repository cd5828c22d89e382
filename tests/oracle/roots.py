"""Roots with libvirt's real QEMU driver, one per Debian release: built with mmdebstrap, kept in the cache.

`python -m tests.oracle.roots [SUITE...]` builds them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.oracle.cache import ensure, place
from tests.oracle.mirror import KEYRING, Mirror, mirror

Say = Callable[[str], None]

LOG_LINES = 12
ISOLATED = ("unshare", "--mount", "--pid", "--net", "--fork", "--kill-child")
"""Nothing that starts in a root outlives it, stays mounted, or reaches the network."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A Debian release and the libvirt it has; `required` where the oracle is worth nothing without it."""

    name: str
    libvirt: str
    s390x: str = "qemu-system-s390x"
    required: bool = True


SUITES = (
    Suite("bookworm", "9.0", s390x="qemu-system-misc"),
    Suite("trixie", "11.3"),
    Suite("sid", "sid", required=False),
)

PACKAGES = (
    *("base-files", "libvirt-daemon-driver-qemu", "python3-libvirt", "python3-minimal"),
    *("qemu-system-x86", "qemu-system-arm", "ovmf", "qemu-efi-aarch64"),
)
ARCHITECTURES = ("x86_64", "aarch64", "s390x")
# libvirt probes each emulator it finds, for seconds; the rest is weight.
UNUSED = ("usr/share/doc", "usr/share/locale", "usr/share/man", "usr/lib/*/gconv", "usr/share/*/*.fd")
# Packages are unpacked, not configured: these are the accounts their scripts would have made.
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nlibvirt-qemu:x:64055:64055::/:/bin/false\n",
    "etc/group": "root:x:0:\nlibvirt-qemu:x:64055:\nkvm:x:64056:\nlibvirt:x:64057:\n",
}
# An empty sys: a machine without PCI devices, so that no answer depends on the machine the tests run on.
DIRECTORIES = ("proc", "sys", "run", "tmp", "slots")


@dataclass(frozen=True, slots=True)
class Root:
    """A built root."""

    suite: Suite
    path: Path


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why a root cannot be had, as a sentence."""

    reason: str


def named(name: str) -> Suite:
    """The suite of this name."""
    return next(suite for suite in SUITES if suite.name == name)


class _Obstacle(Exception):
    """What is in the way, as a sentence."""


def available(suite: Suite, *, build: bool = True, say: Say = print) -> Root | Unavailable:
    """The suite's root, built first where it is not there yet and `build` allows it."""
    path = place(suite.name, _recipe(suite))
    try:
        _check_that_it_can_be_entered()
        if not path.exists():
            if not build:
                return Unavailable(f"the root with libvirt of {suite.name} is not built: make oracle")
            _build(suite, path, say)
    except _Obstacle as obstacle:
        return Unavailable(str(obstacle))
    return Root(suite, path)


def _recipe(suite: Suite) -> tuple[str, ...]:
    files = tuple(f"{name}={content}" for name, content in FILES.items())
    return (suite.name, *_packages(suite), *ARCHITECTURES, *UNUSED, *files, *DIRECTORIES)


def _packages(suite: Suite) -> tuple[str, ...]:
    return (*PACKAGES, suite.s390x)


def _check_that_it_can_be_entered() -> None:
    if os.geteuid() != 0:
        raise _Obstacle("a chroot needs root, and this is an ordinary user")
    if shutil.which("unshare") is None:
        raise _Obstacle("unshare is not installed: apt-get install util-linux")
    tried = subprocess.run([*ISOLATED, "true"], check=False, capture_output=True, text=True)
    if tried.returncode:
        raise _Obstacle(f"no namespaces can be made here: {tried.stderr.strip()}")


def _build(suite: Suite, path: Path, say: Say) -> None:
    if shutil.which("mmdebstrap") is None:
        raise _Obstacle("mmdebstrap is not installed: apt-get install mmdebstrap")
    if not KEYRING.exists():
        raise _Obstacle(f"{KEYRING} is missing: apt-get install debian-archive-keyring")
    source = mirror()
    if source is None:
        raise _Obstacle("apt is not configured with a Debian mirror on this machine")
    log = path.with_name(f"{path.name}.log")
    say(f"building a root with libvirt of {suite.name}, well under a minute (log: {log})")
    begun = time.monotonic()
    try:
        ensure(path, lambda partial: _fill(suite, source, partial, log))
    except subprocess.CalledProcessError as error:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
        raise _Obstacle(f"no root of {suite.name} could be built, mmdebstrap says:\n{end}") from error
    say(f"built {path} in {time.monotonic() - begun:.0f} s, {_megabytes(path)} MB")


def _fill(suite: Suite, source: Mirror, target: Path, log: Path) -> None:
    command = [
        # Killed with this process, and then nothing of it goes on in `target`, or stays mounted.
        *("setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *("nice", "mmdebstrap", "--mode=root", "--variant=extract", "--format=directory"),
        f"--keyring={KEYRING}",
        f"--include={','.join(_packages(suite))}",
        *(f"--aptopt={option}" for option in source.options),
        *(suite.name, str(target), source.uri),
    ]
    with log.open("wb") as output:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    _trim(target)
    for name in DIRECTORIES:
        (target / name).mkdir(exist_ok=True)
    for name, content in FILES.items():
        (target / name).write_text(content)


def _trim(target: Path) -> None:
    kept = {f"qemu-system-{architecture}" for architecture in ARCHITECTURES}
    emulators = {path for path in (target / "usr/bin").glob("qemu-system-*") if path.name not in kept}
    unused = {path for pattern in UNUSED for path in target.glob(pattern)}
    for path in emulators | unused:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _megabytes(path: Path) -> int:
    files = (entry.lstat() for entry in path.rglob("*"))
    return sum(status.st_blocks for status in files) * 512 // 1_000_000


def main(names: list[str], say: Say = print) -> int:
    """Build the named roots, or all; 0 when the required ones are there."""
    if unknown := set(names) - {suite.name for suite in SUITES}:
        say(f"no such suite: {', '.join(sorted(unknown))}")
        return 2
    missing = 0
    for suite in [suite for suite in SUITES if suite.name in names or not names]:
        match available(suite, say=say):
            case Root(path=path):
                say(f"{suite.name}: {path}")
            case Unavailable(reason=reason):
                say(f"{suite.name}: {reason}")
                missing += suite.required
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
