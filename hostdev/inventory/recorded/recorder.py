"""Records what a scan reads: a host that remembers every answer it gives."""

from __future__ import annotations

from dataclasses import replace

from hostdev.inventory.functions import NUMVFS, VIRTFN
from hostdev.inventory.host import Host
from hostdev.inventory.recorded import toml
from hostdev.inventory.recorded.recording import (
    UNKNOWN_ORIGIN,
    Entry,
    File,
    Link,
    Names,
    Origin,
    Recording,
    Unreadable,
    ancestors,
)
from hostdev.inventory.recorded.scrub import scrub
from hostdev.inventory.scan import scan

PROCESSES = "proc"
"""Who runs on a host is left out, but for those that have a device open."""


def snapshot(
    host: Host, *, machine: str = "", note: str = "", private: bool = False, origin: Origin = UNKNOWN_ORIGIN
) -> str:
    """Record what a scan of this host reads, as TOML; with `private` also what tells it from others of its kind."""
    with Recorder(host) as recorder:
        picture = scan(recorder, bars=True, health=True)
        # Asked for by name, each function is read in full.
        scan(recorder, only=picture.functions, bars=True, health=True)
        recording = replace(recorder.recording(machine, note), origin=origin)
    return toml.write(recording) if private else scrub(recording)


class Recorder(Host):
    """Another door to the same host."""

    def __init__(self, host: Host) -> None:
        self._entries: dict[str, Entry] = {}
        self._listed: dict[str, set[str]] = {}
        self._door = host
        self.probe = None
        self.root, self.source, self.unreadable = host.root, host.source, host.unreadable

    def close(self) -> None:
        """The other door stays open."""

    @property
    def live(self) -> bool:
        """Whether the other door is the running kernel's."""
        return self._door.live

    @property
    def unread(self) -> tuple[tuple[str, str], ...]:
        """What could not be looked at through the other door."""
        return self._door.unread

    def tell(self, path: str, reason: str) -> None:
        """Keep a path and why it is of no use."""
        self._door.tell(path, reason)

    def was_told(self, path: str) -> bool:
        """A path is None because it could not be looked at."""
        return self._door.was_told(path)

    def lines(self, path: str, limit: int) -> list[str] | None:
        """The lines of a long list, which no recording has."""
        return self._door.lines(path, limit)

    def read_bytes(self, path: str, *, whole: bool = False, quiet: bool = False) -> bytes | None:
        """A file, remembered."""
        content = self._door.read_bytes(path, whole=whole, quiet=quiet)
        self._remember(path, None if content is None else File(content))
        return content

    def names(self, path: str, *, prefix: str = "") -> list[str] | None:
        """A directory, of which the names asked for are remembered."""
        names = self._door.names(path, prefix=prefix)
        if path == PROCESSES:
            return names
        if names is not None and prefix == VIRTFN:
            # Of a live host the VFs are counted; of a recording the file is read, which waits for nothing there.
            self._entries[f"{path}/{NUMVFS}"] = File(f"{len(names)}\n".encode())
            return names
        if names is None:
            self._remember(path, None)
        else:
            self._listed.setdefault(path, set()).update(names)
        return names

    def link(self, path: str) -> str | None:
        """A link, remembered."""
        target = self._door.link(path)
        self._remember(path, None if target is None else Link(target))
        return target

    def links(self, path: str, holding: str = "", *, quiet: bool = False) -> dict[str, str] | None:
        """Links, remembered, but for those to a place that no recording has; and of all, the files among them."""
        links = self._door.links(path, holding, quiet=quiet)
        if not holding:
            self.names(path)
        elif links is not None and (not quiet or path.startswith(f"{PROCESSES}/1/")):
            self._listed.setdefault(path, set())
        kept = {f"{path}/{name}": Link(said) for name, said in (links or {}).items() if not said.startswith("/")}
        self._entries |= kept
        return links

    def node(self, path: str) -> str | None:
        """A node, remembered as a link to its number in sysfs."""
        number = self._door.node(path)
        if number is not None:
            self._entries[path] = Link("../" * path.count("/") + f"sys/dev/{number}")
        return number

    def exists(self, path: str) -> bool:
        """Something that is remembered as an empty directory: that it is there is all that counts."""
        found = self._door.exists(path)
        if found and "/" in path:
            self._listed.setdefault(path, set())
        return found

    def recording(self, machine: str, note: str) -> Recording:
        """All that was answered so far."""
        entries = dict(self._entries)
        described = entries.keys() | {above for path in (*entries, *self._listed) for above in ancestors(path)}
        known = described | self._listed.keys()
        for directory, names in self._listed.items():
            bare = [name for name in sorted(names) if f"{directory}/{name}" not in known]
            if bare or directory not in described:
                entries[directory] = Names(tuple(bare))
        return Recording(machine, note, entries)

    def _remember(self, path: str, entry: Entry | None) -> None:
        reason = dict(self.unread).get(f"/{path}")
        if entry is not None:
            self._entries[path] = entry
        elif reason is not None:
            self._entries.setdefault(path, Unreadable(reason))
