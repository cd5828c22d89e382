"""A look at the host in a child: what it answers, and what becomes of one that does not come back."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from domxml.errors import BadInput
from hostdev.binding.child import look_in_child
from tests.hostdev.machines.fixtures import picture
from tests.patience import PATIENCE, SOON


def _wrong() -> None:
    raise BadInput("bad-usage", "it is wrong")


def _late() -> str:
    time.sleep(PATIENCE)
    return "late"


def test_a_machine_comes_back_as_it_was_seen() -> None:
    machine = picture("hgx-h100")

    assert look_in_child(lambda: machine, 20) == machine


def test_a_look_that_does_not_come_back_is_given_up() -> None:
    begun = time.monotonic()

    assert look_in_child(_late, 0.1) is None
    assert time.monotonic() - begun < SOON


def test_what_goes_wrong_there_is_told_as_ever() -> None:
    with pytest.raises(BadInput, match="it is wrong"):
        look_in_child(_wrong, 20)


def test_a_look_that_hangs_holds_no_socket_of_ours(tmp_path: Path) -> None:
    """Its caller would find a listener, and wait for an answer for ever."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(path)
        listening.listen()

        assert look_in_child(_late, 0.3) is None
        listening.close()

        with pytest.raises(ConnectionRefusedError):
            client.connect(path)
