"""Who a pod is to the API server: its service account, whose files kubelet writes anew while the pod runs."""

from __future__ import annotations

import ssl
from pathlib import Path

from domxml.text import visible

LARGEST = 1 << 20


class NoCredentials(Exception):
    """The token, or the certificate of the authority, is of no use; the text says what was seen of which file."""

    hint = "is the service account of the pod mounted? look for automountServiceAccountToken"


class Credentials:
    """Reads them for every request, as a token is good for an hour and an authority may be replaced at any time."""

    def __init__(self, directory: str | Path) -> None:
        self._directory = Path(directory)
        self._authority = b""
        self._context: ssl.SSLContext | None = None

    def token(self) -> str:
        """Read the token as it is now."""
        token = self._read("token").decode("ascii", "replace").strip()
        if not token.isascii() or not token.isprintable() or not token or " " in token:
            raise self._useless("token", "is empty" if not token else f"is no token: {visible(token[:20])}…")
        return token

    def context(self) -> ssl.SSLContext:
        """The same context as long as the authority is the same: connections of another one are not to be used."""
        authority = self._read("ca.crt")
        if self._context is None or authority != self._authority:
            self._context, self._authority = self._trusting(authority), authority
        return self._context

    def _trusting(self, authority: bytes) -> ssl.SSLContext:
        # Not `create_default_context`: without any certificate it trusts those of the system.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=authority.decode("ascii"))
        except (ValueError, ssl.SSLError):
            raise self._useless("ca.crt", "holds no certificates as PEM") from None
        return context

    def _read(self, name: str) -> bytes:
        try:
            with (self._directory / name).open("rb") as file:
                content = file.read(LARGEST + 1)
        except OSError as error:
            raise self._useless(name, f"cannot be read: {error.strerror}") from None
        if len(content) > LARGEST:
            raise self._useless(name, f"is longer than {LARGEST} bytes")
        return content

    def _useless(self, name: str, what: str) -> NoCredentials:
        return NoCredentials(f"{self._directory / name} {what}")
