"""The flags of the sidecar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from domxml import errors
from domxml.version import OLDEST, LibvirtVersion
from hooksidecar import flags
from hooksidecar.flags import Flag, Program
from hooksidecar.log import LEVELS

MODES = ("hook", "plugin")


class Options(NamedTuple):
    """How to serve."""

    socket_dir: str = "/var/run/kubevirt-hooks"
    mode: str = "hook"
    plugin_socket: str = ""
    host: str = "/"
    wait: float = 2.0
    libvirt: LibvirtVersion = OLDEST
    cloud_init: bool = False
    log_level: str = "info"

    @property
    def mount(self) -> str:
        """What the sidecar and the compute container share: there is the socket, and the allocation file below it."""
        return self.plugin_socket.rpartition("/")[0] or "." if self.mode == "plugin" else self.socket_dir


FLAGS = (
    Flag("--socket-dir", "DIR", "where KubeVirt looks for the sockets of hook sidecars"),
    Flag("--mode", "|".join(MODES), "serve as a hook sidecar, or as a sidecar of a Plugin", MODES),
    Flag("--plugin-socket", "PATH", "the socket of --mode plugin: /var/run/kubevirt-plugin/PLUGIN/NAME.sock"),
    Flag("--host", "ROOT|MACHINE.toml|none", "where the devices are checked: below / is the node's sys/"),
    Flag("--wait", "SECONDS", "how long a call may wait for the allocation file, on top of its 2 s of work"),
    Flag("--libvirt", "VERSION", "virt-launcher's libvirt: words that only later ones know are refused"),
    Flag("--cloud-init", "", "write network data for SR-IOV interfaces and bonds; never for a VM without cloud-init"),
    Flag("--log-level", "|".join(LEVELS), "what goes to standard error; debug shows what changed", tuple(LEVELS)),
)
MOST_WAIT = 15.0
"""virt-handler gives up on virt-launcher after 20 s."""

PROGRAM = Program(
    "passgate-hook",
    ("passgate-hook [OPTION]…", "passgate-hook rehearse [OPTION]…"),
    "Serves KubeVirt's hooks for one VM: puts the host devices that were given to it into its domain.",
    FLAGS,
    # Those a server ends with; SIGTERM, SIGINT and KubeVirt's Shutdown are ends as they should be.
    frozenset({0, 2, 3, 4, 5, errors.INTERNAL}),
    ("`passgate-hook rehearse --help` tells how a boot is rehearsed.",),
)


def parse(words: Sequence[str]) -> Options:
    """Read the words after the program's name."""
    values = flags.read(PROGRAM, words)
    if "wait" in values:
        values["wait"] = _seconds(values["wait"])
    if "libvirt" in values:
        values["libvirt"] = LibvirtVersion.parse(values["libvirt"])
    options = Options(**values)
    if (options.mode == "plugin") != bool(options.plugin_socket):
        raise PROGRAM.wrong("--mode plugin and --plugin-socket go together")
    if options.mode == "plugin" and options.cloud_init:
        raise PROGRAM.wrong("--cloud-init and --mode plugin exclude each other", "a Plugin gets no cloud-init data")
    return options


def help_text() -> str:
    """What `--help` prints."""
    return flags.help_text(PROGRAM, Options()._asdict())


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MOST_WAIT:
        raise PROGRAM.wrong(f"--wait needs a number of seconds from 0 to {MOST_WAIT:.0f}, not {text!r}")
    return seconds
