"""What is made of the tables: `python -m hooksidecar.monitoring.docs .` writes it into a checkout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hooksidecar.monitoring.alerts import ALERTS, prometheus_rule
from hooksidecar.monitoring.claimmetrics import CLAIM_METRICS
from hooksidecar.monitoring.dashboard import dashboard
from hooksidecar.monitoring.metrics import METRICS, Metric
from hostdev.findings.docs import table
from hostdev.printing import optional

PAGE, CLAIMS_PAGE = "docs/agent.md", "docs/claims.md"
RULE = "deploy/components/prometheusrule/prometheusrule.yaml"
DASHBOARD = "deploy/components/dashboard/dashboard.json"
MADE = "# Written by `python -m hooksidecar.monitoring.docs .`; needs the Prometheus operator.\n"


def files(root: Path) -> Mapping[str, str]:
    """Every file that is made, by its path; of the pages the tables, the rest as it is."""
    return {
        PAGE: _with_tables(root, PAGE, list(_metrics(METRICS)), list(_alerts())),
        CLAIMS_PAGE: _with_tables(root, CLAIMS_PAGE, list(_metrics(CLAIM_METRICS))),
        RULE: MADE + _yaml(prometheus_rule()),
        DASHBOARD: json.dumps(dashboard(), indent=1) + "\n",
    }


def _with_tables(root: Path, name: str, *tables: list[str]) -> str:
    page = (root / name).read_text(encoding="utf-8")
    for lines in tables:
        page = _replaced(page, lines)
    return page


def _metrics(metrics: Iterable[Metric]) -> Iterator[str]:
    rows = ((f"`{one.family}`", ", ".join(f"`{name}`" for name in one.label_names), one.meaning) for one in metrics)
    yield from table(("metric", "labels", "what it tells"), rows)


def _alerts() -> Iterator[str]:
    rows = ((f"`{one.name}`", f"`{one.expr}`", one.wait, one.severity) for one in ALERTS)
    yield from table(("alert", "expression", "for", "severity"), rows)


def _replaced(page: str, lines: list[str]) -> str:
    """The page, with a table in place of the one that has the same head."""
    before, head, rest = page.partition(f"{lines[0]}\n")
    if not head:
        raise ValueError(f"a page has no table {lines[0]}")
    after = rest.splitlines(keepends=True)
    while after and after[0].startswith("|"):
        del after[0]
    return "".join([before, *(f"{line}\n" for line in lines), *after])


def _yaml(document: Mapping[str, Any]) -> str:
    yaml = optional.module("yaml", "PyYAML", extra="cli")

    class Dumper(yaml.SafeDumper):  # type: ignore[misc, name-defined]  # it is known at run time only
        """Writes texts of several lines as such."""

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return str(yaml.dump(dict(document), Dumper=Dumper, sort_keys=False, width=1000))


if __name__ == "__main__":
    top = Path(sys.argv[1])
    for name, content in files(top).items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(content, encoding="utf-8")
