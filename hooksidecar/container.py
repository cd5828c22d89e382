"""Where things lie in a hook sidecar's container."""

from __future__ import annotations

import os
from collections.abc import Mapping

from hostdev.allocation.dra import BASES
from hostdev.allocation.network_info import OLD_PATH, PATH
from hostdev.inject.gather import Channels, read_file

ALLOCATION_FILE = "userdata/passgate/allocation.env"
"""Below the sidecar's mount: the node agent or the admission policy writes it."""


def channels(mount: str, environment: Mapping[str, str]) -> Channels:
    """Every channel that is there now."""
    files = [os.path.join(mount, ALLOCATION_FILE)]  # noqa: PTH118  pathlib costs a start 5 ms
    return Channels(
        files=tuple(path for path in files if os.path.exists(path)),  # noqa: PTH110
        absent=tuple(path for path in files if not os.path.exists(path)),  # noqa: PTH110
        environment=environment,
        network_info=_network_info(),
        metadata=tuple(base for base in BASES if os.path.isdir(base)),  # noqa: PTH112
    )


def network_info() -> bytes | None:
    """Read what the pod's downward API tells of its networks; None where it tells nothing."""
    path = _network_info()
    return read_file(path) if path else None


def _network_info() -> str:
    return next((path for path in (PATH, OLD_PATH) if os.path.exists(path)), "")  # noqa: PTH110
