"""The flags of the sidecar: one table, from which the parser and `--help` come. Without argparse, for a quick start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from domxml.errors import BadInput
from hooksidecar.log import LEVELS
from hostdev.cli import exits

MODES = ("hook", "plugin")


class Options(NamedTuple):
    """How to serve."""

    socket_dir: str = "/var/run/kubevirt-hooks"
    mode: str = "hook"
    plugin_socket: str = ""
    host: str = "/"
    wait: float = 2.0
    log_level: str = "info"


class Flag(NamedTuple):
    """A row of the table."""

    name: str
    value: str
    meaning: str
    choices: tuple[str, ...] = ()


FLAGS = (
    Flag("--socket-dir", "DIR", "where KubeVirt looks for the sockets of hook sidecars"),
    Flag("--mode", "|".join(MODES), "serve as a hook sidecar, or as a sidecar of a Plugin", MODES),
    Flag("--plugin-socket", "PATH", "the socket of --mode plugin: /var/run/kubevirt-plugin/PLUGIN/NAME.sock"),
    Flag("--host", "ROOT|MACHINE.toml|none", "where the devices are checked: below / is the node's sys/"),
    Flag("--wait", "SECONDS", "how long a call may wait for the allocation file, on top of its 2 s of work"),
    Flag("--log-level", "|".join(LEVELS), "what goes to standard error; debug shows what changed", tuple(LEVELS)),
)
MOST_WAIT = 15.0
"""virt-handler gives up on virt-launcher after 20 s."""


def parse(words: Sequence[str]) -> Options:
    """Read the words after the program's name."""
    values: dict[str, Any] = {}
    flags = {flag.name: flag for flag in FLAGS}
    rest = list(words)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        flag = flags.get(name)
        if flag is None:
            raise _usage(f"there is no {name!r}", _nearest(name, flags))
        if not equals:
            if not rest:
                raise _usage(f"{name} needs a value: {flag.value}")
            value = rest.pop(0)
        values[name.lstrip("-").replace("-", "_")] = _checked(flag, value)
    options = Options(**values)
    if (options.mode == "plugin") != bool(options.plugin_socket):
        raise _usage("--mode plugin and --plugin-socket go together")
    return options


def _checked(flag: Flag, value: str) -> str | float:
    if flag.choices and value not in flag.choices:
        raise _usage(f"{flag.name} cannot be {value!r}", f"it is one of {', '.join(flag.choices)}")
    if flag.value != "SECONDS":
        if not value:
            raise _usage(f"{flag.name} needs a value: {flag.value}")
        return value
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MOST_WAIT:
        raise _usage(f"{flag.name} needs a number of seconds from 0 to {MOST_WAIT:.0f}, not {value!r}")
    return seconds


def help_text() -> str:
    """What `--help` prints."""
    defaults = Options()._asdict()
    lines = [
        "usage: passgate-hook [OPTION]…",
        "       passgate-hook rehearse --vmi FILE --domain FILE [OPTION]…",
        "",
        "Serves KubeVirt's hooks for one VM: puts the host devices that were given to it into its domain.",
        "",
        "options:",
    ]
    rows = [(f"{flag.name} {flag.value}", _about(flag, defaults)) for flag in FLAGS]
    rows += [("-h, --help", "show this text"), ("--version", "show the versions of passgate and what it stands on")]
    lines += [f"  {left}\n        {right}" for left, right in rows]
    lines += ["", "`passgate-hook rehearse --help` tells how a boot is rehearsed.", "", "exit codes:"]
    lines += [f"  {code:>3}  {text}" for code, text in exits.MEANINGS.items() if code in CODES]
    return "\n".join(lines) + "\n"


CODES = frozenset({0, 2, 3, 4, 5, exits.INTERNAL})
"""Those a server ends with; SIGTERM, SIGINT and KubeVirt's Shutdown are ends as they should be."""


def _about(flag: Flag, defaults: dict[str, str | float]) -> str:
    default = defaults[flag.name.lstrip("-").replace("-", "_")]
    return f"{flag.meaning} (default: {default})" if default != "" else flag.meaning


def _usage(message: str, hint: str = "") -> BadInput:
    return BadInput("bad-usage", message, hint=hint or "`passgate-hook --help` shows how it is used")


def _nearest(name: str, flags: dict[str, Flag]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  only a mistake needs it

    near = get_close_matches(name, flags, n=1)
    return f"did you mean {near[0]}?" if near else ""
