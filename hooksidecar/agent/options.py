"""The flags of the node agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from domxml import errors
from domxml.errors import BadInput
from hooksidecar import flags
from hooksidecar.flags import Flag, Program
from hooksidecar.log import LEVELS


class Options(NamedTuple):
    """What to do."""

    kubelet_dir: str = "/var/lib/kubelet"
    host: str = "/"
    node_hook_socket: str = ""
    listen: str = ""
    features_dir: str = ""
    expect: str = ""
    observe: bool = False
    once: bool = False
    log_level: str = "info"

    @property
    def expected(self) -> frozenset[str]:
        """The codes of findings that are as they should be on this node."""
        return frozenset(self.expect.split(",")) if self.expect else frozenset()


PROGRAM = Program(
    "passgate-agent",
    ("passgate-agent [OPTION]…",),
    "Watches which devices kubelet gives to the VMs of this node, and puts that into the volumes of their sidecars.",
    (
        Flag("--kubelet-dir", "DIR", "kubelet's directory, with device-plugins/, pods/ and pod-resources/"),
        Flag("--host", "ROOT|MACHINE.toml|none", "whose devices are looked at: below / is the node's sys/"),
        Flag("--node-hook-socket", "PATH", "serve KubeVirt's node hooks there: check devices before a VM starts"),
        Flag("--listen", "ADDR:PORT", "serve /metrics and /healthz there"),
        Flag("--features-dir", "DIR", "write labels for Node Feature Discovery there"),
        Flag(
            "--expect",
            "CODE[,CODE]…",
            "findings that are as they should be on this node, such as no-iommu: told as info",
        ),
        Flag("--observe", "", "write nothing into pods: tell only"),
        Flag("--once", "", "one sweep over all pods, then end"),
        Flag("--log-level", "|".join(LEVELS), "what goes to standard error", tuple(LEVELS)),
    ),
    # Those an agent ends with; SIGTERM and SIGINT are ends as they should be.
    frozenset({0, 2, 3, 4, 5, 6, errors.INTERNAL}),
    ("With --once: 4 if kubelet's record cannot be read, 6 if a file could not be written.",),
)


def parse(words: Sequence[str]) -> Options:
    """Read the words after the program's name."""
    options = Options(**flags.read(PROGRAM, words))
    if options.once and (options.listen or options.node_hook_socket):
        raise PROGRAM.wrong("--once ends at once, and serves nothing")
    if options.host == "none" and (options.node_hook_socket or options.features_dir):
        raise PROGRAM.wrong("--node-hook-socket and --features-dir tell of a host, and --host is none")
    for code in options.expected:
        _check_code(code)
    return options


def _check_code(code: str) -> None:
    from hostdev.findings.registry import kind  # noqa: PLC0415  rarely asked for

    try:
        kind(code)
    except BadInput as error:
        raise PROGRAM.wrong(f"--expect: {error.message}", error.hint) from None


def help_text() -> str:
    """What `--help` prints."""
    return flags.help_text(PROGRAM, Options()._asdict())
