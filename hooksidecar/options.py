"""The options of the sidecar."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from domxml import errors
from domxml.kubevirt import places_again
from domxml.version import OLDEST, LibvirtVersion
from hooksidecar import flags
from hooksidecar.log import LEVELS
from hostdev.argumentparser import read_given
from hostdev.commandline import HELP, Argument, Command, Complete

if TYPE_CHECKING:
    from hostdev.fit.firmware import Firmware

MOUNT = "/var/run/kubevirt-hooks"
"""virt-launcher looks there for sockets, and shares it with its sidecars alone."""
MODES = ("hook", "plugin")
VERSIONS = ("v1alpha3", "v1alpha2", "v1alpha1")
"""Of KubeVirt's hook protocol, the newest first."""


class Options(NamedTuple):
    """The options of the sidecar."""

    socket_dir: str = MOUNT
    version: str = VERSIONS[0]
    mode: str = "hook"
    plugin_socket: str = ""
    host: str = "/"
    wait: float = 2.0
    libvirt: LibvirtVersion = OLDEST
    kubevirt: str = ""
    firmware: str = ""
    cloud_init: bool = False
    log_level: str = "info"

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that are served: the one that was asked for, and older ones."""
        return VERSIONS[VERSIONS.index(self.version) :]

    @property
    def again(self) -> bool | None:
        """Whether KubeVirt places a VM without placeholders a second time; None where the release is not told."""
        return places_again(self.kubevirt) if self.kubevirt else None

    @property
    def guest_firmware(self) -> Firmware | None:
        """The firmware of the guests, where it is told."""
        if not self.firmware:
            return None
        from hostdev.fit.firmware import parse_firmware  # noqa: PLC0415  seldom told

        return parse_firmware(self.firmware)

    @property
    def mount(self) -> str:
        """The directory that sidecar and compute container share: the socket is in it, the allocation file below it."""
        return self.plugin_socket.rpartition("/")[0] or "." if self.mode == "plugin" else self.socket_dir


_DEFAULTS = Options()
OPTIONS = (
    Argument(
        ("--socket-dir",),
        "where KubeVirt looks for the sockets of hook sidecars",
        metavar="DIR",
        default=_DEFAULTS.socket_dir,
        complete=Complete.DIRECTORY,
    ),
    Argument(
        ("--version",),
        "serve this version of the hook protocol, and older ones",
        choices=VERSIONS,
        default=_DEFAULTS.version,
    ),
    Argument(
        ("--mode",),
        "serve as a hook sidecar, or as a sidecar of a Plugin",
        choices=MODES,
        default=_DEFAULTS.mode,
    ),
    Argument(
        ("--plugin-socket",),
        "the socket of --mode plugin: /var/run/kubevirt-plugin/PLUGIN/NAME.sock",
        metavar="PATH",
        complete=Complete.FILE,
    ),
    Argument(
        ("--host",),
        "where the devices are checked: below / is the node's sys/",
        metavar="ROOT|MACHINE.toml|none",
        default=_DEFAULTS.host,
        complete=Complete.FILE,
    ),
    Argument(
        ("--wait",),
        "how long a call may wait for the allocation file, on top of its 2 s of work",
        metavar="SECONDS",
        default=_DEFAULTS.wait,
    ),
    Argument(
        ("--libvirt",),
        "virt-launcher's libvirt: words that only later ones know are refused",
        metavar="VERSION",
        default=str(_DEFAULTS.libvirt),
    ),
    Argument(
        ("--kubevirt",),
        "the cluster's KubeVirt, such as 1.7.4: some releases place a VM's own devices twice",
        metavar="RELEASE",
    ),
    Argument(
        ("--firmware",),
        "the firmware of virt-launcher's guests, such as ovmf-2024.11: without it every release is reckoned with when "
        "BARs may not fit",
        metavar="NAME",
    ),
    Argument(
        ("--cloud-init",),
        "write network data for SR-IOV interfaces and bonds; never for a VM without cloud-init",
        flag=True,
    ),
    Argument(
        ("--log-level",),
        "what goes to standard error; debug shows what changed",
        choices=tuple(LEVELS),
        default=_DEFAULTS.log_level,
    ),
)
_QUESTIONS = frozenset({*HELP.names, "-V"})
MOST_WAIT = 15.0
"""virt-handler gives up on virt-launcher after 20 s."""

PROGRAM = Command(
    "",
    "Serve KubeVirt's hooks for one VM.",
    "Serves KubeVirt's hooks for one VM: puts the host devices that were given to it into its domain.",
    OPTIONS,
    run="hooksidecar.main:run",
    program="passgate-hook",
    general=(Argument(("-V",), "show the versions, as --version without a value does", flag=True), HELP),
    usage=("passgate-hook [OPTION]…", "passgate-hook rehearse [OPTION]…", "passgate-hook help|version"),
    # Those a server ends with; SIGTERM, SIGINT and KubeVirt's Shutdown are ends as they should be.
    codes={code: errors.MEANINGS[code] for code in (0, 2, 3, 4, 5, errors.INTERNAL)},
    notes="`passgate-hook rehearse --help` tells how a boot is rehearsed.",
)


def parse(words: Sequence[str]) -> Options:
    """Read the words after the program's name."""
    values = read_given(PROGRAM, words)
    if "wait" in values:
        values["wait"] = _seconds(values["wait"])
    if "libvirt" in values:
        values["libvirt"] = LibvirtVersion.parse(values["libvirt"])
    if values.get("firmware"):
        Options(firmware=values["firmware"]).guest_firmware  # noqa: B018  what is none is told before anything is served
    if "kubevirt" in values:
        places_again(values["kubevirt"])  # What is no release is told before anything is served.
    options = Options(**values)
    flags.check_host(PROGRAM, options.host)
    if (options.mode == "plugin") != bool(options.plugin_socket):
        raise PROGRAM.wrong("--mode plugin and --plugin-socket go together")
    if options.mode == "plugin" and "version" in values:
        raise PROGRAM.wrong("--version and --mode plugin exclude each other", "a Plugin has versions of its own")
    if options.cloud_init and options.version == VERSIONS[-1]:
        raise PROGRAM.wrong(f"--cloud-init needs a newer --version: {options.version} has no PreCloudInitIso")
    if options.mode == "plugin" and options.cloud_init:
        raise PROGRAM.wrong("--cloud-init and --mode plugin exclude each other", "a Plugin gets no cloud-init data")
    return options


def question(words: Sequence[str], *, in_pod: bool) -> str:
    """The one word that asks about the program itself; a `--version` with a value is a flag.

    A container whose process answers a question and ends has no sidecar, and virt-launcher would wait for it in vain.
    """
    if flags.is_question(words):
        asked = [words[0]]
    else:
        pairs = zip(words, (*words[1:], "-"), strict=False)
        asked = [word for word, after in pairs if word in _QUESTIONS or (word == "--version" and after[:1] == "-")]
    if not asked:
        return ""
    hint = f"take {asked[0]} out of the sidecar's args; --version with a value, such as {VERSIONS[0]}, is served"
    if len(words) > 1 and not flags.is_question(words):
        raise PROGRAM.wrong(f"{asked[0]} goes alone: beside other words it would keep the sidecar from serving", hint)
    if in_pod:
        raise PROGRAM.wrong(f"{asked[0]} answers and ends, and this pod waits for a sidecar that serves", hint)
    return asked[0]


def is_in_pod() -> bool:
    """Whether a virt-launcher waits for this sidecar: KubeVirt mounts the directory, and an image may have it empty."""
    return os.path.ismount(MOUNT)


def _seconds(text: str) -> float:
    seconds = flags.read_seconds(text, MOST_WAIT)
    if seconds is None:
        raise PROGRAM.wrong(f"--wait needs a number of seconds from 0 to {MOST_WAIT:.0f}, not {text!r}")
    return seconds
