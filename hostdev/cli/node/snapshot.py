"""`passgate node snapshot`: the machine as one file."""

from __future__ import annotations

import argparse

from domxml.errors import ExitCode
from hostdev.cli import documents, look, output
from hostdev.cli.patience import patience
from hostdev.recorded import open_host, snapshot


def run(arguments: argparse.Namespace) -> int:
    """Print the recording, or the picture made of the host."""
    if arguments.output == "json":
        documents.emit(documents.picture(look.machine(arguments.host)), "json")
        return ExitCode.DONE
    with patience(f"recording {arguments.host}"), open_host(arguments.host) as host:
        output.write(snapshot(host, private=arguments.keep_identity))
    return ExitCode.DONE
