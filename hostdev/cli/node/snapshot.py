"""`passgate node snapshot`: the machine as one file."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from domxml.errors import ExitCode
from hostdev.cli import documents
from hostdev.helptext import passgate_version
from hostdev.inventory.host import Host
from hostdev.inventory.recorded import toml
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.recorded.memory import RecordedHost
from hostdev.inventory.recorded.recorder import snapshot
from hostdev.inventory.recorded.recording import UNKNOWN_ORIGIN, Origin
from hostdev.inventory.scan import scan
from hostdev.printing import output
from hostdev.printing.documents import emit
from hostdev.printing.output import progress


def run(arguments: argparse.Namespace) -> int:
    """Print the recording, or the picture made of it."""
    with progress(f"recording {arguments.host}"), open_host(arguments.host) as host:
        text = snapshot(host, private=arguments.keep_identity, origin=_origin(host))
    if arguments.output == "json":
        # What a reader of the recording sees: of the host itself it would tell more.
        emit(documents.picture(scan(RecordedHost(toml.parse(text), source=host.source), bars=True)), "json")
    else:
        output.write(text)
    return ExitCode.DONE


def _origin(host: Host) -> Origin:
    """Of the running machine it is now; of a recording what that says; when a directory was copied is not known."""
    if isinstance(host, RecordedHost):
        return host.recording.origin
    if not host.live:
        return UNKNOWN_ORIGIN
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    boot = host.read("proc/sys/kernel/random/boot_id", quiet=True) or ""
    return Origin(now, passgate_version(), boot.replace("-", ""))
