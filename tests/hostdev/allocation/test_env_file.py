"""The allocation file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostdev.allocation.dialects import dialects_of
from hostdev.allocation.env_file import MAX_BYTES, EnvFile, from_env_file, parse_env_file, to_env_file
from tests.hostdev.allocation.given import A, B, codes, devices, only, the

LINES = f"""\
# what the container has
PCIDEVICE_INTEL_COM_SRIOV={A},{B}

PATH=/usr/bin:/bin
QAT0={A}
"""


@pytest.mark.parametrize(
    "data",
    [
        LINES.encode(),
        LINES.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + LINES.encode(),
        LINES.rstrip().encode(),
        "\0".join(line for line in LINES.split("\n") if not line.startswith("#")).encode(),
    ],
    ids=["lines", "crlf", "byte order mark", "no last line end", "nul"],
)
def test_variables_are_read(data: bytes) -> None:
    file = parse_env_file(data)

    assert file.variables == {"PCIDEVICE_INTEL_COM_SRIOV": f"{A},{B}", "PATH": "/usr/bin:/bin", "QAT0": A}
    assert file.findings == ()


def test_a_variable_may_be_of_a_resource_that_the_vm_does_not_ask_for() -> None:
    data = f"#passgate-resource:PCIDEVICE_INTEL_COM_SRIOV=intel.com/sriov\nPCIDEVICE_INTEL_COM_SRIOV={A}\n".encode()

    gathered = from_env_file(data, {})

    assert [allocation.resource for allocation in gathered.allocations] == ["intel.com/sriov"]
    assert gathered.findings == ()


def test_what_a_file_says_is_gathered_with_its_channel() -> None:
    gathered = from_env_file(LINES.encode(), {"intel.com/sriov": 2})

    assert devices(gathered) == [A, B]
    assert gathered.allocations[0].told_by == (
        "allocation file PCIDEVICE_INTEL_COM_SRIOV",
        "allocation file QAT0",
    )
    assert gathered.findings == ()


def test_another_channel_may_be_named() -> None:
    assert only(from_env_file(b"QAT0=3d:02.1", {}, channel="environment")).told_by == ("environment QAT0",)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('X="a b"', '"a b"'),
        ("X='a'", "'a'"),
        ("X=a=b", "a=b"),
        ("X=", ""),
        ("X= a ", " a "),
        ("X=a # b", "a # b"),
        ("X=a\\", "a\\"),
        ("X=$Y", "$Y"),
        ("X=\tä", "\tä"),
    ],
)
def test_a_value_is_taken_as_it_stands(line: str, value: str) -> None:
    file = parse_env_file(line.encode())

    assert file.variables == {"X": value}
    assert file.findings == ()


@pytest.mark.parametrize("line", ["hunter2", "export QAT0=x", " QAT0=x", "=x", "Ä=x", "QAT\x7f=x", "a\tb=c"])
def test_a_bad_line_is_told_by_its_number_alone(line: str) -> None:
    gathered = from_env_file(f"\n{line}\nQAT0={A}\n".encode(), {})

    assert devices(gathered) == [A]
    [found] = gathered.findings
    assert (found.code, found.message) == ("variable-unreadable", "not NAME=VALUE: line 2")
    assert "hunter2" not in str(found)


def test_a_bad_entry_of_an_environ_is_told_by_its_number() -> None:
    file = parse_env_file(b"A=1\0# no comment here\0B=2\0C=x\ny\0")

    assert file.variables == {"A": "1", "B": "2", "C": "x\ny"}
    assert [found.message for found in file.findings] == ["not NAME=VALUE: entry 2"]


def test_many_bad_lines_are_one_finding() -> None:
    [found] = parse_env_file(b"x\n" * 100).findings

    assert found.message == "not NAME=VALUE: line 1, 2, 3 and 97 more"


def test_the_first_of_two_values_counts() -> None:
    file = parse_env_file(b"X=1\nX=1\nX=2\n")

    assert file.variables == {"X": "1"}
    assert [found.message for found in file.findings] == [
        "sets a variable again, to another value: line 3; the first counts"
    ]


def test_a_file_that_is_too_large_is_not_read() -> None:
    gathered = from_env_file(b"QAT0=3d:02.1\n" + b"#" * MAX_BYTES, {})

    assert gathered.allocations == ()
    assert str(MAX_BYTES) in the(gathered, "allocation-file-unreadable").message


def test_the_largest_file_is_read() -> None:
    assert MAX_BYTES == 2 << 20  # as docs/dialects.md says
    start = b"QAT0=3d:02.1\n"

    assert codes(from_env_file(start + b"#" * (MAX_BYTES - len(start)), {})) == set()


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\0\0", b" \r\n"])
def test_nothing_is_nothing(data: bytes) -> None:
    assert parse_env_file(data) == EnvFile({})


@given(st.binary(max_size=300))
def test_any_bytes_are_read(data: bytes) -> None:
    gathered = from_env_file(data, {"intel.com/sriov": 1})

    for finding in gathered.findings:
        assert finding.message.isprintable()


@given(
    st.dictionaries(
        st.text("ABC_-.09", min_size=1),
        st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"])),
    )
)
def test_lines_and_nul_bytes_say_the_same(variables: dict[str, str]) -> None:
    entries = [f"{name}={value}" for name, value in variables.items()]

    assert parse_env_file("\n".join(entries).encode()) == EnvFile(variables)
    assert parse_env_file("".join(f"{entry}\0" for entry in entries).encode()) == EnvFile(variables)


NOTED = f"""\
#passgate-agent=1
#passgate-grant:qat.intel.com/sym=1
#passgate-grant:example.com/license=2
#passgate-resource:QAT0=qat.intel.com/sym
QAT0={A}
#passgate-resource:SHARED=a.b/c
#passgate-resource:SHARED=d.e/f
SHARED=x
"""


@pytest.mark.parametrize("end", ["\n", "\r\n", "\0"])
def test_the_writer_tells_whose_a_variable_is_and_what_was_granted(end: str) -> None:
    file = parse_env_file(NOTED.replace("\n", end).encode())

    assert file.resources == {"QAT0": ("qat.intel.com/sym",), "SHARED": ("a.b/c", "d.e/f")}
    assert file.grants == {"qat.intel.com/sym": 1, "example.com/license": 2}
    assert (file.variables, file.findings) == ({"QAT0": A, "SHARED": "x"}, ())


@pytest.mark.parametrize(
    "note",
    [
        "#passgate-resource:QAT0",
        "#passgate-resource:QAT0=",
        "#passgate-grant:qat.intel.com/sym",
        "#passgate-grant:qat.intel.com/sym=",
        "#passgate-grant:qat.intel.com/sym=-1",
        "#passgate-grant:qat.intel.com/sym=²",
        f"#passgate-grant:qat.intel.com/sym={'9' * 5000}",
        "#passgate-grant:with blank=1",
    ],
)
def test_a_damaged_note_is_told(note: str) -> None:
    for end in ("\n", "\0"):
        file = parse_env_file(f"QAT0={A}{end}{note}{end}".encode())

        assert (file.variables, file.resources, file.grants) == ({"QAT0": A}, {}, {})
        assert "not NAME=VALUE" in file.findings[0].message


def test_a_count_that_is_told_twice_differently_is_told() -> None:
    file = parse_env_file(b"#passgate-grant:a.b/c=1\n#passgate-grant:a.b/c=2\n")

    assert file.grants == {"a.b/c": 1}
    assert "again, to another value: line 2" in file.findings[0].message


@pytest.mark.parametrize(
    "comment", ["#passgate", "#passgate-agent=1", "#passgate-something else", "# passgate-grant:x"]
)
def test_other_comments_are_passed_over(comment: str) -> None:
    assert parse_env_file(f"{comment}\nQAT0={A}\n".encode()) == EnvFile({"QAT0": A})


NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="="), min_size=1, max_size=12)
RESOURCES = st.from_regex(r"[a-z]{1,5}\.[a-z]{1,3}/[A-Za-z0-9._-]{1,8}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@given(
    st.dictionaries(NAMES, st.tuples(VALUES, st.lists(RESOURCES, unique=True, max_size=3)), max_size=6),
    st.dictionaries(RESOURCES, st.integers(0, 4096), max_size=4),
)
def test_notes_come_back_as_they_were_written(told: dict[str, tuple[str, list[str]]], grants: dict[str, int]) -> None:
    variables = {name: value for name, (value, _) in told.items()}
    resources = {name: tuple(whose) for name, (_, whose) in told.items() if whose}

    file = parse_env_file(to_env_file(variables, resources, grants))

    assert file == EnvFile(variables, (), resources, grants)


@given(
    st.dictionaries(NAMES, st.tuples(VALUES, st.lists(RESOURCES, unique=True, max_size=3)), max_size=6),
    st.dictionaries(RESOURCES, st.integers(0, 4096), max_size=4),
)
def test_a_reader_of_0_1_0_reads_the_same_variables(
    told: dict[str, tuple[str, list[str]]], grants: dict[str, int]
) -> None:
    variables = {name: value for name, (value, _) in told.items()}

    read = reader_0_1_0(to_env_file(variables, {name: whose for name, (_, whose) in told.items()}, grants))

    assert {name: value for name, value in read.items() if not name.startswith("#passgate-")} == variables
    assert all(not dialects_of(name) for name in read.keys() - variables.keys())


def reader_0_1_0(data: bytes) -> dict[str, str]:
    """How 0.1.0 reads an allocation file; every entry must be one for it."""
    whole = b"\0" in data
    variables: dict[str, str] = {}
    for line in data.decode("utf-8-sig", errors="backslashreplace").split("\0" if whole else "\n"):
        entry = line if whole else line.removesuffix("\r")
        if not entry.strip() or (not whole and entry.startswith("#")):
            continue
        name, equals, value = entry.partition("=")
        assert equals
        assert name.isascii()
        assert name.isprintable()
        assert " " not in name
        assert variables.setdefault(name, value) == value or name.startswith("#passgate-resource:")
    return variables
