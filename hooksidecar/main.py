"""The sidecar's entry point: from flags to a server, and to an end that is always an exit code with a sentence."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from domxml.errors import ExitCode, NotPermitted, PassgateError
from hooksidecar.process import Stop, run_answered, stop_on_signals
from hostdev.printing.output import end_process

if TYPE_CHECKING:
    from hooksidecar.cloudinithook import CloudInitCalls
    from hooksidecar.domainhook import Calls, Core
    from hooksidecar.options import Options
    from hooksidecar.server import Methods

MakeCore = Callable[["Options"], "Core"]


def run() -> NoReturn:
    """Start from the console script."""
    end_process(main(sys.argv[1:]))


def main(words: Sequence[str], make_core: MakeCore | None = None) -> int:
    """Run a command line and say how it ended."""
    return run_answered(lambda: _run(words, make_core or _core))


def _run(words: Sequence[str], make_core: MakeCore) -> int:
    if words[:1] == ["rehearse"]:
        return _rehearse(words[1:])
    stop = stop_on_signals()
    from hooksidecar import flags, options  # noqa: PLC0415

    if options.question(words, in_pod=options.is_in_pod()):
        flags.answer_help(words, options.PROGRAM)
        return ExitCode.DONE
    return _serve(options.parse(words), make_core, stop)


def _rehearse(words: Sequence[str]) -> int:
    from hooksidecar import options  # noqa: PLC0415

    if options.is_in_pod():
        raise options.PROGRAM.wrong(
            "a rehearsal ends, and this pod waits for a sidecar that serves", "rehearse elsewhere"
        )
    try:
        from hooksidecar.rehearsal.command import rehearse  # noqa: PLC0415  the server goes without
    except ModuleNotFoundError as error:
        hint = "pip install passgate where you rehearse; the sidecar's image has no more than the sidecar needs"
        raise PassgateError("module-missing", f"a rehearsal needs {error.name}", hint=hint) from None
    return rehearse(words)


def _serve(options: Options, make_core: MakeCore, stop: Stop) -> int:
    # gRPC's C core would write lines of its own into our log; what is wrong with a socket, we say ourselves.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    _check_address_space()
    from hooksidecar import lean  # noqa: PLC0415  signals are handled before anything heavy is loaded

    lean.load()
    from hooksidecar import log  # noqa: PLC0415
    from hooksidecar.domainhook import Calls  # noqa: PLC0415
    from hooksidecar.server import Server, plugin_methods  # noqa: PLC0415
    from hooksidecar.unixsocket import UnixSocket, name_for  # noqa: PLC0415

    log.start(options.log_level)
    name = options.plugin_socket.rpartition("/")[2] if options.mode == "plugin" else name_for(os.environ)
    place = UnixSocket(options.mount, name)
    calls = Calls(lambda: make_core(options), wait=options.wait)
    plugin = options.mode == "plugin"
    server = Server(plugin_methods(calls) if plugin else _hook(options, calls, stop))
    try:
        place.publish(server.listen)
        log.info("serving", socket=place.path, mode=options.mode)
        if plugin:
            calls.warm_up()  # A plugin is not asked for Info.
        stop.wait()
    finally:
        place.remove()
        server.stop()
    log.info("stopped")
    return ExitCode.DONE


LEAST_SPACE = 512 << 20
"""Bytes of addresses, mostly stacks that are never touched: below it gRPC hangs at times, without a word."""


def _check_address_space() -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_SPACE:
        what = f"the process may use {limit >> 20} MiB of addresses, and needs {LEAST_SPACE >> 20}"
        hint = "`ulimit -v unlimited` before it starts; what bounds a sidecar is the memory limit of its container"
        raise NotPermitted("address-space-limited", what, hint=hint)


def _hook(options: Options, calls: Calls, stop: Stop) -> Methods:
    from hooksidecar import log  # noqa: PLC0415  signals are handled before anything heavy is loaded
    from hooksidecar.options import MOUNT, is_in_pod  # noqa: PLC0415
    from hooksidecar.server import hook_methods  # noqa: PLC0415  signals are handled before anything heavy is loaded

    if options.socket_dir != MOUNT and is_in_pod():
        log.error("virt-launcher looks for sockets elsewhere", place=MOUNT, socketDir=options.socket_dir)
    return hook_methods(calls, stop.set, _cloud_init(options, calls), options.versions)


def _core(options: Options) -> Core:
    import encodings.utf_8_sig  # noqa: F401, PLC0415  Python loads it when a file is read

    from hooksidecar.container import channels  # noqa: PLC0415  not before Info can be answered
    from hostdev.gate import check  # noqa: F401, PLC0415  the first call needs these too
    from hostdev.inject.hook import HookCore, Launcher, warm_up  # noqa: PLC0415
    from hostdev.inventory.recorded import layout  # noqa: F401, PLC0415
    from hostdev.inventory.scan import looker  # noqa: PLC0415

    warm_up()
    return HookCore(
        lambda: channels(options.mount, os.environ),
        looker(options.host, bars=True),
        wait=options.wait,
        makes_bonds=options.cloud_init,
        launcher=Launcher(options.libvirt, options.again, options.guest_firmware),
    )


def _cloud_init(options: Options, calls: Calls) -> CloudInitCalls | None:
    if not options.cloud_init:
        return None
    from hooksidecar.cloudinithook import CloudInitCalls  # noqa: PLC0415  most sidecars go without
    from hooksidecar.container import network_info  # noqa: PLC0415
    from hostdev.cloudinit.hook import CloudInitHook  # noqa: PLC0415

    return CloudInitCalls(CloudInitHook(network_info, wait=options.wait), calls.bounded, wait=options.wait)


if __name__ == "__main__":
    run()
