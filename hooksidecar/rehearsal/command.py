"""`passgate-hook rehearse`: a whole boot against the real server, and what became of the devices on the way."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence

from hooksidecar import options
from hooksidecar.log import LEVELS
from hooksidecar.rehearsal import inputs, table
from hooksidecar.rehearsal.play import play
from hooksidecar.rehearsal.process import PLACE, Server
from hooksidecar.rehearsal.readback import read_back
from hooksidecar.rehearsal.releases import RELEASES
from hostdev.cli import documents, exits, output
from hostdev.cli.screen import Screen

EPILOG = """Without --vmi and --domain an example is played: a QAT virtual function on a recorded machine.
Nothing of this machine is changed. Without --connect a stand-in reads back in libvirt's place; the report says what it
cannot prove.

releases of KubeVirt, on a machine with PCIe:
{releases}

exit codes:
    0  every pass went well, all devices stayed, nothing else moved, and the sidecar ended with 0
    1  it went through, but a device lost something or moved, another device moved, or the sidecar ended badly
    2  wrong usage, input that cannot be read, or a libvirt that cannot be reached
    5  the sidecar or libvirt refused, died, or did not answer as virt-launcher needs it
   70  a defect of passgate
  130  interrupted"""


def rehearse(words: Sequence[str]) -> int:
    """Rehearse, and report on standard output."""
    # Whoever ends us ends the server too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _rehearse(_parser().parse_args(words))
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        return exits.BROKEN_PIPE
    except exits.OutputLost as error:
        output.tell(f"error: {error}")
        return exits.OUTPUT_LOST


def _rehearse(arguments: argparse.Namespace) -> int:
    given = inputs.read(arguments)
    flags = ["--host", given.host, "--wait", str(arguments.wait), "--log-level", arguments.log_level]
    flags += ["--cloud-init"] * arguments.cloud_init
    flags += ["--libvirt", arguments.libvirt] if arguments.libvirt else []
    options.parse(flags)  # What the server would refuse is this command's wrong usage.
    with read_back(arguments.connect) as back:
        told = play(given.script, Server(flags, given.allocation, given.command), back)
    for line in told.log:
        output.tell(line)
    if arguments.output == "json":
        documents.emit(told.document(), "json")
    else:
        table.show(told, Screen.of(arguments.color))
    output.flush()
    if told.error is not None:
        raise told.error
    return told.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="passgate-hook rehearse",
        description="Play virt-launcher against the real sidecar: collect it, make all passes of a boot, shut it down.",
        epilog=EPILOG.format(releases="\n".join(f"{name:>6}  {row.meaning}" for name, row in RELEASES.items())),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--vmi", metavar="FILE", help="the VirtualMachineInstance as JSON")
    parser.add_argument("--domain", metavar="FILE", help="the domain of the first pass as XML")
    parser.add_argument(
        "--env-file", action="append", default=[], metavar="FILE", help="the pod's allocation: lines of NAME=VALUE"
    )
    parser.add_argument(
        "--host", metavar="ROOT|MACHINE.toml|none", help="where to check the devices (default none, or the example's)"
    )
    parser.add_argument(
        "--server",
        metavar="COMMAND",
        help=f"start this sidecar instead of our own; {PLACE} stands for the directory where it makes its socket",
    )
    parser.add_argument("--connect", default="", metavar="URI", help="the libvirt that reads each answer back")
    parser.add_argument(
        "--kubevirt", default="any", choices=tuple(RELEASES), help="the release that is played (default any)"
    )
    parser.add_argument("--cloud-init", action="store_true", help="as the sidecar has it: PreCloudInitIso too")
    parser.add_argument("--libvirt", metavar="VERSION", help="as the sidecar has it (default 9.0.0)")
    parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="as the sidecar has it (default 0)")
    parser.add_argument("--log-level", default="warning", choices=tuple(LEVELS), help="of the sidecar's log")
    parser.add_argument("-o", "--output", default="table", choices=("table", "json"), help="how to report")
    parser.add_argument("--color", default="auto", choices=("auto", "always", "never"), help="of the table")
    return parser
