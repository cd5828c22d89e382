"""The page about fit says what the code says."""

from __future__ import annotations

from tests.hostdev.fit.page import PAGE, PICTURE, picture, with_tables


def test_the_tables_are_what_is_computed_now() -> None:
    text = PAGE.read_text()

    assert with_tables(text) == text
    assert text.count("| card |") == 5


def test_the_picture_is_what_is_drawn_now() -> None:
    assert picture() == PICTURE.read_text()
