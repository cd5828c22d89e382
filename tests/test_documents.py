"""The documents say what is so: commands print what stands below them, and what is named is there."""

from __future__ import annotations

import re

import pytest

from domxml.errors import MEANINGS
from hostdev.cli.commands.table import COMMANDS
from tests.consoles import DOCUMENTS, replayed
from tests.hookcall import watch_call
from tests.house import ROOMS, ROOT, file_of, packages, room_of

NAMED = re.compile(r"`([\w.-]+/[\w./-]*|[A-Z][\w-]+\.md|Makefile|Dockerfile)`|^([a-z]+/[\w/]*)(?= )", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
ELSEWHERE = (
    *("build/", "userdata/", "hooks.kubevirt.io/", "passgate.dev/", "default/", "nvidia.com/", "qat.intel.com/"),
    *("plugins/", "units.passgate.dev/", "resource.k8s.io/", "resource.kubernetes.io/"),
)
"""Made by a run, or in a pod, or no file at all."""


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_print_what_stands_below_them(name: str) -> None:
    """`python -m tests.consoles` writes it again."""
    text = (ROOT / name).read_text()

    assert text == replayed(text)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_named_is_there(name: str) -> None:
    text = (ROOT / name).read_text()
    named = {match[1] or match[2] for match in NAMED.finditer(text)}
    named = {path for path in named if not path.startswith(ELSEWHERE)}
    linked = {str((ROOT / name).parent / link) for link in LINK.findall(text)}

    assert {path for path in named | linked if not (ROOT / path).exists()} == set()


def test_the_readme_has_every_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert {int(code): meaning.replace("`", "") for code, meaning in rows} == MEANINGS


def test_the_readme_has_every_command() -> None:
    text = (ROOT / "README.md").read_text()

    assert {name for name in COMMANDS if f"`passgate {name}" not in text} == set()


MAP = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_map_has_every_package_in_order() -> None:
    """And every room that is one module."""
    ordered = sorted(packages(), key=lambda name: (ROOMS.index(room_of(name)), name))

    assert _rows("The packages in order") == [file_of(name) for name in ordered]


def test_the_values_of_the_map_stand_where_it_says() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([\w./]+)` \|", _section("The values that flow"), re.MULTILINE)

    assert len(rows) > 10
    for value, file in rows:
        assert re.search(rf"^(class )?{value}\b", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), value


def test_the_spine_of_a_hook_call_is_what_runs() -> None:
    spine = re.findall(r"^\d\. `([\w./]+)`", _section("One hook call, file by file"), re.MULTILINE)

    assert 0 < len(spine) <= 8
    assert {str(ROOT / file) for file in spine} - watch_call().files == set()


def _section(title: str) -> str:
    """What stands below a heading, up to the next one of any level."""
    return re.split(r"\n#+ ", MAP.partition(f"# {title}\n")[2])[0]


def _rows(title: str) -> list[str]:
    return re.findall(r"^\| `([\w./]+)` \|", _section(title), re.MULTILINE)
