"""What the API server is asked, and what becomes of it when it is not answered or refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from domxml.errors import ExitCode, PassgateError
from domxml.text import visible

METHODS = {"get": "GET", "list": "GET", "watch": "GET", "create": "POST", "update": "PUT", "delete": "DELETE"}
ASKING_FAILED = "api-unreachable"
REFUSES = "api-refused"
LONGEST_PAUSE = 10.0
"""Seconds: an API server may name any number."""
_LONGEST = 400
_AWAY = "is it there? `kubectl get --raw /readyz` asks it; what is prepared stays prepared, and it is asked again"
_HINTS = {
    401: "the token of the service account is not taken: is the account there, is the node's clock right?",
    404: "it may be deleted already",
    409: "it was changed meanwhile: it is read again",
    410: "too old for the API server: everything is listed again",
    429: "the API server has too much to do: it is asked again later",
}
_DEFECT = "this API server does not take what passgate writes: report this sentence, and the release of Kubernetes"
_SERVER = "look at the log of the API server: it is asked again"


class Asked(NamedTuple):
    """A verb of Kubernetes, the path of what it is for, and what goes with it."""

    verb: str
    path: str
    content: Mapping[str, Any] | None = None

    @property
    def resource(self) -> str:
        """The resource of the path, such as resourceslices."""
        return self._parts()[0]

    @property
    def subject(self) -> str:
        """The resource, and which one of it."""
        metadata = (self.content or {}).get("metadata") or {}
        name = metadata.get("name") or metadata.get("generateName")
        parts = [*self._parts(), *([str(name)] if self.verb == "create" and name else [])]
        return visible("/".join(parts))

    def _parts(self) -> list[str]:
        """`/api/v1/nodes/N`, or `/apis/GROUP/V/namespaces/NS/RESOURCE/NAME`, from the resource on."""
        parts = self.path.strip("/").split("/")
        parts = parts[2 if parts[0] == "api" else 3 :]
        if parts[:1] == ["namespaces"] and len(parts) > 2:
            return [parts[2], parts[1], *parts[3:]]
        return parts or [self.path]


class ApiUnreachable(PassgateError):
    """No answer that can be used: none in time, a broken one, or none that is what was asked for."""

    exit_code = ExitCode.HOST_UNREADABLE

    def __init__(self, url: str, asked: Asked, seen: object, hint: str = _AWAY) -> None:
        what = f"the API server at {url} did not {asked.verb} it: {visible(str(seen))}"
        super().__init__(ASKING_FAILED, what, subject=asked.subject, hint=hint)


class ApiRefused(PassgateError):
    """An answer that says no."""

    exit_code = ExitCode.REFUSED

    def __init__(self, asked: Asked, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        said = f"{status} {reason}" + (f": {message}" if message else "")
        what = f"the API server refuses to {asked.verb} it, {said}"
        super().__init__(REFUSES, what, subject=asked.subject, hint=_hint(asked, status, message))
        self.status, self.reason, self.retry_after = status, reason, retry_after


class Gone(ApiRefused):
    """A version that the API server has forgotten: list again."""


def refusal_of(asked: Asked, status: int, body: bytes, pause: str = "") -> ApiRefused:
    """The error for an answer: its Status, or a beginning of whatever else it holds; `pause` is its Retry-After."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        said = {"message": body[:_LONGEST].decode("utf-8", "replace")}
    retry_after = min(float(pause), LONGEST_PAUSE) if _is_number(pause) else None
    return refusal_by_status({**said, "code": status}, asked, retry_after)


def refusal_by_status(said: Mapping[str, Any], asked: Asked, retry_after: float | None = None) -> ApiRefused:
    """The error that a Status of the API server means."""
    code = said.get("code")
    status = code if isinstance(code, int) and not isinstance(code, bool) else 0
    message = visible(" ".join(str(said.get("message") or "").split()))[:_LONGEST]
    kind = Gone if status == HTTPStatus.GONE else ApiRefused
    return kind(asked, status, visible(str(said.get("reason") or _phrase(status)))[:40], message, retry_after)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 6


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"


def _hint(asked: Asked, status: int, message: str) -> str:
    if "denied request" in message:
        return "an admission policy keeps every node to its own slices: is --node the node that the token was made for?"
    if status == HTTPStatus.FORBIDDEN:
        right = f"`{asked.verb}` on {asked.resource}"
        return f"the service account lacks the right to {right}: apply the overlay claims again"
    if status == HTTPStatus.NOT_FOUND and asked.verb in {"list", "watch", "create"}:
        return "it does not serve this version of the API: resource claims need Kubernetes 1.34 or later"
    if status in _HINTS:
        return _HINTS[status]
    return _SERVER if status >= 500 else _DEFECT
