"""The options that the processes of a node share."""

from __future__ import annotations

from hooksidecar.log import LEVELS
from hostdev.commandline import Argument, Complete

KUBELET = "/var/lib/kubelet"
HOST = "/"
LEVEL = "info"

HOST_ROOT = Argument(
    ("--host",),
    "whose devices are looked at: below / is the node's sys/",
    metavar="ROOT|MACHINE.toml|none",
    default=HOST,
    complete=Complete.FILE,
)
LISTEN = Argument(("--listen",), "serve /metrics and /healthz there", metavar="ADDR:PORT")
NODE = Argument(("--node",), "the node's name, for a file with documents for several", metavar="NAME")
LOG_LEVEL = Argument(("--log-level",), "what goes to standard error", choices=tuple(LEVELS), default=LEVEL)


def kubelet_dir(*places: str) -> Argument:
    """Kubelet's directory, and what of it is used."""
    used = ", ".join(f"{place}/" for place in places[:-1]) + f" and {places[-1]}/"
    return Argument(
        ("--kubelet-dir",),
        f"kubelet's directory, with {used}",
        metavar="DIR",
        default=KUBELET,
        complete=Complete.DIRECTORY,
    )
