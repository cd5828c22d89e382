"""The options of the driver of resource claims."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from domxml import errors
from domxml.text import visible
from hooksidecar import flags
from hooksidecar.nodewatch.options import HOST, HOST_ROOT, KUBELET, LEVEL, LISTEN, LOG_LEVEL, kubelet_dir
from hostdev.argumentparser import read_given
from hostdev.commandline import Argument, Command, Complete
from hostdev.kubelet.resourcename import DRIVER

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
CDI = "/var/run/cdi"
LONGEST_DRIVER = 63
_DRIVER = re.compile(r"(?=[a-z])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.ASCII)
"""A domain, as the API server wants it; the CDI files have it as their vendor, which begins with a letter."""


class Options(NamedTuple):
    """The options of the driver."""

    state: str = ""
    node: str = ""
    driver: str = DRIVER
    kubelet_dir: str = KUBELET
    cdi_dir: str = CDI
    host: str = HOST
    listen: str = ""
    api_server: str = ""
    service_account_dir: str = ACCOUNT
    once: bool = False
    log_level: str = LEVEL


OPTIONS = (
    Argument(
        ("--state",),
        "the NodeState file whose spec.offer names what is offered by claim",
        metavar="FILE",
        complete=Complete.FILE,
    ),
    Argument(("--node",), "the node's name: of its slices, and in a file with documents for several", metavar="NAME"),
    Argument(("--driver",), "the driver's name, as DeviceClasses select it", metavar="DOMAIN", default=DRIVER),
    kubelet_dir("plugins", "plugins_registry", "device-plugins"),
    Argument(
        ("--cdi-dir",),
        "where container runtimes look for CDI files",
        metavar="DIR",
        default=CDI,
        complete=Complete.DIRECTORY,
    ),
    HOST_ROOT._replace(metavar="ROOT|MACHINE.toml"),
    LISTEN,
    Argument(("--api-server",), "another URL of the API server than that of the pod's environment", metavar="URL"),
    Argument(
        ("--service-account-dir",),
        "where kubelet keeps the pod's token and ca.crt",
        metavar="DIR",
        default=ACCOUNT,
        complete=Complete.DIRECTORY,
    ),
    Argument(("--once",), "print the ResourceSlices that would be published, and write nothing", flag=True),
    LOG_LEVEL,
)
PROGRAM = Command(
    "",
    "Hand out the units of this node by resource claims.",
    "Hands out the units of this node by resource claims: publishes them as ResourceSlices, and prepares the claims of "
    "pods for kubelet.",
    OPTIONS,
    run="hooksidecar.claims.main:run",
    program="passgate-claims",
    general=flags.GENERAL,
    usage=("passgate-claims --state FILE --node NAME [OPTION]…",),
    # SIGTERM and SIGINT are ends as they should be.
    codes={code: errors.MEANINGS[code] for code in (0, 2, 3, 4, 5, errors.INTERNAL)},
    notes="An API server that does not answer ends nothing: what is prepared stays prepared.",
)


def parse(words: Sequence[str]) -> Options:
    """Read the words after the program's name."""
    options = Options(**read_given(PROGRAM, words))
    if not options.state:
        raise PROGRAM.wrong("nothing says what is offered: give a NodeState file with --state")
    if not options.node:
        raise PROGRAM.wrong("slices bear the node's name: give it with --node", "in a pod it is its spec.nodeName")
    if options.host == "none":
        raise PROGRAM.wrong("--host none: without a host there is nothing to offer")
    flags.check_host(PROGRAM, options.host)
    if not _DRIVER.fullmatch(options.driver) or len(options.driver) > LONGEST_DRIVER:
        what = f"--driver: {visible(options.driver[:80])} is no domain in small letters of at most {LONGEST_DRIVER}"
        raise PROGRAM.wrong(what, f"such as {DRIVER}")
    if options.once and options.listen:
        raise PROGRAM.wrong("--once ends at once, and serves nothing")
    return options
