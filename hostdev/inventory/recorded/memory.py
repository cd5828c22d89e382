"""A recorded machine as a host: the same door, with the files in memory."""

from __future__ import annotations

import errno
import os
from types import MappingProxyType

from hostdev.inventory.host import LIMIT, NODE, Host, tidy
from hostdev.inventory.recorded.recording import File, Link, Names, Recording, Unreadable

_EMPTY = File(b"")
"""What has only a name is an empty file."""
_DIRECTORY = Names(())


class RecordedHost(Host):
    """Answers as the directory would in which the recording is laid out."""

    def __init__(self, recording: Recording, *, source: str) -> None:
        self.recording = recording
        self.probe = None
        self.root = source
        self.source = source
        self.unreadable = MappingProxyType(recording.unreadable)
        self._unread = {}
        self._real = {"": ""}
        self._fenced = True
        self._fd = -1
        self._nodes: dict[str, File | Link | Names] = {}
        self._listed: dict[str, list[str]] = {"": []}
        self._fill(recording)

    def read_bytes(self, path: str, *, whole: bool = False, quiet: bool = False) -> bytes | None:  # noqa: ARG002
        """The content of a file."""
        found = self._found(path, quiet=quiet)
        if isinstance(found, File):
            if len(found.content) > LIMIT:
                self.tell(path, f"longer than {LIMIT >> 20} MiB, cut there")
            return found.content[:LIMIT]
        if found is not None and not quiet:
            self.tell(path, os.strerror(errno.EISDIR))
        return None

    def lines(self, path: str, limit: int) -> list[str] | None:
        """The lines of a long list."""
        found = self._found(path, quiet=True)
        if not isinstance(found, File):
            return None
        text = found.content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
        return text[:limit].splitlines()

    def names(self, path: str, *, prefix: str = "") -> list[str] | None:
        """The sorted names in a directory."""
        found = self._names(path, quiet=False)
        if found is None:
            return None
        return sorted(name for name in found if name.startswith(prefix)) if prefix else sorted(found)

    def link(self, path: str) -> str | None:
        """What a link says."""
        found = self._at(path, quiet=False)
        return (tidy(found.target) or None) if isinstance(found, Link) else None

    def links(self, path: str, holding: str = "", *, quiet: bool = False) -> dict[str, str] | None:
        """What the links in a directory say."""
        names = self._names(path, quiet=quiet)
        if names is None:
            return None
        real = self._walked(path, path)
        found = ((name, self._nodes.get(f"{real}/{name}")) for name in sorted(names))
        said = {name: tidy(one.target) for name, one in found if isinstance(one, Link)}
        return {name: target for name, target in said.items() if holding in target}

    def node(self, path: str) -> str | None:
        """Which device a node is: a recording has links to their numbers."""
        found = self._at(path, quiet=True)
        said = NODE.search(found.target if isinstance(found, Link) else path) if found is not None else None
        return said[1] if said else None

    def exists(self, path: str) -> bool:
        """Something of that name is there."""
        return self._at(path, quiet=False) is not None

    def _fill(self, recording: Recording) -> None:
        entries = recording.entries
        self._make_directory("sys")
        listings: list[tuple[str, Names]] = []
        for path, entry in entries.items():
            above, _, name = path.rpartition("/")
            if above not in self._listed:
                self._make_directory(above)
            if isinstance(entry, Names):
                self._make_directory(path)
                listings.append((path, entry))
            elif not isinstance(entry, Unreadable):
                self._nodes[path] = entry
                self._listed[above].append(name)
        for path, listing in listings:
            named = {name: f"{path}/{name}" for name in listing.names}
            bare = {name: one for name, one in named.items() if one not in self._nodes and one not in entries}
            self._listed[path] += bare
            self._nodes |= dict.fromkeys(bare.values(), _EMPTY)

    def _make_directory(self, path: str) -> None:
        if path not in self._listed:
            above, _, name = path.rpartition("/")
            self._make_directory(above)
            self._listed[path] = []
            self._listed[above].append(name)
            self._nodes[path] = _DIRECTORY

    def _at(self, path: str, *, quiet: bool) -> File | Link | Names | None:
        """What stands at a path, a link as such; None, and kept as unread where the recording says so."""
        found = self._nodes.get(path)
        if found is None and path.rpartition("/")[0] not in self._listed:
            try:
                found = self._nodes.get(self._place(path))
            except OSError as error:
                if not quiet:
                    self._failed(path, error)
                return None
        if found is None and not quiet and path in self.unreadable:
            self.tell(path, self.unreadable[path])
        return found

    def _found(self, path: str, *, quiet: bool) -> File | Names | None:
        """What a path leads to through all links."""
        found = self._at(path, quiet=quiet)
        if not isinstance(found, Link):
            return found
        try:
            end = self._nodes.get(self._walked(path, path))
        except OSError as error:
            if not quiet:
                self._failed(path, error)
            return None
        return None if isinstance(end, Link) else end

    def _names(self, path: str, *, quiet: bool) -> list[str] | None:
        found = self._found(path, quiet=quiet)
        return self._listed[self._walked(path, path)] if isinstance(found, Names) else None

    def _read_link(self, place: str) -> str | None:
        found = self._nodes.get(place)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return found.target if isinstance(found, Link) else None
