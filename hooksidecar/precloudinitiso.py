"""`preCloudInitIso --vmi JSON --cloud-init JSON`: the call as a process, the way KubeVirt's sidecar-shim makes it.

Nothing installs it under that name: the shim subscribes to what it finds in $PATH, for VMs without cloud-init too.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from hooksidecar.container import network_info
from hooksidecar.shim import GENERAL, VERSION, VMI, Reply, answer_call, argument_bytes, run_shim, seconds
from hostdev.cloudinit.hook import CloudInitHook, Documents
from hostdev.commandline import Argument, Command

PROGRAM = Command(
    "",
    "Answer one call of KubeVirt's hook PreCloudInitIso.",
    "Put network data for SR-IOV interfaces and bonds into a VM's cloud-init data.",
    (
        VMI,
        Argument(("--cloud-init",), "the cloud-init data", metavar="JSON", required=True),
        Argument(
            ("--wait",), "how long to wait for network-info (default 2)", metavar="SECONDS", default=2.0, type=seconds
        ),
        VERSION,
    ),
    run="hooksidecar.precloudinitiso:main",
    program="preCloudInitIso",
    general=GENERAL,
    codes={0: "done", 2: "unreadable input", 5: "refused", 74: "output lost"},
)


def main(argv: Sequence[str]) -> int:
    """Answer one call."""
    return run_shim(PROGRAM, argv, _answer)


def _answer(arguments: dict[str, Any]) -> int:
    hook = CloudInitHook(network_info, wait=arguments["wait"])

    def call(deadline: float) -> Reply:
        given = Documents(data=argument_bytes(arguments["cloud_init"]))
        written = hook.write(given, argument_bytes(arguments["vmi"]), deadline=deadline)
        return Reply(written.documents.data, written.findings)

    return answer_call(call)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
