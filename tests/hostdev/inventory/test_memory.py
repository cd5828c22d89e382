"""A recorded machine in memory answers as the directory does in which it is laid out."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domxml.errors import BadInput
from hostdev.inventory.host import LIMIT, Host
from hostdev.inventory.recorded import toml
from hostdev.inventory.recorded.memory import RecordedHost
from hostdev.inventory.recorded.recording import Entry, File, Link, Names, Recording, Unreadable
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.machines.fixtures import NAMES, fixture

HEAD = "format = 1\n"
QUESTIONS: tuple[Callable[[Host, str], Any], ...] = (
    lambda host, path: host.read_bytes(path),
    lambda host, path: host.text(path),
    lambda host, path: host.lines(path, 10),
    lambda host, path: host.names(path),
    lambda host, path: host.names(path, prefix="a"),
    lambda host, path: host.link(path),
    lambda host, path: host.link_name(path),
    lambda host, path: host.links(path),
    lambda host, path: host.links(path, "a", quiet=True),
    lambda host, path: host.node(path),
    lambda host, path: host.exists(path),
    lambda host, path: host.leads_to(path),
)
PARTS = st.sampled_from(["a", "b", "c", ".."])
PATHS = st.lists(PARTS, min_size=1, max_size=5).map(lambda parts: "/".join(["sys", *parts]))
PLAIN = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map(lambda parts: "/".join(["sys", *parts]))
ENTRIES: st.SearchStrategy[Entry] = st.one_of(
    st.builds(File, st.sampled_from([b"", b"one\n", b"a\r\nb\rc", b"\xff"])),
    st.builds(Link, st.lists(PARTS, min_size=1, max_size=4).map("/".join)),
    st.builds(Link, st.sampled_from(["a//b", "a/", "../../sys/dev/char/1:2", "sys/dev/block/8:0"])),
    st.builds(lambda names: Names(tuple(names)), st.lists(st.sampled_from(["a", "b", "d"]), max_size=3, unique=True)),
    st.builds(Unreadable, st.just("Permission denied")),
)


def _read_quickly(text: str) -> dict[str, Any] | None:
    found = toml.read_sections(text)
    if found is None:
        return None
    return {key: value.table if isinstance(value, toml.Section) else value for key, value in found.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_scan_sees_the_same_machine(name: str, tmp_path: Path) -> None:
    text = fixture(name).read_text()
    recording = layout.lay_out(text, tmp_path / "host")
    with Host(tmp_path / "host", source="x", unreadable=recording.unreadable) as host:
        laid_out = scan(host, bars=True, health=True)

    assert scan(RecordedHost(toml.parse(text), source="x"), bars=True, health=True) == laid_out


@given(st.dictionaries(PLAIN, ENTRIES, max_size=8), st.lists(PATHS, min_size=1, max_size=6))
@example({"sys/a": Link("../a/b")}, ["sys/a", "sys/a/c"])
@example({"sys/a": Link("b"), "sys/b": Link("a")}, ["sys/a/x", "sys/b"])
@example({"sys/a/b": File(b"x"), "sys/c": Link("a")}, ["sys/c/b", "sys/c", "sys/c/b/d"])
@example({"sys/a": Unreadable("Permission denied"), "sys/b": Link("a")}, ["sys/a", "sys/b", "sys/b/c"])
def test_every_question_has_the_same_answer(entries: dict[str, Entry], paths: list[str]) -> None:
    recording = Recording(entries=entries)
    try:
        layout.check(recording)
    except BadInput:
        return
    with TemporaryDirectory() as directory:
        layout.write(recording, Path(directory))
        with Host(directory, unreadable=recording.unreadable) as laid_out:
            in_memory = RecordedHost(recording, source="x")
            for path in [*paths, *entries]:
                for ask in QUESTIONS:
                    assert ask(in_memory, path) == ask(laid_out, path), path
            assert in_memory.unread == laid_out.unread
            assert in_memory.live is laid_out.live is False


def test_what_is_too_long_is_cut_and_told() -> None:
    host = RecordedHost(Recording(entries={"proc/mounts": File(b"x" * (LIMIT + 1))}), source="x")

    assert len(host.text("proc/mounts") or "") == LIMIT
    assert host.unread == (("/proc/mounts", "longer than 1 MiB, cut there"),)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read_without_all_of_toml(name: str) -> None:
    text = fixture(name).read_text()

    assert _read_quickly(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        '["sys"]\na = "1"\na = "2"\n',
        '["sys"]\n["sys"]\n',
        'machine = "x"\n["machine"]\n',
        '["sys"]\na = "1"\n b = "2"\n',
        '["sys"]\na = [\n  "x",\n]\nb = "2"\n',
        '["sys"]\na = "1" # why\n',
        '["sys"]\na = "\\u0041"\n',
        "[\"sys\"]\na = '1'\n",
        '["sys"]\na = """\nx"""\n',
        '["sys"]\na.b = "1"\n',
        '["sys"]\na = {link = "b"}\n',
        '["sys"]\r\na = "1"\r\n',
        '["sys"]\na = 1979-05-27\n',
        '["sys"]\na = "1"',
        '["sys"]\na = \n',
        "[sys]\nx = 1\n",
        "a" * 100_000,
    ],
)
def test_what_is_read_quickly_is_what_toml_says(text: str) -> None:
    found = _read_quickly(HEAD + text)

    if found is not None:
        assert found == tomllib.loads(HEAD + text)


@given(st.text(st.sampled_from('ab"[]{}=, #\n\\'), max_size=60))
def test_no_text_is_read_otherwise_than_toml_does(text: str) -> None:
    found = _read_quickly(text)

    if found is not None:
        assert found == tomllib.loads(text)
