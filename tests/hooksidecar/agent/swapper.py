"""A process that renames a link and an honest thing over each other as fast as it can: `swapper PLACE TARGET`."""

from __future__ import annotations

import itertools
import sys
from contextlib import suppress
from pathlib import Path


def swap(place: Path, target: Path) -> None:
    """Until it is killed; says so once it is at it."""
    link, aside = Path(f"{place}.link"), Path(f"{place}.aside")
    for turn in itertools.count():
        with suppress(OSError):
            link.symlink_to(target)
        with suppress(OSError):
            place.rename(aside)
        with suppress(OSError):
            link.rename(place)
        with suppress(OSError):
            place.unlink()
        with suppress(OSError):
            aside.rename(place)
        with suppress(OSError):
            aside.rename(f"{aside}{turn % 8}")
        if turn == 10:
            sys.stdout.write("swapping\n")
            sys.stdout.flush()


if __name__ == "__main__":
    swap(*map(Path, sys.argv[1:]))
