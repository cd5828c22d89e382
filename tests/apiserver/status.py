"""Refusals as the API server words them."""

from __future__ import annotations

from typing import Any

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}


class Refusal(Exception):
    """An answer that says no; `body` is its Status."""

    def __init__(self, code: int, message: str, reason: str = "", **details: Any) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason or REASONS[code]
        self.body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": self.reason,
            **({"details": details} if details else {}),
            "code": code,
        }


def not_found(what: str, name: str) -> Refusal:
    """No object of that name."""
    return Refusal(404, f'{what} "{name}" not found', name=name)


def already_exists(what: str, name: str) -> Refusal:
    """An object of that name."""
    return Refusal(409, f'{what} "{name}" already exists', "AlreadyExists", name=name)


def modified(what: str, name: str, why: str = "") -> Refusal:
    """Another version, or another object of that name."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    return Refusal(409, f'Operation cannot be fulfilled on {what} "{name}": {why}', name=name)


def expired(why: str) -> Refusal:
    """A version that is forgotten."""
    return Refusal(410, why)


def invalid(kind: str, name: str, errors: list[str]) -> Refusal:
    """What validation has found, all of it."""
    told = errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"
    return Refusal(422, f'{kind} "{name}" is invalid: {told}', name=name)
