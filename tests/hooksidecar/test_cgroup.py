"""With what KubeVirt gives to the sidecar of a VM with dedicated processors, 200m and 64M, it starts and it lasts."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.domxml.domains import FOLDER, load
from tests.domxml.large import large
from tests.hooksidecar.cgroups import MEMORY, Limited, Unavailable, limited
from tests.hooksidecar.client import Client, Failed
from tests.hooksidecar.domainhooks import ADDRESS
from tests.hooksidecar.sidecar import Sidecar, environment
from tests.house import ROOT

CALLS = 100
MIB = 1 << 20
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SMALL, VMI = load("q35-default"), (FOLDER / "q35-default.vmi.json").read_bytes()


@pytest.fixture
def group() -> Iterator[Limited]:
    try:
        with limited() as made:
            yield made
    except Unavailable as unavailable:
        pytest.skip(str(unavailable))


@pytest.fixture
def sidecar(group: Limited, mount: Path) -> Iterator[Sidecar]:
    """The real sidecar with the real core, inside."""
    given = environment(QAT0=ADDRESS) | dict(re.findall(r"(MALLOC_\w+)=(\w+)", DOCKERFILE))
    made = Sidecar(mount, "", "--host", "none", "--wait", "0", env=given)
    made.command = [*group.entering(), *made.command]
    with made:
        yield made


def test_it_starts_and_survives_a_hundred_calls_with_a_large_vm(group: Limited, sidecar: Sidecar) -> None:
    begun = time.monotonic()
    client = sidecar.ready()
    client.info()
    started = time.monotonic() - begun
    domain, vmi = large()
    assert len(domain) > 60_000

    answers = {client.define(domain, vmi) for _ in range(CALLS)}

    took = time.monotonic() - begun - started
    assert len(answers) == 1
    assert b"ua-passgate-" in answers.pop()
    lasting(group, sidecar, client)
    print(f"Info after {started:.2f} s, then {CALLS} calls of {len(domain)} bytes in {took:.1f} s")


def test_what_the_first_call_needs_is_loaded_without_keeping_info_waiting(group: Limited, sidecar: Sidecar) -> None:
    client = sidecar.ready()

    for _ in range(10):
        assert client.info()  # Within virt-launcher's second.
    assert b"ua-passgate-" in client.define(SMALL, VMI)

    lasting(group, sidecar, client)


@pytest.mark.parametrize("mebibytes", [3.9, 5, 7.9, 20, 200])
def test_a_message_of_any_size_is_not_the_end(group: Limited, sidecar: Sidecar, mebibytes: float) -> None:
    client = sidecar.ready()

    for _ in range(3):
        with pytest.raises(Failed):
            client.define(b" " * int(mebibytes * MIB), VMI)

    lasting(group, sidecar, client)


def lasting(group: Limited, sidecar: Sidecar, client: Client) -> None:
    """It is alive and serves, and the kernel ended nothing."""
    assert b"ua-passgate-" in client.define(SMALL, VMI)
    assert sidecar.process.poll() is None
    assert group.killed() == 0
    assert group.throttled() > 0  # The limit was felt: the process is inside.
    print(
        f"resident {sidecar.status('VmRSS')} KiB, of it not of files {sidecar.status('RssAnon')} KiB, "
        f"at most {sidecar.status('VmHWM')} KiB; charged at most {group.peak() // 1024} of {MEMORY // 1024} KiB"
    )


def test_twelve_large_documents_at_once_are_not_the_end(group: Limited, sidecar: Sidecar) -> None:
    client = sidecar.ready()
    filler = b"<!--" + b"x" * int(3.5 * MIB) + b"-->"
    domain = SMALL.replace(b"</domain>", filler + b"</domain>")

    def call(_: int) -> str:
        try:
            return "answered" if b"ua-passgate-" in client.define(domain, VMI) else "lost"
        except Failed as failed:
            return "busy" if "ask again later" in str(failed) else str(failed)

    with ThreadPoolExecutor(12) as pool:
        answers = Counter(pool.map(call, range(12)))

    lasting(group, sidecar, client)
    assert answers["answered"]
    assert set(answers) <= {"answered", "busy"}
