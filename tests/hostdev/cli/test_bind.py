"""`passgate node bind` and `unbind` on recorded machines: what would be written, what is refused, what is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostdev.cli.running import Ran, host, process
from tests.hostdev.cli.validator import errors, schema

GPU = ("01:00.0", *host("consumer-gpu"))


def _effects(ran: Ran) -> dict[str, object]:
    found: dict[str, object] = json.loads(ran.out)
    assert list(errors(found, schema("effects.json"))) == []
    return found


def test_a_group_is_planned_as_a_whole(cli: Callable[..., Ran]) -> None:
    ran = cli("node", "bind", *GPU, "--with-group", "--dry-run", "-o", "json")

    effects = _effects(ran)
    assert (ran.code, effects["outcome"]) == (0, "planned")
    steps = effects["steps"]
    assert isinstance(steps, list)
    assert len(steps) == 9
    assert {step["state"] for step in steps} == {"todo"}


def test_the_text_shows_every_member_and_every_write(
    cli: Callable[..., Ran], golden: Callable[[str, str], None]
) -> None:
    ran = cli("node", "bind", *GPU, "--with-group", "--dry-run", "--pci-ids", "tests/hostdev/cli/pci.ids")

    assert ran.code == 0
    golden("bind-group.txt", ran.out)


def test_without_consent_the_group_is_refused_with_its_members(cli: Callable[..., Ran]) -> None:
    ran = cli("node", "bind", *GPU, "--dry-run")

    assert ran.code == 5
    assert "0000:01:00.1 on snd_hda_intel" in ran.out
    assert "[group-needs-consent]" in ran.out
    assert "echo" not in ran.out


def test_a_root_disk_is_refused_without_a_line_to_copy(cli: Callable[..., Ran]) -> None:
    ran = cli("node", "bind", "nvme0n1", *host("consumer-gpu"), "--dry-run", "-o", "json")

    effects = _effects(ran)
    assert (ran.code, effects["outcome"], effects["steps"]) == (5, "refused", [])
    assert "host-root-disk" in ran.out


def test_what_is_bound_has_nothing_to_do(cli: Callable[..., Ran]) -> None:
    ran = cli("node", "bind", "00:02.1", *host("intel-igpu"), "--dry-run")

    assert ran.code == 0
    assert ran.out.endswith("nothing to do: it is so already\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "only the running machine can be changed"),
        (("--dry-run", "--despite", "pf-with-vfs"), "this cannot be set aside"),
        (("--dry-run", "--despite", "host-root-dsk"), "did you mean host-root-disk?"),
        (("--dry-run", "--deadline", "0"), "more than 0 seconds"),
        (("--dry-run", "--driver", "nouveau"), "no driver that gives devices to VMs"),
    ],
)
def test_what_cannot_be_meant_is_told(words: tuple[str, ...], said: str, cli: Callable[..., Ran]) -> None:
    ran = cli("node", "bind", *GPU, "--with-group", *words)

    assert ran.code in {2, 5}
    assert said in ran.err + ran.out


def test_an_empty_journal_is_told_and_nothing_is_made_for_it(tmp_path: Path) -> None:
    ran = process("node", "journal", "list", "--state-dir", str(tmp_path))

    assert (ran.code, ran.out) == (0, "")
    assert "no change was made yet" in ran.err
    assert not list(tmp_path.iterdir())
