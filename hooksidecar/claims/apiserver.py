"""The API server, asked with deadlines: what it answers is a value, and whatever else happens a sentence.

Not by the official client: it takes three times the memory and five times the start, for models of objects that are
read here as they come.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

from domxml.errors import BadInput
from domxml.text import printable
from hooksidecar.claims.apierrors import ASKING_FAILED, METHODS, ApiUnreachable, Asked, refusal_by_status, refusal_of
from hooksidecar.claims.connection import Answer, Broken, Connections, Exchange
from hooksidecar.claims.credentials import Credentials, NoCredentials
from hostdev.jsontext import Format, parse_json

Object: TypeAlias = "dict[str, Any]"
PAGE = 16
"""Objects an answer, as a slice may have a megabyte."""
LARGEST = 16 << 20
"""Bytes of an answer."""
LARGEST_EVENT = 4 << 20
_JSON = Format("the answer", ASKING_FAILED, LARGEST)
_KINDS = frozenset({"ADDED", "MODIFIED", "DELETED", "BOOKMARK"})


class Times(NamedTuple):
    """Seconds that each may take, all in all."""

    answer: float = 10.0
    listing: float = 30.0
    watch: float = 240.0
    """The API server ends a watch then, or up to a quarter later: not those of all nodes at once."""
    silence: float = 100.0
    """The API server sends a bookmark a minute: a watch without any is dead."""


TIMES = Times()


class Listing(NamedTuple):
    """All objects, and the resource version from which a watch goes on."""

    items: list[Object]
    version: str


class Event(NamedTuple):
    """ADDED, MODIFIED or DELETED; the object of a BOOKMARK has only a version."""

    type: str
    object: Object


class ApiServer:
    """Any thread may use it, several at a time."""

    def __init__(self, url: str, credentials: Credentials, times: Times = TIMES) -> None:
        self._url, self._credentials, self._times = _checked_url(url), credentials, times
        self._lock = threading.Lock()
        self._connections: Connections | None = None
        self._ending = threading.Event()

    @classmethod
    def in_cluster(cls, directory: str | Path, url: str | None = None) -> Self:
        """As every pod finds it, or at another URL of the same cluster."""
        return cls(url or _url_in(os.environ), Credentials(directory))

    def get(self, path: str, *, within: float | None = None) -> Object:
        """Read one object."""
        return self._object(Asked("get", path), within)

    def list(self, path: str, **params: str) -> Listing:
        """Read all objects, page by page."""
        asked, until = Asked("list", path), time.monotonic() + self._times.listing
        items: list[Object] = []
        more: Mapping[str, str] = {}
        while True:
            page = self._value(asked, until, {**params, "limit": str(PAGE), **more})
            found, metadata = page.get("items") or [], page.get("metadata")
            if not isinstance(found, list) or not isinstance(metadata, dict):
                raise self._unusable(asked, "the answer is no list")
            items += [self._checked(asked, item) for item in found]
            if not metadata.get("continue"):
                return Listing(items, str(metadata.get("resourceVersion", "")))
            more = {"continue": str(metadata["continue"])}

    def watch(self, path: str, version: str, **params: str) -> Watch:
        """Follow what changes after a version; it ends by itself after some minutes, or with an error."""
        asked, lasting = Asked("watch", path), self._times.watch * random.uniform(1, 1.25)  # noqa: S311  no secret
        params |= {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version}
        answer = self._answer(asked, self._until(), {**params, "timeoutSeconds": str(max(1, round(lasting)))})
        return Watch(self._url, asked, answer, self._times.silence, lasting)

    def create(self, path: str, object_: Object) -> Object:
        """Add an object to a collection, and return it as it is stored."""
        return self._object(Asked("create", path, object_))

    def update(self, path: str, object_: Object) -> Object:
        """Replace an object in the version that it names, and return it as it is stored."""
        return self._object(Asked("update", path, object_))

    def delete(self, path: str, *, uid: str = "", version: str = "") -> None:
        """Take an object away, if it is still this one in this version."""
        wanted = {"uid": uid, "resourceVersion": version}
        preconditions = {key: value for key, value in wanted.items() if value}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        self._value(Asked("delete", path, options), self._until())

    def close(self) -> None:
        """End what is under way, and wait for nothing any more."""
        self._ending.set()
        with self._lock:
            if self._connections:
                self._connections.close()

    def _until(self, within: float | None = None) -> float:
        return time.monotonic() + (self._times.answer if within is None else within)

    def _object(self, asked: Asked, within: float | None = None) -> Object:
        return self._checked(asked, self._value(asked, self._until(within)))

    def _checked(self, asked: Asked, value: Any) -> Object:
        metadata = value.get("metadata") if isinstance(value, dict) else None
        needed = ("name", "uid", "resourceVersion")
        if not isinstance(metadata, dict) or not all(isinstance(metadata.get(key), str) for key in needed):
            raise self._unusable(asked, "the answer is no object with a name, a uid and a version")
        return dict(value)

    def _value(self, asked: Asked, until: float, params: Mapping[str, str] | None = None) -> Object:
        answer = self._answer(asked, until, params)
        return _parsed(self._url, asked, self._body(asked, answer, until))

    def _answer(self, asked: Asked, until: float, params: Mapping[str, str] | None = None) -> Answer:
        """An answer that is no refusal; where a refusal says when to ask again, so it is done."""
        while True:
            answer = self._asked_twice(asked, until, params or {})
            if 200 <= answer.status < 300:
                return answer
            body = self._body(asked, answer, until)
            refusal = refusal_of(asked, answer.status, body, answer.headers.get("retry-after", ""))
            pause = refusal.retry_after
            if pause is None or time.monotonic() + pause >= until or self._ending.wait(pause):
                raise refusal

    def _asked_twice(self, asked: Asked, until: float, params: Mapping[str, str]) -> Answer:
        """Once more where the token was replaced meanwhile, or where an idle connection had been closed."""
        try:
            token = self._credentials.token()
            try:
                answer = self._asked(asked, until, params, token)
            except Broken as broken:
                if broken.is_late or METHODS[asked.verb] != "GET":
                    raise
                answer = self._asked(asked, until, params, token)
            if answer.status == 401 and (newer := self._credentials.token()) != token:
                answer.close()
                return self._asked(asked, until, params, newer)
        except Broken as error:
            raise self._unusable(asked, error) from None
        except NoCredentials as error:
            raise ApiUnreachable(self._url, asked, error, error.hint) from None
        return answer

    def _asked(self, asked: Asked, until: float, params: Mapping[str, str], token: str) -> Answer:
        target = quote(asked.path, safe="/:") + ("?" + urlencode(params) if params else "")
        headers = {"Accept": "application/json", "Authorization": f"Bearer {token}", "User-Agent": "passgate-claims"}
        body = b""
        if asked.content is not None:
            body = json.dumps(asked.content, separators=(",", ":"), sort_keys=True).encode()
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        return self._connected().open(Exchange(METHODS[asked.verb], target, headers, body), until)

    def _connected(self) -> Connections:
        context = self._credentials.context()
        with self._lock:
            if self._connections is None or self._connections.context is not context:
                if self._connections:
                    self._connections.close()
                self._connections = Connections(self._url, context)
            return self._connections

    def _body(self, asked: Asked, answer: Answer, until: float) -> bytes:
        pieces, size = [], 0
        try:
            while piece := answer.next_piece(until):
                pieces.append(piece)
                size += len(piece)
                if size > LARGEST:
                    raise self._unusable(asked, f"the answer is longer than {LARGEST} bytes")
        except Broken as broken:
            raise self._unusable(asked, broken) from None
        finally:
            answer.close()
        return b"".join(pieces)

    def _unusable(self, asked: Asked, seen: object) -> ApiUnreachable:
        return ApiUnreachable(self._url, asked, seen)


class Watch(Iterator[Event]):
    """What changes, event by event."""

    def __init__(self, url: str, asked: Asked, answer: Answer, silence: float, lasting: float) -> None:
        self._url, self._asked, self._answer = url, asked, answer
        self._silence, self._until = silence, time.monotonic() + lasting + silence
        self._rest = b""

    def __next__(self) -> Event:
        event = None
        try:
            line = self._line()
            event = self._event(_parsed(self._url, self._asked, line)) if line else None
        except Broken as broken:
            raise self._unusable(broken) from None
        finally:
            if event is None:
                self.close()
        if event is None:
            raise StopIteration
        return event

    def interrupt(self) -> None:
        """Let another thread that waits for the next event get an error instead, or the end."""
        self._answer.interrupt()

    def close(self) -> None:
        """Give the connection up, in the thread that has read from it."""
        self._answer.close()

    def _line(self) -> bytes:
        """The next line that says something; none at the end."""
        while True:
            line, end, rest = self._rest.partition(b"\n")
            if end:
                self._rest = rest
                if line.strip():
                    return line
            elif len(self._rest) > LARGEST_EVENT:
                raise self._unusable(f"an event is longer than {LARGEST_EVENT} bytes")
            elif piece := self._answer.next_piece(min(time.monotonic() + self._silence, self._until)):
                self._rest += piece
            elif self._rest.strip():
                raise self._unusable("the answer was cut off in an event")
            else:
                return b""

    def _event(self, value: Object) -> Event:
        kind, object_ = value.get("type"), value.get("object")
        if kind == "ERROR" and isinstance(object_, dict):
            raise refusal_by_status(object_, self._asked)
        if kind not in _KINDS or not isinstance(object_, dict) or not isinstance(object_.get("metadata"), dict):
            raise self._unusable("a line of the answer is no event")
        return Event(str(kind), object_)

    def _unusable(self, seen: object) -> ApiUnreachable:
        return ApiUnreachable(self._url, self._asked, seen)


def _parsed(url: str, asked: Asked, text: bytes) -> Object:
    try:
        value = parse_json(text, _JSON)
    except BadInput as error:
        raise ApiUnreachable(url, asked, error.what) from None
    if not isinstance(value, dict):
        raise ApiUnreachable(url, asked, "the answer is no JSON object")
    return value


def _checked_url(text: str) -> str:
    try:
        url = urlsplit(text)
        is_fit = url.scheme == "https" and url.hostname and url.port != 0 and not (url.username or url.query)
    except ValueError:
        is_fit = False
    if not is_fit or not text.isascii() or not text.isprintable() or " " in text:
        hint = "such as https://10.96.0.1:443; a token is not to travel without TLS"
        raise BadInput("bad-api-server", "is no https:// URL of an API server", subject=printable(text), hint=hint)
    return text.rstrip("/")


def _url_in(environment: Mapping[str, str]) -> str:
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        hint = "kubelet sets it in every pod; elsewhere, name the API server with --api-server"
        raise BadInput("no-api-server", "KUBERNETES_SERVICE_HOST is not set", hint=hint)
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
