"""Directories of the node as a container has them: mounts, each of what was there when the container started."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping

from domxml.errors import HostUnreadable

MOUNTS = "/proc/self/mountinfo"
_UNLINKED = "//deleted"
"""What the kernel puts behind the name of a directory that was removed while it is mounted elsewhere."""
_ESCAPE = re.compile(r"\\([0-7]{3})")
_FIELDS = 5


class Mounts:
    """Which of kubelet's directories are mounts, as in a container: of one that was made anew they show the old one."""

    def __init__(self, directories: Iterable[str]) -> None:
        self._points = frozenset(map(os.path.realpath, directories))
        self._roots = self._read()

    def check(self) -> None:
        """Refuse to go on with a directory that kubelet does not look into any more."""
        for point, root in self._read().items():
            if root.endswith(_UNLINKED) or self._roots.get(point, root) != root:
                raise HostUnreadable(
                    "kubelet-dir-replaced",
                    "was made anew on the node, and the mount here shows the old one",
                    subject=point,
                    hint="start the pod anew: a container gets the new directory when it starts",
                )

    def _read(self) -> Mapping[str, str]:
        """What of its file system is mounted at each of the directories; of two mounts the later one is seen."""
        return {point: root for root, point in _mounts() if point in self._points}


def _mounts() -> Iterator[tuple[str, str]]:
    with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        for line in file:
            fields = line.split(" ", _FIELDS)
            if len(fields) > _FIELDS:
                yield _plain(fields[3]), _plain(fields[4])


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)
