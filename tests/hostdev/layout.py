"""A recorded machine as a directory, in which the files are what a scan of the live host would read."""

from __future__ import annotations

import os
from pathlib import Path

from hostdev.inventory.recorded import toml
from hostdev.inventory.recorded.recording import File, Link, Names, Recording, ancestors, check_entry


def lay_out(text: str, directory: str | os.PathLike[str]) -> Recording:
    """Make a recorded machine's files in an empty directory."""
    recording = toml.parse(text)
    write(recording, Path(directory))
    return recording


def check(recording: Recording) -> None:
    """Refuse what `toml.parse` refuses."""
    recording.check_places()
    for path, entry in recording.entries.items():
        check_entry(path, entry)


def write(recording: Recording, directory: Path) -> None:
    """Make the files of a recording in an empty directory, from which nothing leads out."""
    check(recording)
    directory.mkdir(parents=True, exist_ok=True)
    assert not any(directory.iterdir()), f"{directory} is not empty"
    (directory / "sys").mkdir()
    entries = recording.entries
    places = {path for path, entry in entries.items() if isinstance(entry, Names)}
    for place in sorted(places.union(*map(ancestors, entries))):
        (directory / place).mkdir(exist_ok=True)
        places.add(place)
    links: dict[str, str] = {}
    for path, entry in entries.items():
        if isinstance(entry, File):
            _make(f"{directory}/{path}", entry.content)
        elif isinstance(entry, Link):
            links[path] = entry.target
        elif isinstance(entry, Names):
            # What has only a name becomes an empty file.
            for bare in {f"{path}/{name}" for name in entry.names} - places - entries.keys():
                _make(f"{directory}/{bare}", b"")
    # Links come last: nothing is ever written through one.
    for path, target in links.items():
        (directory / path).symlink_to(target)


def _make(place: str, content: bytes) -> None:
    with Path(place).open("xb") as file:
        file.write(content)
