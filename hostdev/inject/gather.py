"""The edge where allocations are read: files of the pod, waited for while the VM starts, and the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from domxml.document import Domain
from domxml.errors import BadInput
from hostdev.allocation.allocation import ENVIRONMENT, Gathered, merge
from hostdev.allocation.dra import from_metadata
from hostdev.allocation.env_file import from_env_file
from hostdev.allocation.environment import from_environment
from hostdev.allocation.kubevirt import from_domain, from_vmi_status
from hostdev.allocation.network_info import from_network_info
from hostdev.vmi.vmi import Vmi

POLL = 0.05


MAX_BYTES = 4 << 20


def wait_until(
    ready: Callable[[], bool], deadline: float, *, clock: Callable[[], float], sleep: Callable[[float], None]
) -> bool:
    """Ask at least once, until it is so or the deadline, by that clock, has passed."""
    while not ready():
        left = deadline - clock()
        if left <= 0:
            return False
        sleep(min(POLL, left))
    return True


def is_filled(data: bytes) -> bool:
    """A downward API file exists before the annotation behind it does: blank is not there yet."""
    return bool(data.strip())


class Channels(NamedTuple):
    """The places to look at; what is empty is not looked at."""

    files: tuple[str, ...] = ()
    """Files of `NAME=VALUE` lines; each must be there."""
    absent: tuple[str, ...] = ()
    """Such files that are not there yet."""
    environment: Mapping[str, str] = MappingProxyType({})
    network_info: str = ""
    metadata: tuple[str, ...] = ()
    """Directories of DRA device metadata."""


def gather(channels: Channels, domain: Domain, vmi: Vmi | None, resources: Mapping[str, int | None]) -> Gathered:
    """Read every channel and join what they say."""
    told = [from_domain(domain), from_environment(channels.environment, resources, channel=ENVIRONMENT)]
    told += [from_env_file(read_file(path), resources) for path in channels.files]
    told += [Gathered(looked_at=(f"{path} (not there)",)) for path in channels.absent]
    if channels.network_info:
        told.append(from_network_info(read_file(channels.network_info)))
    if channels.metadata:
        told.append(from_metadata(_tree(channels.metadata)))
    if vmi is not None and vmi.status:
        told.append(from_vmi_status({"status": vmi.status}))
    return merge(*told)


def read_file(path: str) -> bytes:
    """Read a file that must be there, or standard input, and not more of it than makes sense."""
    try:
        data = _read(path)
    except OSError as error:
        raise BadInput(
            "unreadable-file", f"cannot read it: {error.strerror}", subject=path, hint="name a file that is there"
        ) from None
    if len(data) > MAX_BYTES:
        raise BadInput("unreadable-file", f"it has more than {MAX_BYTES} bytes", subject=path, hint="name another file")
    return data


def _at_once(path: str, flags: int) -> int:
    """Open without waiting: a FIFO without a writer is empty, and would otherwise be waited for, for ever."""
    return os.open(path, flags | os.O_NONBLOCK)


def _read(path: str) -> bytes:
    if path == "-":
        from hostdev.printing import output  # noqa: PLC0415  commands only

        return output.read_input(MAX_BYTES + 1)
    with open(path, "rb", opener=_at_once) as file:
        os.set_blocking(file.fileno(), True)
        return file.read(MAX_BYTES + 1)


def _tree(directories: tuple[str, ...]) -> dict[str, bytes]:
    return {
        os.path.join(folder, name): read_file(os.path.join(folder, name))  # noqa: PTH118
        for directory in directories
        for folder, _, names in os.walk(directory)
        for name in sorted(names)
    }
