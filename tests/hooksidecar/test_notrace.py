"""An answer that does not go out settles nothing: the next call is as free to refuse as if there had been none."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from tests.domxml.domains import FOLDER, load
from tests.hooksidecar.client import Client, Failed
from tests.hooksidecar.domainhooks import SMALL
from tests.hooksidecar.sidecar import Sidecar, Start
from tests.hooksidecar.wirebytes import message

DOMAIN = load("q35-default")
BROKEN = b"<domain"
QAT = Path(__file__).parent.parent / "fixtures" / "machines" / "qat.toml"


def wishing() -> bytes:
    """A VMI that wants what only an allocation file can name."""
    vmi = json.loads((FOLDER / "q35-default.vmi.json").read_bytes())
    vmi["spec"]["domain"]["resources"] = {"limits": {"qat.intel.com/generic": "1"}}
    return json.dumps(vmi).encode()


def allocate(mount: Path) -> None:
    """Write what the node agent writes."""
    file = mount / "userdata" / "passgate" / "allocation.env"
    file.parent.mkdir(parents=True)
    file.write_text("QAT0=0000:3d:02.2\n")


def is_still_first(sidecar: Sidecar, client: Client, vmi: bytes) -> None:
    """The real core refuses before its first success, and never after it."""
    with pytest.raises(Failed, match="malformed-xml"):
        client.define(BROKEN, vmi)
    assert b"ua-passgate-" in client.define(DOMAIN, vmi)
    assert client.define(BROKEN, vmi) == BROKEN
    assert [line["pass"] for line in sidecar.said("answered")] == [1, 1]


def test_a_call_whose_deadline_passed_leaves_the_next_one_the_first(start: Start) -> None:
    sidecar = start("slow")
    client = sidecar.ready()
    with pytest.raises(Failed) as failed:
        client.define(DOMAIN, timeout=0.3)
    assert failed.value.code is grpc.StatusCode.DEADLINE_EXCEEDED

    client.define(DOMAIN)

    assert [line["pass"] for line in sidecar.said("answered")] == [1]


def test_a_cancelled_call_leaves_the_next_one_the_first(start: Start, mount: Path) -> None:
    sidecar = start("", "--host", str(QAT), "--wait", "10")
    client = sidecar.ready()
    with begun(sidecar, message(f1=DOMAIN, f2=wishing())) as running:
        time.sleep(0.3)
        running.cancel()
        allocate(mount)
        time.sleep(0.5)

    is_still_first(sidecar, client, wishing())


def test_an_answer_that_is_too_large_leaves_the_next_one_the_first(start: Start) -> None:
    sidecar = start("grow")
    client = sidecar.ready()
    with pytest.raises(Failed, match="answer-too-large"):
        client.define(DOMAIN)

    client.define(SMALL)

    assert [line["pass"] for line in sidecar.said("answered")] == [1]


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.05, 0.1, 0.2])  # The core takes 0.5 s.
def test_at_whatever_moment_a_call_is_cancelled_it_does_not_count(start: Start, moment: float) -> None:
    sidecar = start("slow")
    client = sidecar.ready()
    with begun(sidecar, message(f1=DOMAIN)) as running:
        time.sleep(moment)
        running.cancel()

    client.define(DOMAIN)

    assert [line["pass"] for line in sidecar.said("answered")] == [1]


@contextmanager
def begun(sidecar: Sidecar, request: bytes) -> Iterator[grpc.Future[bytes]]:
    """A call under way on a channel of its own."""
    with grpc.insecure_channel(f"unix:{sidecar.path}") as channel:
        yield channel.unary_unary("/kubevirt.hooks.v1alpha3.Callbacks/OnDefineDomain", bytes, bytes).future(request)
