"""The sidecar's entry point: from flags to a server, and to an end that is always an exit code with a sentence."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from domxml.errors import ExitCode, PassgateError

if TYPE_CHECKING:
    from hooksidecar.core import Core
    from hooksidecar.options import Options

MakeCore = Callable[["Options"], "Core"]


def run() -> NoReturn:
    """What the console script calls."""
    end(main(sys.argv[1:]))


def main(words: Sequence[str], make_core: MakeCore | None = None) -> int:
    """Run a command line and say how it ended."""
    try:
        return _run(words, make_core or _core)
    except PassgateError as error:
        _tell(f"error: {error.subject}: {error.message}" if error.subject else f"error: {error.message}", error.code)
        if error.hint:
            _tell(f"hint: {error.hint}")
        return error.exit_code
    except Exception as error:  # noqa: BLE001  the last line of defence against tracebacks
        from hooksidecar import doing  # noqa: PLC0415
        from hostdev.cli import exits  # noqa: PLC0415

        _tell(f"error: a defect of passgate: {type(error).__name__} in {doing.place_of(error)}", "internal-error")
        return exits.INTERNAL


def end(code: int) -> NoReturn:
    """Leave at once: threads that hang in a call must not keep the process, and with it the pod."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue
    os._exit(code)


def _run(words: Sequence[str], make_core: MakeCore) -> int:
    if words[:1] == ["rehearse"]:
        from hooksidecar.rehearsal.command import rehearse  # noqa: PLC0415  the server goes without

        return rehearse(words[1:])
    if {"-h", "--help"} & set(words):
        from hooksidecar import options  # noqa: PLC0415

        sys.stdout.write(options.help_text())
        return ExitCode.DONE
    if "--version" in words:
        from hostdev.cli import version  # noqa: PLC0415

        sys.stdout.write(version.text())
        return ExitCode.DONE
    stop = _until_told()
    from hooksidecar import options  # noqa: PLC0415

    return _serve(options.parse(words), make_core, stop)


def _until_told() -> threading.Event:
    """Set by SIGTERM and SIGINT, from the very start: process 1 of a container ignores what it does not handle."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop


def _serve(options: Options, make_core: MakeCore, stop: threading.Event) -> int:
    # gRPC's C core would write lines of its own into our log; what is wrong with a socket, we say ourselves.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from hooksidecar import log, services  # noqa: PLC0415  signals are handled before anything heavy is loaded
    from hooksidecar.calls import Calls  # noqa: PLC0415
    from hooksidecar.server import Server  # noqa: PLC0415
    from hooksidecar.unixsocket import UnixSocket, name_for  # noqa: PLC0415

    log.start(options.log_level)
    if options.mode == "plugin":
        directory, _, name = options.plugin_socket.rpartition("/")
        place = UnixSocket(directory or ".", name)
    else:
        place = UnixSocket(options.socket_dir, name_for(os.environ))
    calls = Calls(make_core(options), wait=options.wait)
    server = Server(services.plugin(calls) if options.mode == "plugin" else services.hook(calls, stop.set))
    try:
        place.publish(server.listen)
        log.info("serving", socket=place.path, mode=options.mode)
        stop.wait()
    finally:
        place.remove()
        server.stop()
    log.info("stopped")
    return ExitCode.DONE


def _core(options: Options) -> Core:
    from hooksidecar.places import channels  # noqa: PLC0415  not before signals are handled
    from hostdev.hookcore import HookCore  # noqa: PLC0415
    from hostdev.looking import looker  # noqa: PLC0415

    return HookCore(lambda: channels(options.socket_dir, os.environ), looker(options.host), wait=options.wait)


def _tell(text: str, code: str = "") -> None:
    try:
        sys.stderr.write(f"{text} [{code}]\n" if code else f"{text}\n")
    except OSError:
        return


if __name__ == "__main__":
    run()
