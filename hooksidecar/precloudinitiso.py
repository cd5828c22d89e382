"""`preCloudInitIso --vmi JSON --cloud-init JSON`: the call as a process, the way KubeVirt's sidecar-shim makes it.

Nothing installs it under that name: the shim subscribes to what it finds in $PATH, for VMs without cloud-init too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from hooksidecar.container import network_info
from hooksidecar.shim import Reply, answer_call, argument_bytes
from hostdev.cloudinit.hook import CloudInitHook, Documents

EPILOG = "exit codes: 0 done; 2 unreadable input; 5 refused. KubeVirt fails the start for any but 0."


def main(argv: Sequence[str]) -> int:
    """Answer one call."""
    arguments = _parser().parse_args(argv)
    hook = CloudInitHook(network_info, wait=arguments.wait)

    def call(deadline: float) -> Reply:
        given = Documents(data=argument_bytes(arguments.cloud_init))
        written = hook.write(given, argument_bytes(arguments.vmi), deadline=deadline)
        return Reply(written.documents.data, written.findings)

    return answer_call(call)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="preCloudInitIso",
        description="Put network data for SR-IOV interfaces and bonds into a VM's cloud-init data.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--vmi", required=True, metavar="JSON", help="the VirtualMachineInstance")
    parser.add_argument("--cloud-init", required=True, metavar="JSON", help="the cloud-init data")
    parser.add_argument(
        "--wait", type=float, default=2.0, metavar="SECONDS", help="how long to wait for network-info (default 2)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
