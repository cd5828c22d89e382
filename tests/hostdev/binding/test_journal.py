"""Files of the journal: read a year later, or told; and nothing is written beside one that may be open."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostdev.binding.carry import carry
from hostdev.binding.effects import Outcome
from hostdev.binding.journal import Journal
from hostdev.binding.plan import bind
from tests.hostdev.binding.hosts import DISK, core, functions, means
from tests.hostdev.cli.running import process

OTHER = "20250101T000000Z-000000"


def _document() -> dict[str, Any]:
    """A transaction as it was written once."""
    return {
        "apiVersion": "passgate.dev/v1",
        "kind": "Transaction",
        "id": OTHER,
        "what": "bind 0000:3d:02.2",
        "outcome": "done",
        "begun": "2025-01-01T00:00:00Z",
        "ended": "2025-01-01T00:00:01Z",
        "bootId": "another",
        "kernel": "6.12.0",
        "devices": [
            {
                "address": "0000:3d:02.2",
                "vendor": "0x8086",
                "device": "0x37c9",
                "subsystemVendor": None,
                "subsystemDevice": None,
                "classCode": "0x0b4000",
                "driver": "c6xxvf",
                "driverOverride": None,
                "physfn": "0000:3d:00.0",
                "numVfs": None,
                "vfAutoprobe": None,
            }
        ],
        "steps": [
            {
                "write": "/sys/bus/pci/devices/0000:3d:02.2/driver_override",
                "value": "vfio-pci",
                "why": "only vfio-pci may take it from now on",
                "device": "0000:3d:02.2",
                "state": "done",
                "expect": "vfio-pci",
            }
        ],
        "undo": [],
        "writer": {"pid": 17, "started": "4711"},
        "findings": [],
    }


def _put(directory: Path, text: str, name: str = OTHER) -> Path:
    file = directory / "journal" / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def _changed(*place: str | int, to: object) -> Callable[[], str]:
    def text() -> str:
        document = inner = _document()
        for key in place[:-1]:
            inner = inner[key]  # type: ignore[index]
        inner[place[-1]] = to  # type: ignore[index]
        return json.dumps(document)

    return text


WRONG: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "cut off": lambda: json.dumps(_document())[:200],
    "zeros, as after a power cut": lambda: "\0" * 4096,
    "not UTF-8": lambda: "\udcff",
    "a list": lambda: "[]",
    "a number": lambda: "7",
    "nested deeply": lambda: "[" * 100_000,
    "of a newer kind": _changed("apiVersion", to="passgate.dev/v2"),
    "of another kind": _changed("kind", to="Effects"),
    "with another ID": _changed("id", to="20250101T000000Z-000001"),
    "with an unknown outcome": _changed("outcome", to="perhaps"),
    "with an unknown state": _changed("steps", 0, "state", to="perhaps"),
    "with an address that is none": _changed("devices", 0, "address", to="somewhere"),
    "with a number for a text": _changed("what", to=7),
    "with a list for a driver": _changed("devices", 0, "driver", to=[]),
    "with a writer that is none": _changed("writer", to=[1]),
    "without devices": _changed("devices", to=None),
}


def test_what_was_written_a_year_ago_is_read(tmp_path: Path) -> None:
    _put(tmp_path, json.dumps(_document()))
    journal = Journal(tmp_path)

    (one,) = journal.each()
    assert (one.id, one.effects.outcome, str(one.addresses[0])) == (OTHER, Outcome.DONE, "0000:3d:02.2")
    assert journal.unreadable() == ()
    shown = process("node", "journal", "show", OTHER[:12], "--state-dir", str(tmp_path))
    assert (shown.code, "c6xxvf" in shown.out, "echo vfio-pci >" in shown.out) == (0, True, True)


@pytest.mark.parametrize("what", WRONG)
def test_a_file_that_is_no_transaction_is_told_and_nothing_is_written_beside_it(what: str, tmp_path: Path) -> None:
    file = tmp_path / "journal" / f"{OTHER}.json"
    file.parent.mkdir()
    file.write_bytes(WRONG[what]().encode("utf-8", "surrogateescape"))
    kernel = core("hgx-h100")
    plan = bind(kernel.machine, functions(kernel, DISK))

    listed = process("node", "journal", "--state-dir", str(tmp_path))
    ended = carry(plan, kernel.machine, means(kernel, tmp_path))

    assert listed.code == 0
    assert f"note: {file} is not among them: " in listed.err
    assert "Traceback" not in listed.err
    assert ended.outcome == Outcome.REFUSED
    assert {(one.code, one.subject) for one in ended.findings} == {("journal-file-unreadable", str(file))}
    assert functions(kernel, DISK)[0].driver == "nvme"


def test_one_of_a_newer_kind_says_so(tmp_path: Path) -> None:
    _put(tmp_path, WRONG["of a newer kind"]())

    (found,) = Journal(tmp_path).unreadable()

    assert found.why == 'it is "passgate.dev/v2" "Transaction", of another version'


def test_it_can_be_accepted_and_the_change_is_made(tmp_path: Path) -> None:
    _put(tmp_path, "{")
    kernel = core("hgx-h100")
    accepted = means(kernel, tmp_path)._replace(despite=frozenset({"journal-file-unreadable"}))

    ended = carry(bind(kernel.machine, functions(kernel, DISK)), kernel.machine, accepted)

    assert ended.outcome == Outcome.DONE
    assert "journal-file-unreadable" in {one.code for one in ended.findings}


def test_what_lies_there_and_is_no_file_stops_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    directory.mkdir()
    os.mkfifo(directory / f"{OTHER}.json")
    (directory / "20250101T000000Z-000001.json").mkdir()
    (directory / "20250101T000000Z-000002.json").symlink_to("/nonexistent")

    assert [one.why for one in Journal(tmp_path).unreadable()] == ["it is no transaction: it is no file"] * 3


def test_what_is_no_file_of_the_journal_is_left_out(tmp_path: Path) -> None:
    for name in ("notes.txt", f"{OTHER}.new", "copy of something.json"):
        (tmp_path / "journal").mkdir(exist_ok=True)
        (tmp_path / "journal" / name).write_text("{")

    assert (list(Journal(tmp_path).each()), Journal(tmp_path).unreadable()) == ([], ())


_VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.lists(st.integers())
    | st.dictionaries(st.text(), st.integers())
)


@given(value=_VALUES, data=st.data())
def test_whatever_stands_in_a_file_it_is_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, value: object, data: st.DataObject
) -> None:
    document = inner = _document()
    while True:
        key = data.draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
        if not isinstance(inner[key], dict | list) or not inner[key] or data.draw(st.booleans()):
            inner[key] = value
            break
        inner = inner[key]
    directory = tmp_path_factory.mktemp("journal")
    _put(directory, json.dumps(document))
    journal = Journal(directory)

    assert len(list(journal.each())) + len(journal.unreadable()) == 1
