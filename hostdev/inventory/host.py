"""The one door to /sys, /proc and /dev, of the live machine or of a directory that holds the same files."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self

from domxml.errors import HostUnreadable

if TYPE_CHECKING:
    from hostdev.inventory.probe import Probe

ATTRIBUTE = 4096
"""An attribute of sysfs is read in one go into a buffer of this size."""
LIMIT = 1 << 20
"""Nothing we read is longer for a good reason; what is longer is cut here, and told."""
LINKS = 40
"""As many links as the kernel follows in one path."""

_ABSENT = frozenset({errno.ENOENT, errno.ENODEV, errno.ENOTDIR})
# O_NONBLOCK: a FIFO or a device node that lies where an attribute should be must not stop us.
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_DIRECTORY = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
_NOTHING: Mapping[str, str] = MappingProxyType({})
_NODES_PROCESSES = "pid:[4026531836]"
"""The PID namespace in which the kernel booted: its number is the same in all kernels."""
NODE = re.compile(r"\bsys/dev/((?:block|char)/[0-9]+:[0-9]+)$", re.ASCII)


class Host:
    """Reads files, lists and links below `root`, and never leaves it.

    What the kernel does not offer, or took away while we looked, is None. What we could not look at is None as well,
    and told in `unread`. Paths are relative to the root: `sys/bus/pci/devices`.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        source: str = "",
        unreadable: Mapping[str, str] = _NOTHING,
        probe: Probe | None = None,
    ) -> None:
        """Open a root directory; `unreadable` holds paths that could not be read when the machine was recorded.

        With a probe the running kernel is asked as well, where files do not tell whether something is in use.
        """
        self.probe = probe
        self.root = os.path.abspath(root)  # noqa: PTH100  # pathlib is not worth its import to the sidecar
        self.source = source or self.root
        self.unreadable = unreadable
        self._unread: dict[str, str] = {}
        self._real: dict[str, str | None] = {"": ""}
        # `/` has no outside: the kernel may follow links for us. Elsewhere we walk them, so that none leads out.
        self._fenced = self.root != "/"
        self._nofollow = os.O_NOFOLLOW if self._fenced else 0
        try:
            self._fd = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise HostUnreadable(
                "host-unreadable", f"cannot open the directory: {error.strerror}", subject=self.root, hint=_ROOT_HINT
            ) from None
        if not self.exists("sys"):
            self.close()
            reason = self._unread.get("/sys")
            message = f"cannot look at its sys/: {reason}" if reason else "holds no sys/ directory"
            raise HostUnreadable("host-unreadable", message, subject=self.root, hint=_ROOT_HINT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the root directory."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def live(self) -> bool:
        """Whether these files are the running kernel's, and not copies of them."""
        return not self._fenced

    @property
    def node_root(self) -> str | None:
        """What stands before the paths of a node's own files, such as etc/; None where they are not to be seen.

        From within a container they are those of process 1, if that is the node's and may be looked at.
        """
        if not self.live:
            return ""
        if self.link("proc/self/ns/pid") != _NODES_PROCESSES:
            return None
        return "proc/1/root/" if self.exists("proc/1/root/etc") else ""

    @property
    def unread(self) -> tuple[tuple[str, str], ...]:
        """Paths that could not be looked at so far, and why."""
        return tuple(self._unread.items())

    def tell(self, path: str, reason: str) -> None:
        """Keep a path and why it is of no use; the first reason stays."""
        self._unread.setdefault(f"/{path}", reason)

    def was_told(self, path: str) -> bool:
        """A path is None because we could not look, and not because it is absent."""
        return f"/{path}" in self._unread

    def read(self, path: str, *, quiet: bool = False) -> str | None:
        """The text of a sysfs attribute, without the white space around it; `quiet` tells no failure."""
        raw = self.read_bytes(path, quiet=quiet)
        return None if raw is None else raw.decode("utf-8", "replace").strip()

    def text(self, path: str, *, quiet: bool = False) -> str | None:
        """The text of a longer file, such as those of /proc, which come in pieces; `quiet` tells no failure."""
        raw = self.read_bytes(path, whole=True, quiet=quiet)
        return None if raw is None else raw.decode("utf-8", "replace")

    def read_bytes(self, path: str, *, whole: bool = False, quiet: bool = False) -> bytes | None:
        """The content of a file; with `whole` to its end, even where the first piece is short."""
        try:
            fd = self._open(path, _FILE) if self._fenced else os.open(path, _FILE, dir_fd=self._fd)
            try:
                data = os.read(fd, ATTRIBUTE)
                if whole or not 0 < len(data) < ATTRIBUTE:
                    return self._rest(fd, path, data)
            finally:
                os.close(fd)
        except OSError as error:
            if not quiet:
                self._failed(path, error)
            return None
        return data

    def lines(self, path: str, limit: int) -> list[str] | None:
        """The lines of a list that may be longer than all else, such as modules.alias; None where there is none."""
        try:
            with open(self._open(path, _FILE), encoding="utf-8", errors="replace") as file:  # noqa: PTH123  no path
                # A FIFO with a writer has neither text nor an end.
                return file.read(limit).splitlines() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
        except OSError:
            return None

    def names(self, path: str, *, prefix: str = "") -> list[str] | None:
        """The sorted names in a directory that begin with `prefix`."""
        try:
            fd = self._open(path, _DIRECTORY) if self._fenced else os.open(path, _DIRECTORY, dir_fd=self._fd)
            try:
                found = os.listdir(fd)  # noqa: PTH208  # pathlib lists no descriptors
            finally:
                os.close(fd)
        except OSError as error:
            self._failed(path, error)
            return None
        if prefix:
            found = [name for name in found if name.startswith(prefix)]
        if not all(map(str.isascii, found)):
            found = [name for name in found if self._is_text(path, name)]
        return sorted(found)

    def link(self, path: str) -> str | None:
        """Read a link without following it; None for what is no link."""
        try:
            target = os.readlink(self._place(path) if self._fenced else path, dir_fd=self._fd)
        except OSError as error:
            if error.errno != errno.EINVAL:
                self._failed(path, error)
            return None
        return tidy(target) or None if target.isascii() or self._is_text(path, target) else None

    def links(self, path: str, holding: str = "", *, quiet: bool = False) -> dict[str, str] | None:
        """What the links in a directory say, by name, of those that hold this; None where it cannot be listed.

        Files among them are left out; `quiet` tells no failure.
        """
        try:
            fd = self._open(path, _DIRECTORY)
            try:
                return dict(self._links(path, fd, holding))
            finally:
                os.close(fd)
        except OSError as error:
            if not quiet:
                self._failed(path, error)
            return None

    def _links(self, path: str, fd: int, holding: str) -> Iterator[tuple[str, str]]:
        for name in sorted(os.listdir(fd)):
            try:
                target = os.readlink(name, dir_fd=fd)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    self._failed(f"{path}/{name}", error)
                continue
            target = tidy(target)
            if holding in target and ((name.isascii() and target.isascii()) or self._is_text(path, name + target)):
                yield name, target

    def node(self, path: str) -> str | None:
        """Which device a node or an open file is, as `block/8:0` or `char/226:0`; None for what is none.

        In a directory that holds a host's files, a link to sys/dev/block/8:0 stands for the node.
        """
        try:
            if not self._fenced:
                return _number(os.stat(path, dir_fd=self._fd))
            target = os.readlink(self._place(path), dir_fd=self._fd) if self._is_link(path) else path
            told = NODE.search(target)
            if told:
                return told[1]
            real = self._walked(target.lstrip("/"), path)
            return _number(os.stat(real, dir_fd=self._fd, follow_symlinks=False))
        except OSError:
            return None

    def _is_link(self, path: str) -> bool:
        return stat.S_ISLNK(os.stat(self._place(path), dir_fd=self._fd, follow_symlinks=False).st_mode)

    def link_name(self, path: str) -> str | None:
        """The last part of what a link says: the name of a driver, a group, another device."""
        target = self.link(path)
        return target and target.rpartition("/")[2]

    def leads_to(self, path: str) -> str | None:
        """Follow a link in a plain directory, to a path of this host."""
        target = self.link(path)
        if target is None:
            return None
        up = target.count("../")
        places, down = path.split("/")[: -1 - up], target[3 * up :]
        climbs_first = target.startswith("../" * up) and len(places) + up == path.count("/")
        if not climbs_first or down.startswith("/") or down.endswith(".."):
            self.tell(path, "a link that leads out of the tree")
            return None
        return "/".join((*places, down))

    def exists(self, path: str) -> bool:
        """Something of that name is there; false, and kept as unread, where it could not be looked at."""
        try:
            os.stat(self._place(path), dir_fd=self._fd, follow_symlinks=False)
        except OSError as error:
            self._failed(path, error)
            return False
        return True

    def _open(self, path: str, flags: int) -> int:
        try:
            return os.open(self._place(path), flags | self._nofollow, dir_fd=self._fd)
        except OSError as error:
            # O_NOFOLLOW met a link as the last part: ELOOP for a file, ENOTDIR for a directory.
            if not self._fenced or error.errno not in {errno.ELOOP, errno.ENOTDIR}:
                raise
            return os.open(self._walked(path, path), flags | self._nofollow, dir_fd=self._fd)

    def _rest(self, fd: int, path: str, data: bytes) -> bytes | None:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            self.tell(path, "not a regular file")
            return None
        pieces = [data]
        size = len(data)
        while data and size <= LIMIT:
            data = os.read(fd, LIMIT)
            pieces.append(data)
            size += len(data)
        if size > LIMIT:
            self.tell(path, f"longer than {LIMIT >> 20} MiB, cut there")
        return b"".join(pieces)[:LIMIT]

    def _failed(self, path: str, error: OSError) -> None:
        if error.errno not in _ABSENT:
            self.tell(path, error.strerror or str(error))
        elif path in self.unreadable:
            self.tell(path, self.unreadable[path])

    def _is_text(self, path: str, name: str) -> bool:
        if not any("\udc80" <= character <= "\udcff" for character in name):
            return True
        self.tell(path, f"a name that is not UTF-8: {os.fsencode(name)!r}")
        return False

    def _place(self, path: str) -> str:
        """The path with the links of its directories replaced by what they lead to."""
        if not self._fenced:
            return path
        if "/../" in f"/{path}/":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        directory, _, name = path.rpartition("/")
        real = self._walked(directory, path)
        return f"{real}/{name}" if real else name

    def _walked(self, path: str, asked: str, hops: int = 0) -> str:
        """The same place without any link in its path; raises as the kernel would."""
        if path not in self._real:
            directory, _, name = path.rpartition("/")
            real = self._walked(directory, asked, hops)
            self._real[path] = self._step(f"{real}/{name}" if real else name, asked, hops)
        found = self._real[path]
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return found

    def _read_link(self, place: str) -> str | None:
        """What a link says; None for what is there and is none."""
        try:
            return os.readlink(place, dir_fd=self._fd)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return None
            raise

    def _step(self, place: str, asked: str, hops: int) -> str | None:
        try:
            target = self._read_link(place)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise
        if target is None:
            return place
        if hops >= LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        real = "" if target.startswith("/") else place.rpartition("/")[0]
        for part in target.split("/"):
            if part == ".." and not real:
                self.tell(asked, "a link that leads out of the tree")
                return None
            if part == "..":
                real = real.rpartition("/")[0]
            elif part not in {"", "."}:
                real = self._walked(f"{real}/{part}" if real else part, asked, hops + 1)
        return real


def _number(status: os.stat_result) -> str | None:
    kind = "block" if stat.S_ISBLK(status.st_mode) else "char" if stat.S_ISCHR(status.st_mode) else None
    return kind and f"{kind}/{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"


def tidy(target: str) -> str:
    """The same place in the kernel's spelling: copied trees have links that end in a slash, or with two in a row."""
    if "//" not in target and "/./" not in target and not target.endswith(("/", "/.")):
        return target
    root = "/" if target.startswith("/") else ""
    return root + "/".join(part for part in target.split("/") if part not in {"", "."})


_ROOT_HINT = "give a directory that holds sys/, proc/ and dev/, such as / or the root of a copied tree"
