"""Writes tests/fixtures/machines again: `python -m tests.hostdev.build_machines`."""

from __future__ import annotations

from tests.hostdev.machines import MACHINES, recorded
from tests.hostdev.machines.fixtures import FIXTURES, fixture


def main() -> None:
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for name in MACHINES:
        fixture(name).write_text(recorded(name), encoding="utf-8")


if __name__ == "__main__":
    main()
