"""The agent's flags: each is a field, each mistake a sentence and exit 2."""

from __future__ import annotations

import pytest

from domxml.errors import BadInput
from hooksidecar.agent.options import OPTIONS, PROGRAM, Options, parse
from hostdev.helptext import command_text
from tests.hooksidecar.agent.process import run


def test_every_flag_is_a_field_and_every_field_a_flag() -> None:
    assert sorted(option.dest for option in OPTIONS) == sorted(Options._fields)


def test_switches_and_values() -> None:
    assert parse(["--once", "--kubelet-dir=/k", "--host", "none", "--observe"]) == Options(
        kubelet_dir="/k", host="none", observe=True, once=True
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--onc"], "there is no option --onc"),
        (["--listen", ":1", "--listen", ":2"], "--listen is given twice: ':1' and ':2'"),
        (["--once=yes"], "--once takes no value"),
        (["--kubelet-dir"], "--kubelet-dir needs a value: DIR"),
        (["--log-level", "loud"], "--log-level cannot be 'loud'"),
        (["--once", "--listen", ":1"], "--once ends at once"),
        (["--expect", "no-iommo"], "--expect: there is no"),
        (["--expect", "no-iommu,"], "--expect: there is no"),
        (["--offer"], "--offer offers what a NodeState file names, and there is none"),
        (["--offer", "--manage", "/f", "--once"], "--once ends at once"),
        (["--manage", "/f", "--observe"], "--manage changes the node, and --observe changes nothing"),
        (["--manage", "/f", "--host", "/host"], "--manage changes the running node"),
        (["--host", "none", "--features-dir", "/f"], "--node-hook-socket and --features-dir tell of a host"),
    ],
)
def test_a_mistake_is_a_sentence(words: list[str], says: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse(words)

    assert refused.value.message.startswith(says)
    assert refused.value.hint


def test_help_names_every_flag() -> None:
    said = run("--help")

    assert (said.returncode, said.stderr, said.stdout) == (0, "", command_text(PROGRAM))
    assert all(option.names[0] in said.stdout for option in OPTIONS)


def test_a_mistake_ends_in_2_without_a_traceback() -> None:
    said = run("--listen", "nowhere", "--host", "none")

    assert said.returncode == 2
    assert said.stderr.splitlines()[0] == "error: nowhere: is not ADDR:PORT [bad-listen]"


@pytest.mark.parametrize("word", ["--version", "-V", "version"])
def test_version(word: str) -> None:
    assert run(word).stdout.startswith("passgate ")
