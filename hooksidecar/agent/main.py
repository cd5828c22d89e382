"""The node agent's entry point: from flags to turns, and to an end that is always an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from domxml.errors import ExitCode
from hooksidecar.process import run_answered, stop_on_signals
from hostdev.printing.output import end_process

if TYPE_CHECKING:
    from hooksidecar.agent.options import Options
    from hooksidecar.process import Stop


def run() -> NoReturn:
    """Start from the console script."""
    end_process(main(sys.argv[1:]))


def main(words: Sequence[str]) -> int:
    """Run a command line and say how it ended."""
    return run_answered(lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    from hooksidecar import flags  # noqa: PLC0415
    from hooksidecar.agent import options  # noqa: PLC0415

    if flags.answer_help(words, options.PROGRAM):
        return ExitCode.DONE
    return _serve(options.parse(words), stop_on_signals())


def _serve(options: Options, stop: Stop) -> int:
    # gRPC's C core would write lines of its own into our log.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from hooksidecar import log  # noqa: PLC0415  signals are handled before anything heavy is loaded
    from hooksidecar.agent.agent import Agent  # noqa: PLC0415

    log.start(options.log_level, "passgate-agent")
    agent = Agent(options, stop.is_set)
    if options.once:
        return agent.once()
    signal.set_wakeup_fd(agent.waker, warn_on_full_buffer=False)
    agent.run()
    log.info("stopped")
    return ExitCode.DONE


if __name__ == "__main__":
    run()
