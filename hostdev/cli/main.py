"""The entry point: finds the command, runs it, and turns every way it can end into words and an exit code."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import cast

from domxml.errors import ExitCode, PassgateError
from hostdev.cli import exits, output
from hostdev.cli.resolve import resolve


def run() -> int:
    """What the console script calls."""
    # Imports make many objects and no garbage: looking for some costs a short run a twentieth of its time.
    gc.set_threshold(50_000)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            # A device's name may hold what the terminal's encoding has no letter for.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = main(sys.argv[1:])
    if code in {exits.BROKEN_PIPE, exits.OUTPUT_LOST}:
        # Python flushes once more on its way out, and would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if code == exits.BROKEN_PIPE:
        import signal  # noqa: PLC0415  only here

        # End by the signal, as every filter does whose reader went away.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    return code


def main(argv: Sequence[str]) -> int:
    """Run a command line and say how it ended."""
    try:
        code = _dispatch(argv)
        output.flush()
    except KeyboardInterrupt:
        code = exits.INTERRUPTED
    except BrokenPipeError:
        code = exits.BROKEN_PIPE
    except Exception as error:  # noqa: BLE001  the last line of defence against tracebacks
        code = _report(error, debug="--debug" in argv)
    return code


def _dispatch(argv: Sequence[str]) -> int:
    if argv and argv[0] == "__complete":
        from hostdev.cli import completion  # noqa: PLC0415  only shells ask for it

        return completion.answer(argv[1:])
    call = resolve(argv)
    if call.version:
        from hostdev.cli import version  # noqa: PLC0415  loads lxml

        output.write(version.text())
        return ExitCode.DONE
    if call.help or call.command is None:
        return _help(call.prefix, asked=call.help)
    from hostdev.cli import parser  # noqa: PLC0415  help goes without argparse

    arguments = parser.parse(call.command, call.rest)
    module, function = call.command.run.split(":")
    return cast("int", getattr(importlib.import_module(module), function)(arguments))


def _help(prefix: str, *, asked: bool) -> int:
    from hostdev.cli import helptext  # noqa: PLC0415  only for those who ask

    text = helptext.of(prefix)
    if asked:
        output.write(text)
        return ExitCode.DONE
    output.tell(text.rstrip())
    return ExitCode.USAGE


def _report(error: Exception, *, debug: bool) -> int:
    if debug:
        import traceback  # noqa: PLC0415  only for those who ask

        output.tell("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, PassgateError):
        output.tell(f"error: {error.what} [{error.code}]")
        if error.hint:
            output.tell(f"hint: {error.hint}")
        return error.exit_code
    if isinstance(error, exits.OutputLost):
        output.tell(f"error: {error} [output-lost]")
        return exits.OUTPUT_LOST
    what = " ".join(f"{type(error).__name__}: {error}".split())
    output.tell(f"error: internal error, a defect of passgate: {what} [internal-error]")
    output.tell("hint: run it again with --debug to see where, and report it")
    return exits.INTERNAL


if __name__ == "__main__":
    sys.exit(run())
