"""The entry point: finds the command, runs it, and turns every way it can end into words and an exit code."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import cast

from domxml import errors
from domxml.errors import ExitCode, PassgateError
from hostdev.cli.resolve import resolve
from hostdev.printing import output

_NEED_AN_END = ("threading", "multiprocessing", "libvirt")
"""Modules that may have something to do when Python ends."""


def run() -> int:
    """Start from the console script."""
    # Imports make many objects and no garbage: looking for some costs a short run a twentieth of its time.
    gc.set_threshold(50_000)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            # A device's name may hold what the terminal's encoding has no letter for.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = main(sys.argv[1:])
    if code in {errors.BROKEN_PIPE, errors.OUTPUT_LOST}:
        # Python flushes once more on its way out, and would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if code == errors.BROKEN_PIPE:
        import signal  # noqa: PLC0415  only here

        # End by the signal, as every filter does whose reader went away.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    if sys.modules.keys().isdisjoint(_NEED_AN_END):
        # To take the interpreter apart would be a seventh of a short run.
        output.end_process(code)
    return code


def main(argv: Sequence[str]) -> int:
    """Run a command line and say how it ended."""
    try:
        code = _dispatch(argv)
        output.flush()
    except KeyboardInterrupt:
        code = errors.INTERRUPTED
    except BrokenPipeError:
        code = errors.BROKEN_PIPE
    except Exception as error:  # noqa: BLE001  the last line of defence against tracebacks
        code = _report(error, argv)
    return code


def _dispatch(argv: Sequence[str]) -> int:
    if argv and argv[0] in {"__complete", "__complete_for"}:
        from hostdev.cli import completion  # noqa: PLC0415  only shells ask for it

        # Scripts of 0.1.0 name no program.
        return completion.answer(argv[1:]) if argv[0] == "__complete" else completion.answer(argv[2:], argv[1])
    call = resolve(argv)
    if call.version:
        from hostdev.helptext import version_text  # noqa: PLC0415  loads lxml

        output.write(version_text())
        return ExitCode.DONE
    if call.help or call.command is None:
        return _help(call.prefix, call.topic, asked=call.help)
    from hostdev.cli import parser  # noqa: PLC0415  help goes without argparse

    arguments = parser.parse(call.command, call.rest)
    module, function = call.command.run.split(":")
    return cast("int", getattr(importlib.import_module(module), function)(arguments))


def _help(prefix: str, topic: str, *, asked: bool) -> int:
    from hostdev.cli.helppages import help_text  # noqa: PLC0415  only for those who ask

    text = help_text(prefix, topic)
    if asked:
        output.write(text)
        return ExitCode.DONE
    output.note(text.rstrip())
    return ExitCode.USAGE


def _report(error: Exception, argv: Sequence[str]) -> int:
    if "--debug" in argv:
        import traceback  # noqa: PLC0415  only for those who ask

        output.note("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, errors.OutputLost):
        output.note(f"error: {error} [output-lost]")
        return errors.OUTPUT_LOST
    known, code = _as_known(error)
    output.note(f"error: {known.what} [{known.code}]")
    if known.hint:
        output.note(f"hint: {known.hint}")
    if any("json" in word or "yaml" in word for word in argv):
        from hostdev.printing.documents import emit_error  # noqa: PLC0415  only for programs

        emit_error(known, code, argv)
    return code


def _as_known(error: Exception) -> tuple[PassgateError, int]:
    if isinstance(error, PassgateError):
        return error, error.exit_code
    what = " ".join(f"{type(error).__name__}: {error}".split())
    hint = "run it again with --debug to see where, and report it"
    defect = PassgateError("internal-error", f"internal error, a defect of passgate: {what}", hint=hint)
    return defect, errors.INTERNAL


if __name__ == "__main__":
    sys.exit(run())
