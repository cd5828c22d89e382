"""Debian's Prometheus as the judge: promtool, and a server that scrapes processes on this machine."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pytest

from hooksidecar.monitoring.metrics import Kind, Metric
from tests.patience import PATIENCE


def skip_without() -> None:
    """Skip a test where the judge is not installed."""
    for program in ("promtool", "prometheus"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian package prometheus)")


def promtool(*words: str | Path, input: str = "") -> str:  # noqa: A002  subprocess calls it so
    """What it says; it must be content."""
    done = subprocess.run(["promtool", *words], input=input, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def series_name(metric: Metric) -> str:
    """What a query calls it; of a histogram the buckets."""
    return f"{metric.name}_bucket" if metric.kind is Kind.HISTOGRAM else metric.family


def target_labels(number: int, pod: str = "", program: str = "passgate-agent") -> dict[str, str]:
    """The labels that the component `podmonitor` brings about."""
    return {
        "job": f"passgate/{program}",
        "instance": f"192.0.2.{number}:9841",
        "namespace": "passgate",
        "node": f"node-{number}",
        "pod": pod or f"{program}-{number:05}",
    }


class Prometheus:
    """A server that scrapes what listens on these ports each second while the `with` block lasts."""

    def __init__(self, directory: Path, ports: Mapping[int, Mapping[str, str]], rules: Mapping[str, Any]) -> None:
        (directory / "rules.yml").write_text(json.dumps(rules))
        targets = [{"targets": [f"127.0.0.1:{port}"], "labels": labels} for port, labels in ports.items()]
        job = {"job_name": "passgate", "static_configs": targets}
        times = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config = {"global": times, "rule_files": ["rules.yml"], "scrape_configs": [job]}
        (directory / "prometheus.yml").write_text(json.dumps(config))
        self._targets = len(ports)
        self._directory = directory
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        words = [
            "prometheus",
            f"--config.file={self._directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--web.listen-address={self._address}",
        ]
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            self._wait_for_scrapes()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def query(self, text: str) -> list[dict[str, Any]]:
        """The series that answer a query now."""
        result = self.ask("query", query=text)["result"]
        assert isinstance(result, list)
        return result

    def ask(self, what: str, **parameters: str) -> Any:
        """What its API answers."""
        url = f"http://{self._address}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            told = json.load(answer)
        assert told["status"] == "success", told
        return told["data"]

    def _wait_for_scrapes(self) -> None:
        end = time.monotonic() + PATIENCE
        while not self._has_scraped():
            assert self._process.poll() is None, (self._directory / "log").read_text()
            assert time.monotonic() < end, (self._directory / "log").read_text()
            time.sleep(0.2)

    def _has_scraped(self) -> bool:
        try:
            return len(self.query("sum_over_time(up[1m]) >= 3")) == self._targets
        except OSError:
            return False
