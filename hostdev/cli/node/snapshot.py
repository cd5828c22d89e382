"""`passgate node snapshot`: the machine as one file."""

from __future__ import annotations

import argparse
from tempfile import TemporaryDirectory

from domxml.errors import ExitCode
from hostdev.cli import documents
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine
from hostdev.inventory.recorded.layout import lay_out, open_host
from hostdev.inventory.recorded.recorder import snapshot
from hostdev.inventory.scan import scan
from hostdev.printing import output
from hostdev.printing.documents import emit
from hostdev.printing.output import progress


def run(arguments: argparse.Namespace) -> int:
    """Print the recording, or the picture made of it."""
    with progress(f"recording {arguments.host}"), open_host(arguments.host) as host:
        text, source = snapshot(host, private=arguments.keep_identity), host.source
    if arguments.output == "json":
        with TemporaryDirectory(prefix="passgate-") as directory:
            emit(documents.picture(_picture(text, directory, source)), "json")
    else:
        output.write(text)
    return ExitCode.DONE


def _picture(text: str, directory: str, source: str) -> Machine:
    """What a reader of the recording sees: of the host itself it would tell more."""
    unreadable = lay_out(text, directory).unreadable
    with Host(directory, source=source, unreadable=unreadable) as host:
        return scan(host, bars=True)
