"""YAML as kubectl reads it: what a scalar means, keys, places, and what is refused."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import BadInput
from hostdev.jsontext import Format
from hostdev.vmi.yamltext import Document, plain, position, read_yaml

FORMAT = Format("file", "bad-vmi", 1 << 20)


def documents(text: str) -> list[Document]:
    return list(read_yaml(text.encode(), FORMAT))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2019-12-18T10:44:37Z", "2019-12-18T10:44:37Z"),
        ("2001-99-99", "2001-99-99"),
        ("0000:00:05.0", "0000:00:05.0"),
        ("12:30:45", "12:30:45"),
        ("02:11:22:33:44:55", "02:11:22:33:44:55"),
        ("n", False),
        ("Off", False),
        ("y", True),
        ("on", True),
        ("~", None),
        ("", None),
        ("0777", 511),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b101", 5),
        ("-0x10", -16),
        ("08", 8),
        ("1_000", 1000),
        ("+5", 5),
        ("1e3", 1000),
        ("2.0", 2),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1),
        ("4Gi", "4Gi"),
        ("1.2.3", "1.2.3"),
        ("-", "-"),
        ("yEs", "yEs"),
    ],
)
def test_what_a_scalar_without_quotes_means(text: str, value: Any) -> None:
    assert plain(text) == value
    assert type(plain(text)) is type(value)


def test_quotes_make_text() -> None:
    assert documents("a: 'n'\nb: \"5\"\nc: !!str 5\nd: |\n  no\ne: >-\n  on\n")[0].value == {
        "a": "n",
        "b": "5",
        "c": "5",
        "d": "no\n",
        "e": "on",
    }


def test_keys_become_text() -> None:
    assert documents("on: 1\n5: 2\nn: 3\n1.5: 4")[0].value == {"true": 1, "5": 2, "false": 3, "1.5": 4}


def test_every_place_is_kept() -> None:
    (document,) = documents("a:\n  - b: 1\n    c: {d: 2}\n  -  e\n")
    value, marks = document.value, document.marks

    assert position(marks[id(value)]["a"]) == (1, 1)
    assert position(marks[id(value["a"])][0]) == (2, 5)
    assert position(marks[id(value["a"])][1]) == (4, 6)
    assert position(marks[id(value["a"][0])]["c"]) == (3, 5)
    assert position(marks[id(value["a"][0]["c"])]["d"]) == (3, 9)


def test_a_key_that_is_there_twice_is_told_with_both_places() -> None:
    (document,) = documents("spec:\n  a: 1\n  b: 2\n  a: 3")
    (repeated,) = document.repeated

    assert (repeated.path, repeated.key) == ("spec", "a")
    assert (position(repeated.mark), position(repeated.first)) == ((4, 3), (2, 3))
    assert document.value == {"spec": {"a": 3, "b": 2}}


def test_a_merge_brings_its_places_along() -> None:
    (document,) = documents("x: &x {q: 1, r: 2}\nz:\n  <<: *x\n  r: 3")

    assert document.value["z"] == {"r": 3, "q": 1}
    assert position(document.marks[id(document.value["z"])]["q"])[0] == 1
    assert document.repeated == ()


def test_documents_before_a_broken_one_are_read() -> None:
    read = read_yaml(b"a: 1\n---\nb: [", FORMAT)

    assert next(read).value == {"a": 1}
    with pytest.raises(BadInput, match="is not YAML"):
        next(read)


@given(st.text("-:{}[]&*!|>'\"\n\t aklm<0~?,#%", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadInput):
        assert None not in [document.value for document in documents(text)]
