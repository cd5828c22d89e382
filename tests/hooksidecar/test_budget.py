"""A sidecar has 64 MB and a fifth of a processor: what it loads, holds and keeps is bounded."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.domxml.domains import FOLDER, load
from tests.hooksidecar.domainhooks import ADDRESS
from tests.hooksidecar.sidecar import ROOT, Sidecar, Start, environment
from tests.hostdev.layout import lay_out
from tests.patience import SOON, until

DOMAIN, VMI = load("q35-big-10kb"), (FOLDER / "q35-big-10kb.vmi.json").read_bytes()
MACHINES = ROOT / "tests" / "fixtures" / "machines"
MOST_RESIDENT_KIB = 40 * 1024
MAY_LOAD = {"domxml", "hostdev", "hooksidecar", "grpc", "google", "lxml", "__main__"}
"""Beside the standard library."""
LEFT_OUT = {
    "asyncio",
    "calendar",
    "ssl",
    "subprocess",
    "_hashlib",
    "grpc.aio",
    "grpc_tools",
    "google.protobuf.text_format",
}
"""What grpc, protobuf and hashlib load by themselves; together that is a third of a bare server."""
HEAVY = {"argparse", "tomllib", "pathlib", "http", "email", "unittest", "sqlite3", "multiprocessing"}
"""Parts of the standard library that nobody needs there; what grpc itself loads is measured and left out."""
LIST = """
import json, sys
from hooksidecar import lean
lean.load()
{before}
before = set(sys.modules)
import threading
from hooksidecar import log, domainhook, main, options, server, unixsocket
vmi = b'{{"kind": "VirtualMachineInstance", "spec": {{}}}}'
core = main._core(options.Options())
core.define(open(sys.argv[1], "rb").read(), vmi, deadline=1e12)
calls = domainhook.Calls(lambda: core, wait=0)
server.hook_methods(calls, print, main._cloud_init(options.Options(cloud_init={cloud_init}), calls))
print(json.dumps(sorted(set(sys.modules) - {without})))
"""


FIRST_CALL = """
import json, sys
from hooksidecar import lean
lean.load()
from hooksidecar import main, options
core = main._core(options.Options(host=sys.argv[3], socket_dir=sys.argv[4]))
before = set(sys.modules)
core.define(open(sys.argv[1], "rb").read(), open(sys.argv[2], "rb").read(), deadline=1e12)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_the_first_call_loads_nothing_any_more(tmp_path: Path) -> None:
    lay_out((MACHINES / "qat.toml").read_text(), tmp_path / "host")
    (tmp_path / "userdata" / "passgate").mkdir(parents=True)
    (tmp_path / "userdata" / "passgate" / "allocation.env").write_text(f"QAT1={ADDRESS}\n")
    call = (FOLDER / "q35-default.xml", FOLDER / "q35-default.vmi.json", tmp_path / "host", tmp_path)
    said = subprocess.run(
        [sys.executable, "-c", FIRST_CALL, *map(str, call)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (said.returncode, json.loads(said.stdout)) == (0, []), said.stderr


def _loaded(before: str, *, cloud_init: bool, without: str = "before") -> set[str]:
    path = ROOT / "tests" / "fixtures" / "domains" / "q35-default.xml"
    said = subprocess.run(
        [sys.executable, "-S", "-c", LIST.format(before=before, cloud_init=cloud_init, without=without), str(path)],
        env=environment(
            PYTHONPATH=":".join([str(ROOT), str(ROOT / "xml"), *(p for p in sys.path if "site-pack" in p)])
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    return set(json.loads(said.stdout))


@pytest.mark.parametrize("cloud_init", [False, True])
def test_the_sidecar_loads_nothing_but_what_its_image_holds(*, cloud_init: bool) -> None:
    tops = {name.partition(".")[0] for name in _loaded("", cloud_init=cloud_init, without="set()")}

    # The cython modules of grpc and lxml leave such names behind.
    assert {top for top in tops - MAY_LOAD - sys.stdlib_module_names if "cython" not in top.lower()} == set()


@pytest.mark.parametrize("cloud_init", [False, True])
def test_we_load_nothing_heavy_beyond_what_grpc_loads(*, cloud_init: bool) -> None:
    loaded = _loaded("import lxml.etree", cloud_init=cloud_init)

    assert loaded & HEAVY == set()
    assert not {name for name in loaded if name.startswith("hostdev.cli.")}
    assert ("hostdev.cloudinit.hook" in loaded) is cloud_init


def test_what_libraries_load_for_others_is_left_out() -> None:
    assert _loaded("", cloud_init=True, without="set()") & LEFT_OUT == set()


def test_what_is_left_out_can_still_be_imported() -> None:
    code = "from hooksidecar import lean; lean.load(); import asyncio, _hashlib; asyncio.run(asyncio.sleep(0))"

    subprocess.run([sys.executable, "-c", code], check=True, env=environment())


def test_libraries_that_use_what_is_left_out_are_loaded_as_they_are() -> None:
    code = (
        "from hooksidecar import lean; lean.EMPTY += ('logging', 'concurrent.futures'); lean.load()\n"
        "import sys, grpc, logging; from concurrent.futures import ThreadPoolExecutor\n"
        "assert 'grpc.aio' in sys.modules\n"
        "grpc.server(ThreadPoolExecutor(1)).start()"
    )

    subprocess.run([sys.executable, "-c", code], check=True, env=environment())


def test_h8_what_only_a_call_needs_is_loaded_once_info_is_answered(start: Start) -> None:
    sidecar = start("", "--host", "none")
    client = sidecar.ready()
    assert "/lxml/" not in _mapped(sidecar)

    client.info()

    until(lambda: "/lxml/" in _mapped(sidecar))


def _mapped(sidecar: Sidecar) -> str:
    return Path(f"/proc/{sidecar.process.pid}/maps").read_text()


def test_memory_stays_below_the_limit_of_a_sidecar(start: Start) -> None:
    sidecar = start("", "--host", "none", "--wait", "0", env=environment(QAT0=ADDRESS))
    client = sidecar.ready()
    for _ in range(20):
        assert b"ua-passgate-" in client.define(DOMAIN, VMI)

    resident = sidecar.status("VmRSS")
    print(f"resident after 20 calls: {resident} KiB")

    assert resident < MOST_RESIDENT_KIB


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


def _stable(sidecar: Sidecar) -> tuple[int, int, int]:
    time.sleep(0.5)  # The last connections close.
    return sidecar.status("Threads"), sidecar.files(), sidecar.status("VmRSS")


@pytest.mark.parametrize("core", ["same"])
def test_h8_info_is_answered_soon_after_the_start(start: Start, core: str) -> None:
    begun = time.monotonic()
    start(core).ready().info()
    took = time.monotonic() - begun

    print(f"from exec to Info: {took * 1000:.0f} ms")
    assert took < SOON  # The figure is the benchmark's business; this only catches a start that hangs.
