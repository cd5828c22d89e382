"""The entry point of the driver of resource claims: from flags to a process that serves until it is told to end."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from domxml.errors import ExitCode
from hooksidecar.process import run_answered, stop_on_signals
from hostdev.printing.output import end_process

if TYPE_CHECKING:
    from hooksidecar.claims.options import Options
    from hooksidecar.process import Stop


def run() -> NoReturn:
    """Start from the console script."""
    end_process(main(sys.argv[1:]))


def main(words: Sequence[str]) -> int:
    """Run a command line and say how it ended."""
    return run_answered(lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    from hooksidecar import flags  # noqa: PLC0415
    from hooksidecar.claims import options  # noqa: PLC0415

    if flags.answer_help(words, options.PROGRAM):
        return ExitCode.DONE
    chosen = options.parse(words)
    return _print(chosen) if chosen.once else _serve(chosen, stop_on_signals())


def _print(options: Options) -> int:
    from hooksidecar import log  # noqa: PLC0415
    from hooksidecar.claims.preview import preview_slices  # noqa: PLC0415  the server needs none of it

    log.start(options.log_level, "passgate-claims")
    sys.stdout.write(preview_slices(options))
    return ExitCode.DONE


def _serve(options: Options, stop: Stop) -> int:
    # gRPC's C core would write lines of its own into our log.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from hooksidecar import log  # noqa: PLC0415  signals are handled before anything heavy is loaded
    from hooksidecar.claims.driver import Driver  # noqa: PLC0415

    log.start(options.log_level, "passgate-claims")
    Driver(options).run(stop)
    log.info("stopped")
    return ExitCode.DONE


if __name__ == "__main__":
    run()
