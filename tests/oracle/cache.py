"""Costly things kept between runs and clones: named by their recipe, made beside, put in place by a rename."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def cache_dir() -> Path:
    """The directory below which everything is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "passgate" / "oracle"


def place(name: str, recipe: Sequence[str]) -> Path:
    """Where the thing made after this recipe is, or will be: another recipe, another place."""
    digest = hashlib.sha256("\0".join(recipe).encode()).hexdigest()
    return cache_dir() / f"{name}-{digest[:10]}"


def ensure(path: Path, make: Callable[[Path], None]) -> None:
    """Let `make` fill a directory beside `path` and put it in place, unless somebody did; one maker at a time."""
    with _alone(path.with_name(f"{path.name}.lock")):
        if path.exists():
            return
        partial = path.with_name(f"{path.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            make(partial)
            partial.rename(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
