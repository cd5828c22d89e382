"""The machine a command looks at, and what of it could not be seen."""

from __future__ import annotations

from collections import defaultdict

from domxml.text import listed
from hostdev.cli import output
from hostdev.cli.patience import patience
from hostdev.machine import Machine
from hostdev.recorded import open_host
from hostdev.scan import scan

LIVE = "/"
"""The `--host` of the running machine."""


def machine(spec: str) -> Machine:
    """The picture of the host that `--host` names."""
    with patience(f"looking at {spec}"), open_host(spec) as host:
        return scan(host)


def tell_unread(seen: Machine) -> None:
    """Say on standard error what the answer had to do without."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for path, reason in seen.unread:
        by_reason[reason].append(path)
    for reason, paths in by_reason.items():
        output.tell(f"note: not seen: {listed(paths)}: {reason}")
