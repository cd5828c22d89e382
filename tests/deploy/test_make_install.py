"""`make install`, as a package does it: staged below DESTDIR, then moved to its place, tried there, taken away."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.hostdev.cli.running import MACHINES
from tests.house import ROOT

PROGRAMS = sorted(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"])


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an install into a stage has written, moved to its prefix."""
    folder = tmp_path_factory.mktemp("install")
    stage, prefix = folder / "stage", folder / "prefix"
    done = subprocess.run(["tools/install", prefix, stage], check=False, cwd=ROOT, capture_output=True, text=True)
    if "ERROR: Could not find a version" in done.stderr:
        pytest.skip(f"pip reaches no index: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    shutil.move(f"{stage}{prefix}", prefix)
    return prefix


def ran(*command: str | Path) -> str:
    """With nothing of this checkout in sight."""
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/", env={"PATH": os.defpath})
    return done.stdout


def test_every_program_starts(staged: Path) -> None:
    assert sorted(path.name for path in (staged / "bin").iterdir()) == PROGRAMS
    for name in PROGRAMS:
        assert ran(staged / "bin" / name, "--version").startswith("passgate 0.1.0 (Python 3.")


def test_it_finds_what_it_needs(staged: Path) -> None:
    said = ran(staged / "bin/passgate", "plan", ROOT / "deploy/examples/qat/vm.yaml", "-o", "yaml")

    assert said.startswith("apiVersion: passgate.dev/v1\n")
    assert "</html>" in ran(staged / "bin/passgate", "fleet", "list", "--from", MACHINES, "--html", "-")


def test_each_program_has_its_page_and_its_completion(staged: Path) -> None:
    pages = {path.name for path in (staged / "share/man/man1").iterdir()}
    bash = staged / "share/bash-completion/completions"
    fish = staged / "share/fish/vendor_completions.d"

    assert {f"{name}.1" for name in PROGRAMS} - {"kubectl-passgate.1"} <= pages
    assert "passgate-node-list.1" in pages
    assert sorted(path.name for path in bash.iterdir()) == PROGRAMS
    assert {path.read_text() for path in bash.iterdir()} == {ran(staged / "bin/passgate", "completion", "bash")}
    assert sorted(path.name for path in fish.iterdir()) == sorted(f"{name}.fish" for name in PROGRAMS)
    assert (staged / "share/zsh/site-functions/_passgate").read_text().startswith("#compdef passgate ")


def test_nothing_knows_of_the_stage_or_the_checkout(staged: Path) -> None:
    names = (f"{staged.parent}/stage".encode(), f"{ROOT}/".encode())
    ours = [*staged.glob("bin/*"), *staged.glob("lib/passgate/hostdev/**/*.py*")]

    assert len(ours) > 500
    assert [path for path in ours if any(name in path.read_bytes() for name in names)] == []


def test_uninstall_takes_everything_away(staged: Path, tmp_path: Path) -> None:
    """And what stands beside it stays."""
    prefix = tmp_path / "copy"
    shutil.copytree(staged, f"{tmp_path}/stage{prefix}", symlinks=True)
    installed = Path(f"{tmp_path}/stage{prefix}")
    record = installed / "lib/passgate/INSTALLED"
    record.write_text(record.read_text().replace(str(staged), str(prefix)))
    (installed / "bin/other").write_text("")
    subprocess.run(["tools/uninstall", prefix, f"{tmp_path}/stage"], check=True, cwd=ROOT, capture_output=True)

    assert [path for path in installed.rglob("*") if not path.is_dir()] == [installed / "bin/other"]
    assert not (installed / "lib/passgate").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("install", "usr/local"), "PREFIX has to begin with /, as in PREFIX=/usr/local\n"),
        (("install", "/opt/a b"), "PREFIX and DESTDIR may hold letters, digits and / . _ + ~ - only\n"),
        (("install", "/proc/nowhere"), "/proc/nowhere/lib/passgate cannot be made: run it as root, or with PREFIX=$H"),
        (("uninstall", "/nowhere"), "/nowhere/lib/passgate/INSTALLED is not there: nothing of Passgate is installed"),
    ],
)
def test_what_cannot_be_done_is_said(words: tuple[str, str], said: str) -> None:
    done = subprocess.run([f"tools/{words[0]}", words[1]], check=False, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode in {1, 2}
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
