"""The scenario pages say what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.scenarios.cases import CASES
from tests.scenarios.pages import FOLDER, PAGES, PICTURES, invented, pictures, replayed

LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_print_what_stands_below_them(page: Path) -> None:
    """`python -m tests.scenarios.pages` writes it again."""
    text = page.read_text()

    assert text == replayed(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_yaml_is_that_of_the_files(page: Path) -> None:
    assert invented(page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


def test_pictures_show_what_comes_out() -> None:
    for file, text in pictures():
        assert file.read_text() == text, file.name


def test_every_case_has_a_page_and_a_picture() -> None:
    index = (FOLDER / "README.md").read_text()

    assert {page.stem for page in PAGES} == {*PICTURES, "README"}
    assert {name for shown in PICTURES.values() for name in shown} == {case.name for case in CASES}
    for name, shown in PICTURES.items():
        text = (FOLDER / f"{name}.md").read_text()
        assert f"]({name}.md)" in index
        assert f"]({name}.svg)" in text
        assert [
            case for case in shown if f"cd tests/fixtures/scenarios/{case}" not in text and f"cd ../{case}" not in text
        ] == []
