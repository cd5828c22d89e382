"""axe-core, the judge of accessibility: fetched by npm once, by its digest, and kept in the cache."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.oracle.cache import ensure, place

RELEASE = "axe-core@4.14.1"
DIGEST = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
"""The SHA-512 of its archive. npm finds its registry by the machine's own configuration."""
_FILE = "package/axe.min.js"


class Unavailable(Exception):
    """Why it cannot be had, as a sentence."""


def axe() -> str:
    """Its script."""
    kept = place("axe", (RELEASE, DIGEST))
    ensure(kept, _fetch)
    return (kept / "axe.min.js").read_text(encoding="utf-8")


def _fetch(directory: Path) -> None:
    if shutil.which("npm") is None:
        raise Unavailable("npm is not installed, and axe-core comes with it: apt-get install npm")
    done = subprocess.run(
        ["npm", "pack", "--silent", RELEASE, "--pack-destination", directory],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise Unavailable(f"npm cannot fetch {RELEASE}: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
    archive = directory / done.stdout.strip().splitlines()[-1]
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    assert digest == DIGEST, f"{RELEASE} has another digest: {digest}"
    with tarfile.open(archive) as opened:
        member = opened.extractfile(_FILE)
        assert member is not None
        (directory / "axe.min.js").write_bytes(member.read())
