"""The socket in the mount: made out of sight, put in place when the server answers, taken away at the end."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping

from domxml.errors import BadInput, NotPermitted, PassgateError, Refused
from hostdev.socketpath import LONGEST

HIDDEN = ".passgate"
"""The sub-directory in which a socket is made: virt-launcher dials every file of the mount, and no directory."""
UMASK = 0o117
"""Owner and group may connect. virt-launcher is the same user; others have no business here."""
PATIENCE = 2.0
"""Seconds to wait for another process that is setting up its socket in the same mount."""

_HINT = "KubeVirt mounts it into every hook sidecar; name another one with --socket-dir or --plugin-socket"
_PERMISSION = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def name_for(environment: Mapping[str, str]) -> str:
    """The file name: virt-launcher counts sockets of all sidecars by their bare names, so it must be unique."""
    container = environment.get("CONTAINER_NAME", "")
    if "/" in container or container.startswith("."):
        raise BadInput(
            "bad-container-name",
            f"the environment says CONTAINER_NAME={container[:60]!r}, which cannot name a file in the mount",
            hint="leave it to KubeVirt, or unset it",
        )
    return f"{container or 'passgate-' + os.urandom(2).hex()}.sock"


class UnixSocket:
    """One path at which a server can be reached."""

    def __init__(self, directory: str, name: str, *, mode: int | None = None, hint: str = _HINT) -> None:
        self.directory = os.path.abspath(directory)  # noqa: PTH100  pathlib costs a start
        self._mode = mode
        """Given where other threads make files: the umask is the whole process's."""
        self._hint = hint
        self.path = f"{self.directory}/{name}"
        self._made = f"{self.directory}/{HIDDEN}/s"
        self._mine: tuple[int, int] | None = None

    def publish(self, bind: Callable[[str], None]) -> None:
        """Let `bind` listen, and answer, at a hidden path; then move the socket into place."""
        self._check_length()
        try:
            with self._locked():
                self._make_way()
                self._hide(bind)
        except OSError as error:
            raise directory_error(self.directory, error, self._hint) from None

    def is_there(self) -> bool:
        """Whether our socket is where it was put."""
        try:
            return self._mine is not None and _identity(self.path) == self._mine
        except OSError:
            return False

    def remove(self) -> None:
        """Take our socket away; what another process put in its place stays."""
        with contextlib.suppress(OSError):
            if self.is_there():
                os.unlink(self.path)  # noqa: PTH108
            self._mine = None

    def _check_length(self) -> None:
        for path in (self.path, self._made):
            length = len(os.fsencode(path))
            if length > LONGEST:
                raise BadInput(
                    "path-too-long",
                    f"the path has {length} bytes; a unix socket has room for {LONGEST}",
                    subject=path if length < 2 * LONGEST else f"…{path[-LONGEST:]}",
                    hint="choose a directory with a shorter path",
                )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """No other process sets up a socket in this mount meanwhile; the kernel lets go for one that was killed."""
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._lock(fd)
            yield
        finally:
            os.close(fd)

    def _lock(self, fd: int) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Refused(
                        "socket-busy",
                        "another process holds the directory's lock",
                        subject=self.directory,
                        hint="end it, or give each its own directory",
                    ) from None
                time.sleep(0.01)
            else:
                return

    def _make_way(self) -> None:
        """Refuse to replace what is alive, or no socket; what a process left that was killed may be replaced."""
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(os.lstat(self.path).st_mode):
                raise Refused(
                    "socket-taken", "there is something that is no socket", subject=self.path, hint="remove it"
                )
            if is_alive(self.path):
                raise Refused(
                    "socket-taken",
                    "another server answers at this socket",
                    subject=self.path,
                    hint="end it, or let each container have its own CONTAINER_NAME",
                )
        self._sweep()

    def _sweep(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._made)  # noqa: PTH108
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(os.path.dirname(self._made))  # noqa: PTH106, PTH120

    def _hide(self, bind: Callable[[str], None]) -> None:
        os.mkdir(os.path.dirname(self._made), 0o700)  # noqa: PTH102, PTH120
        try:
            if self._mode is None:
                before = os.umask(UMASK)
                try:
                    bind(self._made)
                finally:
                    os.umask(before)
            else:
                # The directory lets no other user in before it is so.
                bind(self._made)
                os.chmod(self._made, self._mode)  # noqa: PTH101
            self._mine = _identity(self._made)
            os.rename(self._made, self.path)  # noqa: PTH104
        finally:
            self._sweep()


def _identity(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def is_alive(path: str) -> bool:
    """Whether a process serves a socket; one that cannot be asked is taken for alive."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError as error:
            # A full backlog is a server that is busy.
            return error.errno in {errno.EAGAIN, errno.ETIMEDOUT} or isinstance(error, TimeoutError)
    return True


def directory_error(directory: str, error: OSError, hint: str) -> PassgateError:
    """Say why there can be no socket in it."""
    kind = NotPermitted if error.errno in _PERMISSION else BadInput
    reason = error.strerror or str(error)
    return kind("socket-directory", f"no socket can be made here: {reason}", subject=directory, hint=hint)
