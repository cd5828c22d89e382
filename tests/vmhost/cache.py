"""A cache of things that take minutes to build: named by what they are made of, built beside, put in place by rename."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

TAIL_LINES = 15


class BuildFailed(Exception):
    """A step of the build went wrong; the text holds the end of the log."""


@dataclass(frozen=True, slots=True)
class Log:
    """Where the steps of one build write to."""

    file: IO[bytes]

    def note(self, line: str) -> None:
        """Add a line."""
        self.file.write(f"{line}\n".encode())
        self.file.flush()

    def run(self, *command: str | Path, environment: dict[str, str] | None = None) -> None:
        """Run a command, its output goes to the log."""
        self.note(f"+ {' '.join(map(str, command))}")
        subprocess.run(
            command,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=self.file,
            stderr=subprocess.STDOUT,
            env=os.environ | (environment or {}),
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One directory of the cache. `made_of` is everything that decides what is in it."""

    name: str
    made_of: Sequence[str]
    build: Callable[[Path, Log], None]

    @property
    def path(self) -> Path:
        """Where it is, or will be."""
        digest = hashlib.sha256("\0".join(self.made_of).encode()).hexdigest()
        return home() / f"{self.name}-{digest[:16]}"

    def ensure(self) -> Path:
        """Build it unless it is there. Others who ask meanwhile wait for the same one."""
        if not self.path.exists():
            with _locked(self.path.with_suffix(".lock")):
                if not self.path.exists():
                    self._build_beside()
        return self.path

    def _build_beside(self) -> None:
        partial, log = self.path.with_suffix(".partial"), self.path.with_suffix(".log")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            with log.open("wb") as file:
                self.build(partial, Log(file))
            partial.rename(self.path)
        except subprocess.CalledProcessError as error:
            what = f"{error.cmd[0]} ended with {error.returncode}"
            raise BuildFailed(f"{self.name}: {what}; the end of {log}:\n{_tail(log)}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def home() -> Path:
    """The directory that everything is cached below."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "passgate" / "vmhost"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _tail(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:])
