"""The page of error texts: it is that of the tables, texts lead to their rows, the commands it names are there."""

from __future__ import annotations

import re
import shlex

import pytest

from domxml.finding import FindingKind
from hooksidecar.log import start
from hostdev.cli.commands.table import COMMANDS
from hostdev.findings.boot import STEPS
from hostdev.findings.docs import SPEAKERS, speaker, text
from hostdev.findings.explain import EXPLAINED, LOOK, explain, show_template, words_of
from hostdev.findings.registry import ALL
from hostdev.findings.rules import TROUBLES, WRITTEN
from hostdev.findings.trouble import Trouble
from tests.hostdev.texts import match_codes
from tests.house import ROOT

PAGE = ROOT / "docs/troubleshooting.md"
ROW = re.compile(r"^\| `(.*)` \| \[(.*?)\]\((.*?)\): (.*) \| `(.*)` \|$", re.MULTILINE)
TEXTS = [(template, row) for row in EXPLAINED.values() for template in row.says]
HOST_DEVICE = "HostDevice intel.com/qat is not permitted in permittedHostDevices configuration"
ALLOCATE = (
    "Allocate failed due to requested number of devices unavailable for intel.com/qat. Requested: 1, Available: 0"
)
PEOPLE_PASTE = {
    "Failed to collect all expected sidecar hook sockets within given timeout": "hook-sockets-missing",
    "Missing 'mode' attribute on domain hostdev": "plugin-drops-mode",
    "vfio 0000:3d:02.2: failed to open /dev/vfio/43: No such file or directory": "address-not-allocated",
    "open /dev/vfio/43: no such file or directory": "address-not-allocated",
    "vfio_container_dma_map(0x5600, 0x0, 0x80000000, 0x7f00) = -12 (Cannot allocate memory)": "memlock-not-raised",
    "vfio_pin_pages_remote: RLIMIT_MEMLOCK (65536) exceeded": "memlock-not-raised",
    "0/3 nodes are available: 3 Insufficient qat.intel.com/generic.": "resource-insufficient",
    f"UnexpectedAdmissionError {ALLOCATE}, which is unexpected": "allocate-failed",
    f"failed to render launch manifest: {HOST_DEVICE}": "device-not-permitted",
    "allocation-missing: qat.intel.com/generic: nothing was allocated": "allocation-missing",
    "panic: timed out waiting for domain to be defined": "domain-not-defined",
}
VALUES = {
    "DEVICE": "0000:3b:00.0",
    "GROUP": "12",
    "UUID": "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001",
    "vfioN": "vfio3",
    "DOMAIN/NAME": "a.b/c",
}


def test_the_page_is_that_of_the_tables() -> None:
    assert PAGE.read_text(encoding="utf-8") == text(), "run: python -m hostdev.findings.docs docs"


def test_every_text_has_its_line() -> None:
    lines = {(found[1].replace("\\|", "|"), found[3]) for found in ROW.finditer(text())}

    assert lines == {
        (show_template(template), f"findings/{row.code}.md" if row.code in ALL else f"#{row.code}")
        for template, row in (*TEXTS, *((words, EXPLAINED[rule.code]) for rule in WRITTEN for words in rule.words))
    }


@pytest.mark.parametrize("found", ROW.findall(text()), ids=lambda found: found[0][:60])
def test_explain_knows_every_text(found: tuple[str, ...]) -> None:
    said, title, place, hint, _ = found
    codes = match_codes(
        re.sub(r"\b(DEVICE|GROUP|UUID|vfioN|DOMAIN/NAME)\b", lambda word: VALUES[word[0]], said.replace("\\|", "|"))
    )
    row = EXPLAINED[re.sub(r"findings/|\.md|#", "", place)]

    assert row.code in codes or "(*if*" in hint or any(row.code in rule.over for rule in WRITTEN)
    assert (title, hint.startswith(row.hint.replace("|", "\\|"))) == (row.title, True)
    if isinstance(row, FindingKind):
        assert (ROOT / "docs" / place).is_file()
    else:
        assert f"\n### {row.code}\n" in text()


@pytest.mark.parametrize("name", ["troubleshooting.md", "manifest.md", "findings/errors.md", "findings/README.md"])
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / "docs" / name
    links = set(re.findall(r"\]\((?!#)([^)#]+)", page.read_text(encoding="utf-8")))

    assert {link for link in links if not (page.parent / link).exists()} == set()


@pytest.mark.parametrize("pasted", PEOPLE_PASTE)
def test_what_people_paste(pasted: str) -> None:
    assert PEOPLE_PASTE[pasted] in match_codes(pasted)


def test_every_speaker_speaks() -> None:
    assert {speaker(template) for template, _ in TEXTS} == set(SPEAKERS)


@pytest.mark.parametrize(
    ("code", "who"),
    [
        ("group-not-viable", "QEMU"),
        ("no-interrupt-remapping", "kernel"),
        ("sidecar-gate", "KubeVirt"),
        ("guest-address-taken", "libvirt"),
        ("resource-insufficient", "scheduler"),
        ("hook-late", "sidecar"),
    ],
)
def test_texts_are_with_their_speaker(code: str, who: str) -> None:
    assert any(who in speaker(template) for template in EXPLAINED[code].says)


def test_the_commands_are_there() -> None:
    ours = [command for command in LOOK.values() if command.startswith("passgate ")]
    assert ours
    for command in ours:
        words = shlex.split(command)[1:]

        assert any(" ".join(words[:count]) in COMMANDS for count in (1, 2, 3)), command
    assert set(LOOK) == {*ALL, *(trouble.code for trouble in (*TROUBLES, *STEPS))}


def test_the_words_of_our_logs_are_in_the_source() -> None:
    source = "\n".join(file.read_text() for file in (ROOT / "hooksidecar").rglob("*.py"))
    source += (ROOT / "hostdev/cli/main.py").read_text()
    for code in ("hook-late", "hook-defect", "defined-already", "no-inotify"):
        for template in EXPLAINED[code].says:
            assert template.removeprefix('"msg": ') in source, template


def test_a_log_line_is_written_as_the_page_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    from hooksidecar import log  # noqa: PLC0415

    start("info")
    log.error("late", doing="asking nobody")

    assert match_codes(capsys.readouterr().err) == ("hook-late",)


@pytest.mark.parametrize("row", TROUBLES, ids=lambda row: row.code)
def test_a_trouble_is_complete(row: Trouble) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", row.code)
    assert words_of(row)
    assert all((row.title, row.cause, row.hint, row.remedy, row.look))
    assert not row.title.endswith(".")
    assert not row.hint.endswith(".")
    for part in (row.title, row.cause, row.hint, row.remedy, *map(show_template, words_of(row))):
        assert part in explain(row.code)
