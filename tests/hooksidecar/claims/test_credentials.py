"""The files of a pod's service account: replaced while they are used, and of no use."""

from __future__ import annotations

from pathlib import Path

import pytest

from hooksidecar.claims.apierrors import ApiRefused, ApiUnreachable
from hooksidecar.claims.apiserver import ApiServer
from hooksidecar.claims.liveslices import SLICES
from tests.apiserver.access import User
from tests.apiserver.certificates import authority
from tests.apiserver.server import ADMIN, ApiServerDouble


def test_a_token_that_was_replaced_is_read_again(api: ApiServer, double: ApiServerDouble, tmp_path: Path) -> None:
    api.list(SLICES)
    double.users = {"newer": User("admin")}
    double.service_account(tmp_path / f"account-{ADMIN}", "newer")

    assert api.list(SLICES).items == []


def test_a_token_that_is_replaced_while_it_is_used_is_read_again(
    api: ApiServer, double: ApiServerDouble, tmp_path: Path
) -> None:
    def rotate(_handler: object) -> bool:
        double.users = {"newer": User("admin")}
        double.service_account(tmp_path / f"account-{ADMIN}", "newer")
        return False

    double.fail(rotate)

    assert api.list(SLICES).items == []
    assert double.asked["list resourceslices"] == 2


def test_a_token_that_is_not_taken_is_a_refusal(api: ApiServer, double: ApiServerDouble) -> None:
    double.users = {}

    with pytest.raises(ApiRefused) as caught:
        api.list(SLICES)

    assert (caught.value.status, double.asked["list resourceslices"]) == (401, 1)
    assert "the token of the service account is not taken" in caught.value.hint


def test_an_authority_that_was_replaced_is_trusted_anew(
    api: ApiServer, double: ApiServerDouble, tmp_path: Path
) -> None:
    api.list(SLICES)
    double.stop()
    double.authority = authority(1)
    double.start()

    with pytest.raises(ApiUnreachable, match="its certificate is not to be trusted"):
        api.list(SLICES)
    double.service_account(tmp_path / f"account-{ADMIN}")

    assert api.list(SLICES).items == []


@pytest.mark.parametrize(
    ("name", "content", "seen"),
    [
        ("token", None, "token cannot be read: No such file"),
        ("token", b"", "token is empty"),
        ("token", b"a\r\nHost: elsewhere", "token is no token"),
        ("token", "ü".encode(), "token is no token"),
        ("ca.crt", None, "ca.crt cannot be read"),
        ("ca.crt", b"", "ca.crt holds no certificates"),
        ("ca.crt", b"\xff\x00", "ca.crt holds no certificates"),
        ("ca.crt", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no certificates"),
    ],
)
def test_files_that_are_of_no_use_are_named(
    api: ApiServer, tmp_path: Path, name: str, content: bytes | None, seen: str
) -> None:
    file = tmp_path / f"account-{ADMIN}" / name
    file.unlink() if content is None else file.write_bytes(content)

    with pytest.raises(ApiUnreachable, match=seen):
        api.list(SLICES)
