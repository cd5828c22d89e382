from __future__ import annotations

from pathlib import Path
from threading import Barrier, Thread

import pytest

from tests.oracle.cache import ensure, place


def test_another_recipe_is_another_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first, second = place("root", ["a", "b"]), place("root", ["a", "c"])
    assert first.parent == second.parent == tmp_path / "passgate" / "oracle"
    assert first != second


def test_two_who_want_the_same_make_it_once(tmp_path: Path) -> None:
    made: list[Path] = []
    together = Barrier(2)

    def want() -> None:
        together.wait()
        ensure(tmp_path / "thing", made.append)

    threads = [Thread(target=want) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert (tmp_path / "thing").is_dir()


def test_what_failed_half_way_is_not_there(tmp_path: Path) -> None:
    def fail(partial: Path) -> None:
        (partial / "half").touch()
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011  the very one raised above
        ensure(tmp_path / "thing", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["thing.lock"]
