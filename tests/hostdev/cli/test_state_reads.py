"""Commands of node state that only look write nothing: no file, no directory, no process. Asked of an audit hook."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hostdev.inventory.recorded.layout import lay_out
from tests.hostdev.cli.running import MACHINES, ROOT, environment

WATCHED = """
import os, sys
done = []
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.chown",
           "os.truncate", "os.utime", "subprocess.Popen", "os.posix_spawn", "os.exec", "os.fork", "os.system"}
def hook(event, arguments):
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES:
        done.append((event, str(arguments[0])))
    elif event in CHANGES:
        done.append((event, str(arguments[:1])))
sys.addaudithook(hook)
from hostdev.cli.main import main
code = main(sys.argv[1:])
print(code, done, file=sys.stderr)
sys.exit(bool(done))
"""
FILE = str(ROOT / "tests/fixtures/nodestate/qat-more.yaml")
LOOKING = {
    "export": ("export",),
    "plan": ("plan", FILE),
    "plan as JSON": ("plan", FILE, "-o", "json"),
    "status": ("status", FILE),
    "status as JSON": ("status", FILE, "-o", "json"),
    "dry run": ("apply", FILE, "--dry-run"),
    "form": ("install", FILE, "--for", "machineconfig"),
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded machine as a directory: looked at where it is."""
    root = tmp_path_factory.mktemp("qat")
    lay_out((MACHINES / "qat.toml").read_text(), root)
    return root


@pytest.mark.parametrize("where", ["here", "recorded"])
@pytest.mark.parametrize("words", LOOKING.values(), ids=LOOKING)
def test_looking_writes_nothing(words: tuple[str, ...], where: str, machine: Path) -> None:
    command = [sys.executable, "-c", WATCHED, "node", "state", *words]
    command += ["--host", str(machine)] if where == "recorded" else []

    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1].split()[0] in {"0", "1", "5"}, done.stderr
