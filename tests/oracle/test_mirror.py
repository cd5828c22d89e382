from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.oracle import mirror
from tests.oracle.mirror import first_debian

ONE_LINE = "deb [trusted=yes] http://archive.test/debian/ trixie main\n"
DEB822 = "Types: deb\nURIs: http://archive.test/debian\nSuites: trixie trixie-updates\nComponents: main\n"
SECURITY_FIRST = "deb http://archive.test/debian-security trixie-security main\n" + ONE_LINE


def apt_says(directory: Path, name: str, content: str) -> str:
    """What apt itself makes of a configuration."""
    (directory / "lists/partial").mkdir(parents=True)
    (directory / name).write_text(content)
    parts = directory if name.endswith(".sources") else "-"
    settings = {
        "Dir::Etc::sourcelist": directory / name if parts == "-" else "-",
        "Dir::Etc::sourceparts": parts,
        "Dir::State::lists": directory / "lists",
        "Acquire::AllowInsecureRepositories": "1",
    }
    options = [f"--option={key}={value}" for key, value in settings.items()]
    return subprocess.run(
        ["apt-get", *options, "--print-uris", "update"], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize(
    ("name", "content"),
    [("sources.list", ONE_LINE), ("debian.sources", DEB822), ("sources.list", SECURITY_FIRST)],
    ids=["one-line", "deb822", "security-first"],
)
def test_finds_the_archive_in_either_form(tmp_path: Path, name: str, content: str) -> None:
    if not Path("/usr/bin/apt-get").exists():
        pytest.skip("apt-get is not installed")
    assert first_debian(apt_says(tmp_path, name, content)) == "http://archive.test/debian"


def test_another_distribution_is_no_debian() -> None:
    assert first_debian("'http://archive.test/ubuntu/dists/noble/InRelease' archive.test_InRelease 0 \n") is None


def test_a_machine_without_apt_has_no_mirror(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert mirror.mirror() is None
