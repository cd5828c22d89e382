"""The getters: a value of the right type, None for what is absent, and an error that names the place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from hostdev.jsonutil import JsonObject, join_path, list_of_objects, show_value

FIELDS = {
    "text": "abc",
    "two": "two",
    "number": 7,
    "negative": -1,
    "half": 0.5,
    "huge": 10**5000,
    "yes": True,
    "null": None,
    "list": [1],
    "texts": ["a", "b"],
    "mixed": ["a", 1],
    "objects": [{"x": 1}],
    "object": {"inner": "x", "bad": 1},
    "size": "4Gi",
    "address": "0000:3d:02.2",
}
VALUE = JsonObject(FIELDS, "root", "bad-thing")


def test_what_is_there() -> None:
    assert VALUE.get_str("text") == "abc"
    assert VALUE.get_int("number") == 7
    assert VALUE.get_int("negative", -5) == -1
    assert VALUE.get_bool("yes") is True
    assert VALUE.get_strings("texts") == ("a", "b")
    assert VALUE.get_object("object").get_str("inner") == "x"
    assert VALUE.get_objects("objects")[0].get_int("x") == 1
    assert VALUE.get_quantity("size") == 4 << 30
    assert VALUE.get_quantity("number") == 7
    assert VALUE.get_quantity("half", scale=1000) == 500
    assert VALUE.get_parsed("address", PciAddress.parse) == PciAddress(0, 0x3D, 2, 2)
    assert JsonObject({"a": {"x": "1", "y": "2"}}, "", "").get_texts("a") == {"x": "1", "y": "2"}


@pytest.mark.parametrize("key", ["absent", "null"])
def test_what_is_not_there(key: str) -> None:
    assert VALUE.get_str(key) is None
    assert VALUE.get_int(key) is None
    assert VALUE.get_bool(key) is None
    assert VALUE.get_quantity(key) is None
    assert VALUE.get_parsed(key, PciAddress.parse) is None
    assert VALUE.get_strings(key) == ()
    assert VALUE.get_objects(key) == ()
    assert VALUE.get_object(key).fields == {}
    assert VALUE.get_texts(key) == {}
    assert not VALUE.has(key)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: VALUE.get_str("number"), "root.number: must be text, is 7"),
        (lambda: VALUE.get_str("object"), "root.object: must be text, is an object"),
        (lambda: VALUE.get_int("two"), 'root.two: must be a whole number, is "two"'),
        (lambda: VALUE.get_int("yes"), "root.yes: must be a whole number, is true"),
        (lambda: VALUE.get_int("half"), "root.half: must be a whole number, is 0.5"),
        (lambda: VALUE.get_int("negative"), "root.negative: must be 0 or more, is -1"),
        (lambda: VALUE.get_int("number", 1, 5), "root.number: must be between 1 and 5, is 7"),
        (lambda: VALUE.get_int("huge"), "root.huge: must be 0 or more, is a number that is too large"),
        (lambda: VALUE.get_bool("text"), 'root.text: must be true or false, is "abc"'),
        (lambda: VALUE.get_object("list"), "root.list: must be an object, is a list"),
        (lambda: VALUE.get_objects("object"), "root.object: must be a list of objects, is an object"),
        (lambda: VALUE.get_objects("texts"), 'root.texts[0]: must be an object, is "a"'),
        (lambda: VALUE.get_strings("text"), 'root.text: must be a list, is "abc"'),
        (lambda: VALUE.get_strings("mixed"), "root.mixed[1]: must be text, is 1"),
        (lambda: VALUE.get_texts("object"), "root.object.bad: must be text, is 1"),
        (lambda: VALUE.get_quantity("yes"), "root.yes: must be a quantity, is true"),
        (lambda: VALUE.get_quantity("two"), "root.two: 'two' is not a quantity"),
        (lambda: VALUE.get_quantity("huge"), "root.huge: 'a number that is too large' is not a quantity"),
        (lambda: VALUE.get_parsed("text", PciAddress.parse), "root.text: 'abc' is not a PCI address"),
        (lambda: list_of_objects({}, "here", "bad-thing"), "here: must be a list of objects, is an object"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(read: Callable[[], Any], message: str) -> None:
    with pytest.raises(BadInput) as refused:
        read()

    assert str(refused.value).startswith(f"bad-thing: {message}")


def test_a_place_is_a_path() -> None:
    assert join_path("", "spec") == "spec"
    assert join_path("a", "b-c_d") == "a.b-c_d"
    assert join_path("limits", "intel.com/nic") == 'limits["intel.com/nic"]'


def test_a_long_value_is_cut() -> None:
    assert show_value("x" * 1000) == '"' + "x" * 59 + "…"
    assert show_value("ä\n") == '"ä\\n"'
