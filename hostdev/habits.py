"""What is typed out of habit: spellings of other programs that are taken, and what to do instead of the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from domxml.text import nearest
from hostdev.commandline import Argument, Command, Complete

FILES = ("-f", "--file", "--filename")
DEVICES = ("-s", "-d")
"""As lspci has them."""
ALSO: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "--color": ("--colour",),
        "--namespace": ("-n",),
        "--output": ("--format",),
        "--columns": ("--cols", "--fields"),
        "--sort": ("--sort-by",),
        "--no-headers": ("--no-header", "--noheadings"),
    }
)
"""Other spellings of options."""
FIXED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"--no-color": ("--color", "never"), "--no-colour": ("--color", "never")}
)
"""Options and values that go by one word."""

FORMS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        ("custom-columns", "jsonpath", "go-template", "template"),
        "choose columns with --columns and -o csv, or pick from -o json with jq",
    )
)
"""Forms of output that kubectl has, and what to do instead."""

_CLUSTER = "no cluster is asked: name files, as in `kubectl get vm NAME -o yaml | passgate lint -`"
_NO_WRITE = "nothing is ever written, so every run is a dry one"
_LOUDNESS = "everything is told already: -o wide or -o json, where there is one, shows all, --debug a traceback"
INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        "--dry-run": _NO_WRITE,
        "--verbose": _LOUDNESS,
        "-v": f"{_LOUDNESS}; -V shows the version",
        "--quiet": "send what you do not want to /dev/null; the exit code tells, with --fail-on",
        "-q": "send what you do not want to /dev/null; the exit code tells, with --fail-on",
        "--silent": "send what you do not want to /dev/null; the exit code tells, with --fail-on",
        "--kubeconfig": _CLUSTER,
        "--context": _CLUSTER,
        "-A": _CLUSTER,
        "--all-namespaces": _CLUSTER,
        "--namespace": _CLUSTER,
        "-n": _CLUSTER,
        "-w": "`passgate node watch` follows devices",
        "--watch": "`passgate node watch` follows devices",
        "--root": "--host is the root directory, or a recorded machine",
        "--sysfs": "--host is the root directory above sys/, or a recorded machine",
    }
)
"""What to do instead of an option, for every command that has none of the name."""


_ALIKE = 0.7
"""Less alike than this, an option is a guess."""


class Spelling(NamedTuple):
    """An argument under some name, and its value where the name says that too."""

    argument: Argument
    value: str | None = None


def spellings(command: Command) -> dict[str, Spelling]:
    """Everything that a command takes by a word with dashes; its own options go before other programs' words."""
    found = dict(_taken_over(command))
    found.update((name, Spelling(option)) for option in command.every_option for name in option.names)
    return found


def _taken_over(command: Command) -> Iterable[tuple[str, Spelling]]:
    for kind, names in ((Complete.FILE, FILES), (Complete.ADDRESS, DEVICES), (Complete.SELECTOR, DEVICES)):
        fitting = [argument for argument in command.positionals if argument.complete is kind]
        if len(fitting) == 1:
            yield from ((name, Spelling(fitting[0])) for name in names)
    by_name = {name: option for option in command.every_option for name in option.names}
    for name, others in ALSO.items():
        if name in by_name:
            yield from ((other, Spelling(by_name[name])) for other in others)
    for other, (name, value) in FIXED.items():
        if name in by_name:
            yield other, Spelling(by_name[name], value)
    output = by_name.get("--output")
    if output is not None:
        forms = (form for form in output.choices if f"--{form}" not in command.instead)
        yield from ((f"--{form}", Spelling(output, form)) for form in forms)


def advice(command: Command, word: str) -> str:
    """What to do instead of an option that a command does not have; empty where nothing is known."""
    said = command.instead.get(word) or INSTEAD.get(word)
    if said:
        return said
    known = {name: option for option in command.every_option for name in option.names}
    whole = f"-{word}"
    near = whole if word[:2] != "--" and whole in known else nearest(word, known, cutoff=_ALIKE)
    if not near or known[near].takes_away:
        return ""
    return f"did you mean {near}, with two dashes?" if near == whole else f"did you mean {near}?"
