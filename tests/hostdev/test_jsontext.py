"""Reading JSON strictly: every bad text ends in a sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import BadInput
from hostdev.jsontext import MAX_DEPTH, Format, check_plain, duplicate_key, parse_json
from tests.hostdev.vmi.jsonvalues import JSON

TEXT = Format("the text", "bad-text", 4096, "text")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text: is empty"),
        (b" \n\t", "the text: is empty"),
        ("{", "the text: is not JSON: Expecting property name enclosed in double quotes (line 1, column 2)"),
        ("[1] x", "the text: is not JSON: Extra data (line 1, column 5)"),
        ("{'a': 1}", "the text: is not JSON: Expecting property name"),
        (b"\xff\xff\xff", "the text: is not UTF-8 text"),
        (b'"\xc3"', "the text: is not UTF-8 text"),
        ("[" + "9" * 4090 + "]", ""),
        ("x" * 5000, "the text: is 5000 bytes long, at most 4096 are read"),
        ('{"a": 1, "b": 2, "a": 3}', 'the text: has the key "a" twice'),
        ('[{"x": {"count": 1, "count": 1}}]', 'text[0].x: has the key "count" twice'),
        ('{"a": [NaN]}', "text.a[0]: is NaN, which JSON does not know"),
        ('{"a": -Infinity}', "text.a: is -Infinity, which JSON does not know"),
        ('{"a/b": 1e999}', 'text["a/b"]: is no finite number'),
        ('["\\ud800"]', "text[0]: holds half a character"),
        ('{"\\udfff": 1}', "the text: has a key that is no text"),
        ("[" * 2000, "the text: "),
        ("[" * 1500 + "]" * 1500, ": is nested too deep"),
        ('{"a":' * 600 + "1" + "}" * 600, ": is nested too deep"),
    ],
)
def test_a_bad_text_is_a_sentence(text: str | bytes, message: str) -> None:
    if not message:
        assert parse_json(text, TEXT) == [int("9" * 4090)]
        return
    with pytest.raises(BadInput) as refused:
        parse_json(text, TEXT)

    assert message in f": {refused.value.subject}: {refused.value.message}"
    assert refused.value.code == "bad-text"


def test_a_number_longer_than_python_reads() -> None:
    with pytest.raises(BadInput, match="holds a number that is too long"):
        parse_json("9" * 5000, Format("the text", "bad-text", 1 << 20))


def test_nesting_up_to_the_limit_is_fine() -> None:
    def nested(depth: int) -> str:
        return "[" * depth + "]" * depth

    assert parse_json(nested(MAX_DEPTH), TEXT) is not None
    with pytest.raises(BadInput, match="nested too deep"):
        parse_json(nested(MAX_DEPTH + 1), TEXT)


def test_a_half_pair_is_told_from_a_whole_one() -> None:
    assert parse_json('["\\ud83d\\ude00"]', TEXT) == ["\U0001f600"]


def test_a_value_that_holds_itself_is_looked_at_once() -> None:
    value: list[Any] = [1]
    value.append(value)

    check_plain(value, TEXT)


def test_a_value_shared_a_billion_times_is_looked_at_once() -> None:
    value: list[Any] = ["lol"]
    for _ in range(40):
        value = [value, value, value]

    check_plain(value, TEXT)


def test_twice_names_the_first() -> None:
    assert duplicate_key(["a", "b", "b", "a"]) == "a"
    assert duplicate_key(["a", "b"]) is None


@given(JSON)
def test_what_json_writes_is_read_back(value: Any) -> None:
    assert parse_json(json.dumps(value), Format("it", "bad", 1 << 20)) == value


@given(st.text() | st.binary())
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    try:
        parse_json(text, TEXT)
    except BadInput as error:
        assert error.subject.startswith(("the text", "text"))  # noqa: PT017  either way is fine
