from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from tests.oracle import roots
from tests.oracle.mirror import Mirror
from tests.oracle.roots import SUITES, Suite, Unavailable, available, main, named

NOBODY_LISTENS = Mirror("http://127.0.0.1:9/debian", ('Acquire::Retries "0";',))


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "passgate" / "oracle"


@pytest.fixture
def can_enter(mocker: MockerFixture) -> None:
    mocker.patch.object(roots, "_check_that_it_can_be_entered", autospec=True, return_value=None)


def reason(suite: Suite, *, build: bool = True) -> str:
    found = available(suite, build=build)
    assert isinstance(found, Unavailable)
    return found.reason


@pytest.mark.usefixtures("empty_cache")
def test_an_ordinary_user_is_told(mocker: MockerFixture) -> None:
    mocker.patch.object(os, "geteuid", autospec=True, return_value=1000)
    assert reason(named("trixie")) == "a chroot needs root, and this is an ordinary user"


@pytest.mark.usefixtures("can_enter")
def test_nothing_is_built_unasked(empty_cache: Path) -> None:
    assert reason(named("trixie"), build=False) == "the root with libvirt of trixie is not built: make oracle"
    assert not empty_cache.exists()


@pytest.mark.usefixtures("empty_cache", "can_enter")
def test_each_absence_is_named(monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "mmdebstrap is not installed" in reason(named("trixie"))
    (tmp_path / "mmdebstrap").touch(mode=0o755)
    mocker.patch.object(roots, "KEYRING", tmp_path / "no.gpg")
    assert "apt-get install debian-archive-keyring" in reason(named("trixie"))
    mocker.patch.object(roots, "KEYRING", Path("/dev/null"))
    mocker.patch.object(roots, "mirror", autospec=True, return_value=None)
    assert "not configured with a Debian mirror" in reason(named("trixie"))


def test_what_mmdebstrap_says_is_quoted(mocker: MockerFixture, empty_cache: Path) -> None:
    mocker.patch.object(roots, "mirror", autospec=True, return_value=NOBODY_LISTENS)
    found = reason(named("trixie"))
    if "mmdebstrap says" not in found:
        pytest.skip(found)
    assert "E: " in found
    assert {path.suffix for path in empty_cache.iterdir()} == {".lock", ".log"}


def test_only_required_releases_count(mocker: MockerFixture) -> None:
    mocker.patch.object(
        roots, "available", autospec=True, side_effect=lambda suite, **_: Unavailable(f"no {suite.name}")
    )
    said: list[str] = []
    assert main(["sid"], said.append) == 0
    assert main(["trixie"], said.append) == 1
    assert main([], said.append) == 1
    assert main(["etch"], said.append) == 2
    everything = [f"{suite.name}: no {suite.name}" for suite in SUITES]
    assert said == ["sid: no sid", "trixie: no trixie", *everything, "no such suite: etch"]
