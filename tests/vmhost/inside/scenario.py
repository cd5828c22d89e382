"""What a scenario is: a function with a docstring that runs on the passthrough host, and the table of all of them."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    # Scenarios are listed where there is no libvirt, and run where there is one.
    from tests.vmhost.inside.bench import Bench

Run = Callable[["Bench"], None]

_TABLE: dict[str, Run] = {}
_THOROUGH: set[str] = set()


class Mismatch(Exception):
    """The host did something else than the scenario says."""


class Row(NamedTuple):
    """A prediction, and what became of it."""

    tried: str
    predicted: str
    said: str
    """By the kernel, libvirt and QEMU, word for word."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a scenario: a line of the results."""

    name: str
    passed: bool
    details: str
    seconds: float
    rows: tuple[Row, ...] = ()

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Outcome:
        """Read one line."""
        fields = json.loads(line)
        return cls(**fields | {"rows": tuple(Row(*row) for row in fields["rows"])})


def scenario(function: Run) -> Run:
    """Enter a function into the table; its docstring says what it shows."""
    if not function.__doc__:
        raise TypeError(f"{function.__name__} does not say what it shows")
    if function.__name__ in _TABLE:
        raise TypeError(f"there are two scenarios {function.__name__}")
    _TABLE[function.__name__] = function
    return function


def thorough(function: Run) -> Run:
    """It takes minutes: `make test-host` runs it, and `make test` does not."""
    _THOROUGH.add(function.__name__)
    return function


def is_thorough(name: str) -> bool:
    """Whether it is one of those."""
    return name in _THOROUGH & all_scenarios().keys()


def all_scenarios() -> dict[str, Run]:
    """Every scenario of the `scenarios_*.py` beside this file, in their order."""
    for path in sorted(Path(__file__).parent.glob("scenarios_*.py")):
        importlib.import_module(f"{__package__}.{path.stem}")
    return dict(_TABLE)


def expect(truth: object, otherwise: str) -> None:
    """Go on where it holds; end the scenario with a sentence where it does not."""
    if not truth:
        raise Mismatch(re.sub(r"\n+$", "", otherwise))
