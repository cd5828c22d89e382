"""`passgate node vfs` on recorded machines: what would be written, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.hostdev.cli.running import Ran, host
from tests.hostdev.cli.validator import errors, schema

IGPU = host("intel-igpu")


def test_a_plan_is_a_document(cli: Callable[..., Ran]) -> None:
    ran = cli("node", "vfs", "00:02.0", "3", *IGPU, "--dry-run", "-o", "json")

    effects = json.loads(ran.out)
    assert list(errors(effects, schema("effects.json"))) == []
    assert (ran.code, effects["outcome"], len(effects["steps"])) == (0, "planned", 8)
    assert [one["code"] for one in effects["findings"]] == ["vfs-made-anew", "not-asked"]


def test_the_text_is_what_a_shell_would_do(cli: Callable[..., Ran], golden: Callable[[str, str], None]) -> None:
    settings = ("--set", "vlan=7", "--set", "0.mac=02:00:00:00:00:0a")
    ran = cli("node", "vfs", "ens1f1", "2", *host("two-socket-x710"), *settings, "--dry-run")

    assert ran.code == 0
    golden("vfs.txt", ran.out)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("00:02.0", "8"), 5, "8 VFs are asked for, and it can have 7"),
        (("00:02.1", "1"), 5, "name its PF 0000:00:02.0"),
        (("00:02.0", "3", "--set", "mac"), 2, "is no KEY=VALUE"),
        (("00:02.0", "3", "--set", "vlan=1", "--set", "vlan=2"), 2, "vlan is set twice"),
        (("00:02.0", "3", "--set", "vlam=1"), 5, "did you mean vlan?"),
        (("00:02.0", "-1"), 2, "-1"),
        (("00:02.0", "many"), 2, "COUNT"),
        (("00:02.0", "3", "--despite", "vfs-in-use"), 2, "this cannot be set aside"),
    ],
)
def test_what_is_wrong_is_said(cli: Callable[..., Ran], words: tuple[str, ...], code: int, said: str) -> None:
    ran = cli("node", "vfs", *words, *IGPU, "--dry-run")

    assert (ran.code, said in ran.out + ran.err) == (code, True), ran.out + ran.err


def test_only_the_running_machine_is_changed(cli: Callable[..., Ran]) -> None:
    ran = cli("node", "vfs", "00:02.0", "3", *IGPU, "--yes")

    assert (ran.code, "only the running machine can be changed" in ran.err) == (2, True)
