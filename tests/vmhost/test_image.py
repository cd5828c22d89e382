from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from tests.oracle.mirror import Mirror
from tests.vmhost import debian, obstacles, recipe
from tests.vmhost.debian import NotPossible
from tests.vmhost.image import build


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "passgate" / "vmhost"


def test_an_ordinary_user_is_told(mocker: MockerFixture) -> None:
    mocker.patch.object(os, "geteuid", autospec=True, return_value=1000)
    assert obstacles.to_boot() == "chroot and mount need root, and this is an ordinary user"


def test_a_machine_without_mmdebstrap_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert obstacles.to_build(disk_mib=2048) == "mmdebstrap is not installed: apt-get install mmdebstrap"


def test_a_full_disk_is_told(mocker: MockerFixture) -> None:
    if (reason := obstacles.to_build(disk_mib=2048)) is not None:
        pytest.skip(reason)
    usage = shutil._ntuple_diskusage(10 << 30, 9 << 30, 1 << 30)
    mocker.patch.object(shutil, "disk_usage", autospec=True, return_value=usage)
    assert (obstacles.to_build(disk_mib=2048) or "").startswith("1024 MiB are free below ")


@pytest.mark.parametrize("kernel_of", [recipe.SUITE, recipe.NEWER])
def test_a_machine_without_a_mirror_is_told(kernel_of: str, mocker: MockerFixture) -> None:
    if (reason := obstacles.to_build(disk_mib=2048)) is not None:
        pytest.skip(reason)
    mocker.patch.object(obstacles, "mirror", autospec=True, return_value=None)
    with pytest.raises(NotPossible, match="apt is not configured with a Debian mirror"):
        build(say=lambda _: None, kernel_of=kernel_of)


def test_a_mirror_that_does_not_answer_leaves_its_words_and_nothing_else(
    mocker: MockerFixture, empty_cache: Path
) -> None:
    if (reason := obstacles.to_boot() or obstacles.to_build(disk_mib=2048)) is not None:
        pytest.skip(reason)
    silent = Mirror("http://127.0.0.1:9/debian", ('Acquire::Retries "0";',))
    mocker.patch.object(debian, "mirror", autospec=True, return_value=silent)
    told: list[str] = []

    with pytest.raises(NotPossible, match=r"127\.0\.0\.1"):
        build(say=told.append)

    assert [path.suffix for path in sorted(empty_cache.iterdir())] == [".lock", ".log"]
    assert len(told) == 1
