"""Every value of an object in the place of which something of another type stands: told, and never a traceback."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.hostdev.fuzzing import DEPLOY, SCENARIOS, lint_repository

FILES = sorted((*SCENARIOS.glob("*/vm.yaml"), *DEPLOY.rglob("*.yaml")))
OTHERS: Sequence[Any] = ({"a": "b"}, [{}], 7)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from paths(value[key], (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths(item, (*path, index))


def with_other(document: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    changed = copy.deepcopy(document)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = other
    return changed


@pytest.mark.parametrize("file", FILES, ids=lambda file: "-".join(file.parts[-3:]))
def test_a_value_of_another_type_is_no_traceback(file: Path) -> None:
    documents = [one for one in yaml.safe_load_all(file.read_text()) if isinstance(one, dict)]
    for index, document in enumerate(documents):
        for path in paths(document):
            for other in OTHERS:
                changed = [*documents[:index], with_other(document, path, other), *documents[index + 1 :]]
                lint_repository(yaml.dump_all(changed, Dumper=_DUMPER).encode())


_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
