"""What a shell and man(1) ask for."""

from __future__ import annotations

from hostdev.commandline import Argument, Command, Complete

COMPLETION = Command(
    "completion",
    "Print a completion script for a shell.",
    "The script asks passgate itself, so that it also offers the addresses of this node's devices.",
    (Argument(("SHELL",), "the shell", choices=("bash", "zsh", "fish")),),
    run="hostdev.cli.completion:run",
    examples=(("source <(passgate completion bash)", "for this shell; put it into ~/.bashrc for all"),),
)

MAN = Command(
    "man",
    "Write the manual pages.",
    "One page for each command, into a directory.",
    (Argument(("DIRECTORY",), "where to write them", complete=Complete.DIRECTORY),),
    run="hostdev.cli.manpage:run",
    examples=(("passgate man /usr/local/share/man/man1", "then read passgate(1)"),),
)

COMMANDS = (COMPLETION, MAN)
