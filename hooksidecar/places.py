"""Where things lie in a hook sidecar's container."""

from __future__ import annotations

import os
from collections.abc import Mapping

from hostdev.allocation.dra import BASES
from hostdev.allocation.network_info import OLD_PATH, PATH
from hostdev.gathering import Channels

ALLOCATION_FILE = "userdata/passgate/allocation.env"
"""Below the hook volume: the node agent or the admission policy writes it."""


def channels(socket_dir: str, environment: Mapping[str, str]) -> Channels:
    """Every channel that is there now."""
    files = [os.path.join(socket_dir, ALLOCATION_FILE)]  # noqa: PTH118  pathlib costs a start 5 ms
    podinfo = [path for path in (PATH, OLD_PATH) if os.path.exists(path)]  # noqa: PTH110
    return Channels(
        files=tuple(path for path in files if os.path.exists(path)),  # noqa: PTH110
        environment=environment,
        network_info=podinfo[0] if podinfo else "",
        metadata=tuple(base for base in BASES if os.path.isdir(base)),  # noqa: PTH112
    )
