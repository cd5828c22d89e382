"""Clients of the double, with deadlines that a busy machine keeps."""

from __future__ import annotations

from pathlib import Path

from hooksidecar.claims.apiserver import ApiServer, Times
from hooksidecar.claims.credentials import Credentials
from tests.apiserver.server import ADMIN, ApiServerDouble

PATIENT = Times(answer=60, listing=60, watch=60, silence=60)


def client(double: ApiServerDouble, directory: Path, times: Times = PATIENT, user: str = ADMIN) -> ApiServer:
    """A client with a pod's files in this directory."""
    return ApiServer(double.url, Credentials(double.service_account(directory / f"account-{user}", user)), times)
