"""Wrong usage: always exit code 2, one sentence, and what was probably meant."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import ExitCode, PassgateError
from hostdev.cli.commands.node import LIST
from hostdev.cli.parser import parse
from hostdev.cli.resolve import resolve
from tests.hostdev.cli.running import Ran


@pytest.mark.parametrize(
    ("line", "what", "hint"),
    [
        ("nod", "there is no command passgate nod", "did you mean passgate node?"),
        ("node lsit", "there is no command passgate node lsit", "did you mean passgate node list?"),
        ("node zzz", "there is no command passgate node zzz", "passgate node --help lists them"),
        ("--versoin", "there is no option --versoin", "did you mean --version?"),
        ("node list --hosst /", "there is no option --hosst", "did you mean --host?"),
        ("node list -z", "there is no option -z", "passgate node list --help lists the options"),
        (
            "node list --host",
            "--host needs a value: ROOT|MACHINE.toml",
            "`passgate node list --help` shows how it is used",
        ),
        ("node list -o jsn", "--output cannot be 'jsn'", "did you mean json? It is one of table, wide, csv, json"),
        ("node list -ojsn", "--output cannot be 'jsn'", "did you mean json?"),
        ("node list --fail-on info", "--fail-on cannot be 'info'", "it is one of warning, error"),
        ("node watch --count many", "--count needs a number, not 'many'", "`passgate node watch --help`"),
        ("node show", "no device is named", "a device is named by an address (3d:02.2)"),
        ("node compare a b c", "'c' is one argument too many", "`passgate node compare --help`"),
        ("completion tcsh", "SHELL cannot be 'tcsh'", "it is one of bash, zsh, fish"),
    ],
)
def test_a_mistake_is_told(line: str, what: str, hint: str, cli: Callable[..., Ran]) -> None:
    ran = cli(*line.split())

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    first, second = ran.err.splitlines()
    assert first.startswith("error: ")
    assert what in first
    assert second.startswith("hint: ")
    assert hint in second


@pytest.mark.parametrize(
    "line",
    [
        "A B --host X -o json",
        "--host X A -o json B",
        "-ojson A --host=X B",
        "A --output=json --host X -- B",
    ],
)
def test_options_and_positionals_mix(line: str) -> None:
    parsed = parse(LIST, line.split())

    assert (parsed.address, parsed.host, parsed.output) == (["A", "B"], "X", "json")


def test_inject_reads_its_arguments() -> None:
    call = resolve(["inject", "vm.xml", "--device", "3d:00.0", "--device=3d:00.1", "-o", "diff"])
    assert call.command is not None
    parsed = parse(call.command, call.rest)

    assert (parsed.domain, parsed.device, parsed.output) == ("vm.xml", ["3d:00.0", "3d:00.1"], "diff")
    assert parse(call.command, []).domain is None, "standard input, or a domain that --connect names"
    assert parse(call.command, ["-"]).device == []


def test_debug_may_stand_anywhere() -> None:
    assert resolve(["--debug", "node", "list"]).prefix == "node list"
    assert parse(LIST, ["--debug"]).debug


WORDS = st.sampled_from(
    ["node", "list", "show", "--host", "--host=/", "-o", "json", "-ojson", "--", "-", "", "--debug", "0000:3d:00.0"]
)


@given(st.lists(WORDS | st.text(max_size=8), max_size=6))
def test_no_words_lead_anywhere_else(words: list[str]) -> None:
    try:
        call = resolve(words)
        if call.command is not None and not call.help:
            parse(call.command, call.rest)
    except PassgateError as refusal:
        ending = refusal
    else:
        return
    assert ending.exit_code is ExitCode.USAGE
    assert ending.message
