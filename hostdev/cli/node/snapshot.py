"""`passgate node snapshot`: the machine as one file."""

from __future__ import annotations

import argparse

from domxml.errors import ExitCode
from hostdev.cli import devices, documents
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.recorded.recorder import snapshot
from hostdev.printing import output
from hostdev.printing.documents import emit
from hostdev.printing.output import progress


def run(arguments: argparse.Namespace) -> int:
    """Print the recording, or the picture made of the host."""
    if arguments.output == "json":
        emit(documents.picture(devices.machine_at(arguments.host)), "json")
        return ExitCode.DONE
    with progress(f"recording {arguments.host}"), open_host(arguments.host) as host:
        output.write(snapshot(host, private=arguments.keep_identity))
    return ExitCode.DONE
