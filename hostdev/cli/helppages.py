"""`passgate help`: of a command, of words that lead to some, or of a topic."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from domxml import errors
from hostdev import habits
from hostdev.cli import resolve
from hostdev.cli.commands import table
from hostdev.commandline import COMMON, VERSION, Command
from hostdev.helptext import arguments, codes_hint, codes_text, command_text, join, paragraph, section


def help_text(name: str, topic: str = "") -> str:
    """The text for a command, for the words that lead to some, or for a topic."""
    if topic:
        return _TOPICS[topic]()
    command = table.COMMANDS.get(name)
    return _prefix_text(name) if command is None else command_text(command)


def summary(name: str) -> str:
    """What a command, or a word that leads to some, is for; the empty name is passgate itself."""
    return table.GROUPS[name] if name in table.GROUPS else table.COMMANDS[name].summary


def full_name(name: str) -> str:
    """A command as it is typed."""
    return " ".join(["passgate", *name.split()])


def programs() -> Iterator[Command]:
    """The rows of the other programs that are installed."""
    for place in table.PROGRAMS:
        module, _, name = place.partition(":")
        try:
            yield getattr(import_module(module), name)
        except ModuleNotFoundError:
            continue


def _prefix_text(prefix: str) -> str:
    """The commands that begin with these words; with none of them, all of passgate."""
    name = full_name(prefix)
    below = ((word, summary(f"{prefix} {word}".strip())) for word in table.below(prefix))
    return join(
        f"usage: {name} COMMAND …",
        paragraph(summary(prefix)),
        section("commands", below),
        "" if prefix else section("topics", ((f"help {topic}", about) for topic, about in table.TOPICS.items())),
        arguments("options", COMMON if prefix else (VERSION, *COMMON)),
        paragraph(f"`{name} COMMAND --help` tells more about one of them."),
        "" if prefix else paragraph(SHORT),
        codes_hint("passgate") if prefix else "",
    )


SHORT = (
    f"The commands of `passgate {resolve.SHORT}` go without that word too: `passgate list`. "
    "Options may stand before the command."
)
"""How a command line may be shorter than the rows say."""


def _exit_codes() -> str:
    others = [command for command in programs() if command.codes != errors.MEANINGS]
    return join(
        codes_text(errors.MEANINGS, "exit codes of passgate"),
        *(codes_text(command.codes, f"of {command.full_name}") for command in others),
    )


def _settings() -> str:
    from hostdev.vmi.settings import SETTINGS  # noqa: PLC0415  loads lxml

    return join(
        paragraph(
            "A device is named with settings after commas, as in `passgate inject vm.xml --device "
            "3d:02.2,guest=10:00.0,rom.bar=off`. The annotation passgate.dev/devices has the same keys; "
            "both take either name."
        ),
        section("settings", ((row.spelling, row.explanation) for row in SETTINGS.values() if not row.which)),
        section("in the annotation alone", ((row.spelling, row.explanation) for row in SETTINGS.values() if row.which)),
    )


def _devices() -> str:
    from hostdev.inventory.devicenames import EXAMPLES  # noqa: PLC0415  only who asks needs it

    return join(
        paragraph("Wherever a command takes a device of the host, it is named in one of these ways:"),
        section("devices", EXAMPLES),
        paragraph("Several at once are separated by blanks. What names nothing is told, with what is near."),
    )


def _habits() -> str:
    also = {name: f"{', '.join(others)}" for name, others in habits.ALSO.items()}
    fixed = {name: " ".join(words) for name, words in habits.FIXED.items()}
    return join(
        paragraph("What other programs call things is understood, where a command has what is meant:"),
        section(
            "options",
            [
                (", ".join(habits.FILES), "the command's file"),
                (", ".join(habits.DEVICES), "a device, as lspci has it"),
                ("--json, --yaml, …", "-o json, -o yaml, …"),
                *((others, name) for name, others in also.items()),
                *fixed.items(),
            ],
        ),
        section("commands", [*resolve.SYNONYMS.items(), ("group, slots, …", "the singular and the plural")]),
        paragraph("- is standard input wherever a file is read."),
    )


_TOPICS = {"exit-codes": _exit_codes, "settings": _settings, "devices": _devices, "habits": _habits}
