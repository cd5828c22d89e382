"""A Debian root with certain packages, from the mirror that this machine's apt uses."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.oracle.mirror import KEYRING, mirror
from tests.vmhost import recipe

GUARDED = (
    "setpriv",
    "--pdeathsig=KILL",
    "unshare",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "nice",
)
"""Killed with this process, and then nothing of it goes on in the root, or stays mounted."""
LOG_LINES = 12


class NotPossible(Exception):
    """This machine cannot build the host; the text says why."""


def install(root: Path, packages: Sequence[str], log: Path, *, left_out: Sequence[str] = ()) -> None:
    """Fill a directory with packages, what they depend on and apt; paths that match `left_out` are not unpacked."""
    options = [f"--dpkgopt=path-exclude={path}" for path in left_out]
    _bootstrap(root, recipe.SUITE, packages, log, variant="apt", options=options)


def unpack(root: Path, packages: Sequence[str], log: Path, *, suite: str) -> None:
    """Fill a directory with the files of packages of a release; nothing in it is configured, or could run."""
    _bootstrap(root, suite, packages, log, variant="extract")


def _bootstrap(
    root: Path, suite: str, packages: Sequence[str], log: Path, *, variant: str, options: Sequence[str] = ()
) -> None:
    source = mirror()
    if source is None:
        raise NotPossible("apt is not configured with a Debian mirror on this machine")
    command = [
        # INITRD: the kernel's package would spend half a minute on an initramfs that nothing boots.
        *("env", "INITRD=No", "mmdebstrap", "--mode=root", f"--variant={variant}", "--format=directory"),
        f"--keyring={KEYRING}",
        f"--include={','.join(packages)}",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--aptopt={option}" for option in source.options),
        *options,
        *(suite, str(root), source.uri),
    ]
    logged(command, log)


def logged(command: Sequence[str], log: Path) -> None:
    """Run a long command whose words only matter if it fails."""
    with log.open("ab") as output:
        done = subprocess.run(
            [*GUARDED, *command], check=False, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    if done.returncode:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
        raise NotPossible(f"{command[0]} ended with {done.returncode}, the end of {log}:\n{end}")
