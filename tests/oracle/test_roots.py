from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.oracle import roots
from tests.oracle.mirror import Mirror
from tests.oracle.roots import SUITES, Suite, Unavailable, available, main, named


def nobody_listens() -> Mirror:
    return Mirror("http://127.0.0.1:9/debian", ('Acquire::Retries "0";',))


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "passgate" / "oracle"


@pytest.fixture
def can_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots, "_check_that_it_can_be_entered", lambda: None)


def reason(suite: Suite, *, build: bool = True) -> str:
    found = available(suite, build=build)
    assert isinstance(found, Unavailable)
    return found.reason


@pytest.mark.usefixtures("empty_cache")
def test_an_ordinary_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert reason(named("trixie")) == "a chroot needs root, and this is an ordinary user"


@pytest.mark.usefixtures("can_enter")
def test_nothing_is_built_unasked(empty_cache: Path) -> None:
    assert reason(named("trixie"), build=False) == "the root with libvirt of trixie is not built: make oracle"
    assert not empty_cache.exists()


@pytest.mark.usefixtures("empty_cache", "can_enter")
def test_each_absence_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _tool: None)
    assert "mmdebstrap is not installed" in reason(named("trixie"))
    monkeypatch.setattr(shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(roots, "KEYRING", tmp_path / "no.gpg")
    assert "apt-get install debian-archive-keyring" in reason(named("trixie"))
    monkeypatch.setattr(roots, "KEYRING", Path("/dev/null"))
    monkeypatch.setattr(roots, "mirror", lambda: None)
    assert "not configured with a Debian mirror" in reason(named("trixie"))


def test_what_mmdebstrap_says_is_quoted(monkeypatch: pytest.MonkeyPatch, empty_cache: Path) -> None:
    monkeypatch.setattr(roots, "mirror", nobody_listens)
    found = reason(named("trixie"))
    if "mmdebstrap says" not in found:
        pytest.skip(found)
    assert "E: " in found
    assert {path.suffix for path in empty_cache.iterdir()} == {".lock", ".log"}


def test_only_required_releases_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots, "available", lambda suite, say: Unavailable(f"no {suite.name}"))  # noqa: ARG005
    said: list[str] = []
    assert main(["sid"], said.append) == 0
    assert main(["trixie"], said.append) == 1
    assert main([], said.append) == 1
    assert main(["etch"], said.append) == 2
    everything = [f"{suite.name}: no {suite.name}" for suite in SUITES]
    assert said == ["sid: no sid", "trixie: no trixie", *everything, "no such suite: etch"]
