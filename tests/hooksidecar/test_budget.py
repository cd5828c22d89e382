"""A sidecar has 64 MB and a fifth of a processor: what it loads, holds and keeps is bounded."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from tests.domxml.domains import load
from tests.hooksidecar.conftest import Start
from tests.hooksidecar.sidecar import ROOT, environment

DOMAIN = load("q35-big-10kb")
MOST_KIB = 62_500
MAY_LOAD = {"domxml", "hostdev", "hooksidecar", "grpc", "google", "lxml", "typing_extensions", "__main__"}
"""Beside the standard library; typing_extensions is grpc's."""
HEAVY = {"argparse", "dataclasses", "tomllib", "pathlib", "http", "email", "unittest", "sqlite3", "multiprocessing"}
"""Parts of the standard library that nobody needs there; what grpc itself loads is measured and left out."""
LIST = """
import json, sys
sys.modules["grpc_tools"] = None  # grpc loads it where it finds it; the image has none
{before}
before = set(sys.modules)
import threading
from hooksidecar import log, main, options, server, services, unixsocket, calls
vmi = b'{{"kind": "VirtualMachineInstance", "spec": {{}}}}'
main._core(options.Options()).define(open(sys.argv[1], "rb").read(), vmi, deadline=1e12)
services.hook(None, print)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def _loaded(before: str) -> set[str]:
    path = ROOT / "tests" / "fixtures" / "domains" / "q35-default.xml"
    said = subprocess.run(
        [sys.executable, "-S", "-c", LIST.format(before=before), str(path)],
        env=environment(
            PYTHONPATH=":".join([str(ROOT), str(ROOT / "xml"), *(p for p in sys.path if "site-pack" in p)])
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    return set(json.loads(said.stdout))


def test_the_sidecar_loads_nothing_but_what_its_image_holds() -> None:
    tops = {name.partition(".")[0] for name in _loaded("")}

    # The cython modules of grpc and lxml leave such names behind.
    assert {top for top in tops - MAY_LOAD - sys.stdlib_module_names if "cython" not in top.lower()} == set()


def test_we_load_nothing_heavy_beyond_what_grpc_loads() -> None:
    loaded = _loaded("import grpc, google.protobuf.message, lxml.etree")

    assert loaded & HEAVY == set()
    assert not {name for name in loaded if name.startswith("hostdev.cli.") and name != "hostdev.cli.exits"}


def test_memory_stays_below_the_limit_of_a_sidecar(start: Start) -> None:
    sidecar = start("device")
    client = sidecar.ready()
    for _ in range(20):
        client.define(DOMAIN)

    resident = sidecar.status("VmRSS")
    print(f"resident after 20 calls: {resident} KiB")

    assert resident < MOST_KIB


def test_thousands_of_calls_leave_no_thread_no_file_and_no_memory_behind(start: Start) -> None:
    sidecar = start("device", "--log-level", "warning")
    client = sidecar.ready()
    for _ in range(200):
        client.define(DOMAIN)
    threads, files, resident = _stable(sidecar)

    for _ in range(2000):
        client.define(DOMAIN)

    after = _stable(sidecar)
    print(f"threads, files, KiB after 200 calls: {(threads, files, resident)}; after 2,200: {after}")
    assert after[0] <= threads + 2
    assert after[1] <= files
    assert after[2] < resident + 2048


def _stable(sidecar: object) -> tuple[int, int, int]:
    from tests.hooksidecar.sidecar import Sidecar  # noqa: PLC0415

    assert isinstance(sidecar, Sidecar)
    time.sleep(0.5)  # The last connections close.
    return sidecar.status("Threads"), sidecar.files(), sidecar.status("VmRSS")


@pytest.mark.parametrize("core", ["same"])
def test_h8_info_is_answered_soon_after_the_start(start: Start, core: str) -> None:
    begun = time.monotonic()
    start(core).ready().info()
    took = time.monotonic() - begun

    print(f"from exec to Info: {took * 1000:.0f} ms")
    assert took < 5.0  # The figure is the benchmark's business; this only catches a start that hangs.
