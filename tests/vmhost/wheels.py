"""What sidecar, agent and the rest run on: the pinned packages, for the host's own Python. Debian's are older."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.house import ROOT
from tests.vmhost.debian import logged

PINS = ROOT / "requirements" / "claims.txt"


def install(root: Path, log: Path) -> None:
    """Put them where Debian's Python looks before it looks for Debian's own packages."""
    (library,) = (root / "usr/lib").glob("python3.*")
    target = root / "usr/local/lib" / library.name / "dist-packages"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
    ]
    python = ["--python-version", library.name.removeprefix("python"), "--only-binary=:all:", "--no-compile"]
    logged([*pip, *python, "--require-hashes", "--target", str(target), "--requirement", str(PINS)], log)
    subprocess.run(["chroot", root, "python3", "-m", "compileall", "-q", "/" / target.relative_to(root)], check=True)
