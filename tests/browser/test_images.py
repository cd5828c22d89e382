"""The pictures in docs/images: taken of the page, and taken anew by `pytest --regenerate tests/browser`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.browser.chromium import Chromium
from tests.house import ROOT

pytestmark = pytest.mark.browser

IMAGES = ROOT / "docs/images"
MOST_BYTES = 150_000


class Shot(NamedTuple):
    """What a picture is of."""

    place: str
    width: int
    height: int
    dark: bool = False


SHOTS = {
    "fleet-nodes": Shot("", 1100, 860),
    "fleet-node": Shot("#node=gpu-1", 1100, 860, dark=True),
    "fleet-why": Shot("#view=why", 1100, 560),
    "fleet-phone": Shot("#state=ready", 390, 780),
}


@pytest.mark.parametrize("name", SHOTS)
def test_the_picture_is_that_of_the_page(
    browser: Chromium, page: str, name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Fonts differ between machines; what is there, and how large it is, does not."""
    shot = SHOTS[name]
    browser.look(shot.width, shot.height, dark=shot.dark)
    browser.open(page + shot.place)
    browser.screenshot(tmp_path / f"{name}.png")
    kept = IMAGES / f"{name}.png"
    if request.config.getoption("--regenerate", default=False):
        kept.write_bytes((tmp_path / kept.name).read_bytes())
        pytest.skip("written anew")

    assert size(kept) == size(tmp_path / kept.name) == (shot.width, shot.height)
    assert kept.stat().st_size < MOST_BYTES
    assert f"images/{kept.name}" in (ROOT / "docs/fleet-page.md").read_text(encoding="utf-8")


def size(image: Path) -> tuple[int, int]:
    """Width and height of a PNG, as its first chunk has them."""
    data = image.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
