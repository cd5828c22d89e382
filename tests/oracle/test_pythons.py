"""passgate.pyz under each Debian release's own Python, which has nothing installed for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostdev.cli.running import MACHINES, ROOT, process
from tests.oracle.roots import ISOLATED, Root

pytestmark = pytest.mark.oracle

ENTER = 'mount -t tmpfs none "$0/tmp" && cp "$1" "$2" "$0/tmp" && shift 2 && exec chroot "$0" python3 -I -S "$@"'


THERE = "/tmp"  # noqa: S108  one of its own, seen by this command alone


@pytest.mark.parametrize("words", ["node doctor", "node units -o json", "node draw -o svg", "explain group-not-viable"])
def test_it_answers_the_same(root: Root, tmp_path: Path, words: str) -> None:
    pyz, machine = tmp_path / "passgate.pyz", MACHINES / "consumer-gpu.toml"
    subprocess.run([sys.executable, ROOT / "deploy/pyz/build.py", pyz], check=True, capture_output=True)
    command = ["sh", "-c", ENTER, str(root.path), str(pyz), str(machine), f"{THERE}/{pyz.name}", *words.split()]
    at = ["--host", f"{THERE}/{machine.name}"] if words.startswith("node") else []
    done = subprocess.run([*ISOLATED, *command, *at], check=False, capture_output=True, text=True)
    here = process(*words.split(), *(["--host", str(machine)] if at else []))

    assert (done.returncode, done.stderr) == (here.code, "")
    assert done.stdout.replace(f"{THERE}/{machine.name}", str(machine)) == here.out
