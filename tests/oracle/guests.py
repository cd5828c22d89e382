"""Roots with what reads network data in a guest: cloud-init and netplan, one per Debian release."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.oracle.cache import ensure, place
from tests.oracle.mirror import KEYRING, Mirror, mirror
from tests.oracle.roots import ISOLATED, Say, Unavailable

RELEASES = ("bookworm", "trixie")
PACKAGES = ("base-files", "cloud-init", "netplan.io", "python3-minimal")
UNUSED = ("usr/share/doc", "usr/share/locale", "usr/share/man", "usr/lib/*/gconv")
DIRECTORIES = ("proc", "sys", "run", "tmp", "slots")
SLOTS = "slots"
# Packages are unpacked, not configured: these are the accounts their scripts would have made.
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nsystemd-network:x:998:998::/:/bin/false\n",
    "etc/group": "root:x:0:\nsystemd-network:x:998:\n",
}


@dataclass(frozen=True, slots=True)
class Guest:
    """A built root."""

    path: Path

    def run(self, files: Path, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in the root; the directory `files` is its /slots."""
        # A mount of its own, which ends with the command: the root stays as it was built, for whoever else uses it.
        script = 'mount --bind "$1" "$2" && mount -t proc proc "$3" && shift 3 && exec chroot "$@"'
        words = [str(files), str(self.path / SLOTS), str(self.path / "proc"), str(self.path), *command]
        return subprocess.run(
            [*ISOLATED, "sh", "-c", script, "sh", *words], capture_output=True, text=True, check=False, timeout=120
        )


def available(release: str, *, build: bool, say: Say) -> Guest | Unavailable:
    """The release's root, built first where it is not there yet and `build` allows it."""
    path = place(f"guest-{release}", (release, *PACKAGES, *UNUSED, *DIRECTORIES, *FILES.values(), "ca"))
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return Unavailable("a chroot needs root and unshare")
    if not path.exists():
        source = mirror()
        if not build or source is None or shutil.which("mmdebstrap") is None or not KEYRING.exists():
            return Unavailable(f"no root with cloud-init of {release}: it needs mmdebstrap and a Debian mirror")
        say(f"building a root with cloud-init of {release}, well under a minute")
        log = path.with_name(f"{path.name}.log")
        try:
            ensure(path, lambda partial: _fill(release, source, partial, log))
        except subprocess.CalledProcessError:
            return Unavailable(f"no root with cloud-init of {release} could be built, see {log}")
    return Guest(path)


def _fill(release: str, source: Mirror, target: Path, log: Path) -> None:
    command = [
        *("setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *("nice", "mmdebstrap", "--mode=root", "--variant=extract", "--format=directory"),
        f"--keyring={KEYRING}",
        f"--include={','.join(PACKAGES)}",
        *(f"--aptopt={option}" for option in source.options),
        *(release, str(target), source.uri),
    ]
    with log.open("wb") as output:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    for unused in (found for pattern in UNUSED for found in target.glob(pattern)):
        shutil.rmtree(unused)
    for name in DIRECTORIES:
        (target / name).mkdir(exist_ok=True)
    for name, content in FILES.items():
        (target / name).write_text(content)
    # cloud-init does not start without certificates, nor netplan's Python without an index of libraries.
    certificates = sorted((target / "usr/share/ca-certificates").rglob("*.crt"))
    bundle = target / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text("".join(certificate.read_text() for certificate in certificates))
    subprocess.run(["chroot", str(target), "/sbin/ldconfig"], check=True)
