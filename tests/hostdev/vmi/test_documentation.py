"""The page for the VM's author: its examples are right, and no key is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from domxml.errors import BadInput
from hostdev.lint.lint import lint
from hostdev.vmi.addressing import KEYS as INTERFACE_KEYS
from hostdev.vmi.addressing import NAMESERVERS, ROUTE, read_interfaces
from hostdev.vmi.annotations import DEVICE_KEYS, POLICY_KEYS, ROM_KEYS, read_devices, read_policy, requests
from hostdev.vmi.bonds import KEYS as BOND_KEYS
from hostdev.vmi.bonds import MODES, PARAMETERS, read_bonds
from hostdev.vmi.file import parse_manifest
from hostdev.vmi.request import parse_device
from hostdev.vmi.settings import SETTINGS
from tests.domxml.domains import load
from tests.domxml.guestslots import guest_of, inject, wish

PAGE = (Path(__file__).parents[3] / "docs" / "annotations.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
MANIFEST = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
ASKED = re.findall(r'"guestAddress": (\[.*?\]|".*?")', PAGE)
SENTENCES = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_is_read(text: str) -> None:
    assert _errors(text) == ()


@pytest.mark.parametrize("address", sorted(set(re.findall(r"0000:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", "".join(ASKED)))))
def test_every_guest_address_is_free_in_an_ordinary_vm(address: str) -> None:
    result = inject(load("q35-default"), wish("x", "3d:02.2", address))

    assert guest_of(result) == {"ua-passgate-x": address}
    assert "base-device-moves" not in {finding.code for finding in result.findings}


def test_every_key_has_its_row_and_is_used() -> None:
    cells = re.findall(r"^\| (`[^|]+`) \|", PAGE, re.MULTILINE)
    rows = {key for cell in cells for key in re.findall(r"`([\w.]+)`", cell)}

    assert rows == {*DEVICE_KEYS, *POLICY_KEYS, *BOND_KEYS, *INTERFACE_KEYS}
    for key in (*BOND_KEYS, *INTERFACE_KEYS, *NAMESERVERS, *ROUTE):
        assert f"`{key}`" in PAGE, key
    assert all(f"`{key}`" in PAGE for key in (*PARAMETERS, *MODES))
    for key in DEVICE_KEYS:
        assert any(f'"{key}"' in text for text in EXAMPLES), key
    assert all(f"`{key}`" in PAGE for key in ROM_KEYS)


def test_every_setting_has_its_example_on_the_command_line() -> None:
    for row in SETTINGS.values():
        if not row.which:
            assert re.search(rf"^\| `{re.escape(row.name)}`.*\| `{re.escape(row.example)}` \|$", PAGE, re.MULTILINE), (
                row
            )
            assert parse_device(f"0000:3d:02.2,{row.example}")


def test_the_manifest_has_nothing_wrong_with_it() -> None:
    assert MANIFEST is not None
    manifest = parse_manifest(MANIFEST[1].encode())

    assert [finding.code for finding in lint(manifest)] == ["sidecar-gate"]
    assert len(requests(manifest.vmi) or ()) == 1
    assert yaml.safe_load(MANIFEST[1])["kind"] == manifest.kind


def test_the_sentences_are_what_is_said() -> None:
    assert SENTENCES is not None
    wrong = '[{"device": "x", "guestAdress": ""}, {"resource": "a.b/c", "count": "two"}]'

    assert sorted(SENTENCES[1].splitlines()) == sorted(str(error) for error in read_devices(wrong).errors)


def _errors(text: str) -> tuple[BadInput, ...]:
    if not text.startswith("["):
        return read_policy(text)[1]
    if '"interfaces"' in text:
        return read_bonds(text)[1]
    return read_interfaces(text)[1] if '"addresses"' in text else read_devices(text).errors
