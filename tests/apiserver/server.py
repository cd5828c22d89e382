"""An API server on a socket of this machine: HTTPS, lists and watches in versions, refusals, and faults at will.

`test_recorded.py` holds it against objects that a real one of 1.36.2 has stored. What it cannot prove: protobuf,
server-side apply, aggregation, priorities; what a real one does under load; and the rest of validation, of which it
has what concerns devices and claims.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.apiserver.access import Policies, User
from tests.apiserver.certificates import Authority, authority
from tests.apiserver.faults import Fault
from tests.apiserver.status import Refusal
from tests.apiserver.storage import RESOURCES, Change, Object, Resource, Selector, Storage

ADMIN = "a-token-of-an-admin"
_SUCCESS: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}


class ApiServerDouble:
    """Listens while the `with` block lasts."""

    def __init__(self, storage: Storage | None = None, policies: Policies | None = None) -> None:
        self.storage, self.policies = storage or Storage(), policies or Policies()
        self.users = {ADMIN: User("admin")}
        self.asked: Counter[str] = Counter()
        """How often which verb was asked for, such as `list resourceslices`."""
        self.faults: list[tuple[Fault, str]] = []
        """What happens to the next requests, one each, whose verb and resource begin so."""
        self.always: Fault | None = None
        self.bookmarks_every = 0.1
        self.drops_counters = False
        """As one without the feature gate DRAPartitionableDevices: what it does not know it does not keep."""
        self.epoch = 0
        """With another number all watches end."""
        self.authority: Authority = authority()
        self._server: ThreadingHTTPServer | None = None
        self._open: set[socket.socket] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, where it has listened before."""
        double = self

        class Handler(_Handler):
            api = double

        self._server = _Server(("127.0.0.1", self.port), Handler)
        self._server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.context.load_cert_chain(self.authority.file, self.authority.key)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Go away, with all connections."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self.cut()

    def cut(self) -> None:
        """End all connections."""
        self.epoch += 1
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        with self.storage.changed:
            self.storage.changed.notify_all()

    def fail(self, fault: Fault, times: int = 1, verb: str = "") -> None:
        """Let this happen to the next requests."""
        self.faults += [(fault, verb)] * times

    def next_fault(self, asked: str) -> Fault | None:
        """What happens to this request."""
        for number, (fault, verb) in enumerate(self.faults):
            if asked.startswith(verb):
                del self.faults[number]
                return fault
        return self.always

    def user_of(self, authorization: str) -> User:
        """Whose token it is."""
        user = self.users.get(authorization.removeprefix("Bearer "))
        if user is None:
            raise Refusal(401, "Unauthorized")
        return user

    def opened(self, connection: socket.socket) -> None:
        """A client came."""
        self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """It went."""
        self._open.discard(connection)

    def service_account(self, directory: Path, token: str = ADMIN) -> Path:
        """The files of a pod, as kubelet writes them."""
        directory.mkdir(exist_ok=True)
        (directory / "token").write_text(token)
        (directory / "ca.crt").write_text(self.authority.certificate)
        return directory


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    context: ssl.SSLContext

    def handle_error(self, *_: object) -> None:
        """A client that goes away is none."""


class _Handler(BaseHTTPRequestHandler):
    api: ApiServerDouble
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        """TLS in the client's own thread: one that says nothing holds up no other."""
        self.request.settimeout(60)
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self.api.opened(self.request)
        super().setup()

    def finish(self) -> None:
        self.api.closed(self.request)
        with self.request, contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name of the original
        """Nothing is logged."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        try:
            question = Question.of(self.command, self.path)
            asked = f"{question.verb} {question.resource.plural}"
            self.api.asked[asked] += 1
            fault = self.api.next_fault(asked)
            if fault and fault(self):
                return
            user = self.api.user_of(self.headers.get("Authorization", ""))
            user.demand(question.verb, question.resource, question.name, question.namespace)
            if question.verb == "watch":
                self._watch(question)
            else:
                code, answer = _answer(self.api, user, question, json.loads(body or b"{}"))
                self._send(code, answer)
        except Refusal as refusal:
            self._send(refusal.code, refusal.body)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  the names of the standard library

    def _send(self, code: int, answer: Mapping[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _watch(self, question: Question) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in _events(self.api, question):
            line = json.dumps(event).encode() + b"\n"
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


class Question(NamedTuple):
    """What a request asks for."""

    verb: str
    resource: Resource
    namespace: str
    name: str
    params: Mapping[str, str]

    @classmethod
    def of(cls, method: str, target: str) -> Self:
        """By method and target."""
        url = urlsplit(target)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        group, rest = ("", parts[2:]) if parts[0] == "api" else ("/".join(parts[1:2]), parts[3:])
        namespace = ""
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        resource = RESOURCES.get(rest[0] if rest else "")
        if resource is None or resource.group != group or len(rest) > 2:
            raise Refusal(404, "the server could not find the requested resource")
        params, name = dict(parse_qsl(url.query)), rest[1] if len(rest) > 1 else ""
        verbs = {"GET": "get" if name else "list", "POST": "create", "PUT": "update"}
        verb = verbs.get(method, "delete" if name else "deletecollection")
        if verb == "list" and params.get("watch") in {"1", "true"}:
            verb = "watch"
        return cls(verb, resource, namespace, name, params)

    def selector(self) -> Selector:
        """Of the fieldSelector and the labelSelector."""
        fields = list(_terms(self.params.get("fieldSelector", "")))
        labels = list(_terms(self.params.get("labelSelector", "")))
        for path, _ in fields:
            if path not in self.resource.fields:
                raise Refusal(400, f"field label not supported: {path}")
        return lambda one: (
            all(_field(one, path) == value for path, value in fields)
            and all((one["metadata"].get("labels") or {}).get(name) == value for name, value in labels)
        )


def _terms(text: str) -> Iterator[tuple[str, str]]:
    for term in filter(None, text.split(",")):
        name, _, value = term.partition("=")
        yield name, value.removeprefix("=")


def _field(one: Any, path: str) -> str:
    for step in path.split("."):
        one = (one or {}).get(step)
    return str(one or "")


def _answer(api: ApiServerDouble, user: User, question: Question, body: Object) -> tuple[int, Object]:
    storage, plural, name, namespace = api.storage, question.resource.plural, question.name, question.namespace
    if question.verb == "get":
        return 200, storage.get(plural, name, namespace)
    if question.verb == "list":
        return 200, _page(storage, question)
    if question.verb == "create":
        api.policies.demand("create", user, plural, body, None)
        if api.drops_counters:
            body.get("spec", {}).pop("sharedCounters", None)
        return 201, storage.create(plural, body, namespace)
    if question.verb == "deletecollection":
        for one in storage.select(plural, question.selector()):
            api.policies.demand("deletecollection", user, plural, None, one)
            storage.delete(plural, one["metadata"]["name"], one["metadata"].get("namespace", ""))
        return 200, _SUCCESS
    old = storage.get(plural, name, namespace)
    if question.verb == "update":
        api.policies.demand("update", user, plural, body, old)
        return 200, storage.update(plural, body, namespace)
    api.policies.demand("delete", user, plural, None, old)
    wanted = body.get("preconditions") or {}
    storage.delete(plural, name, namespace, wanted.get("uid", ""), wanted.get("resourceVersion", ""))
    return 200, _SUCCESS


def _page(storage: Storage, question: Question) -> Object:
    with storage.changed:
        token = question.params.get("continue")
        found = (
            storage.rest(token)
            if token
            else storage.select(question.resource.plural, question.selector(), question.namespace)
        )
        items, more, remaining = storage.page(found, int(question.params.get("limit", 0)))
        metadata: Object = {"resourceVersion": str(storage.version)}
        metadata |= {"continue": more, "remainingItemCount": remaining} if more else {}
        # In a list, the objects do not say what they are.
        bare = [{key: value for key, value in one.items() if key not in {"kind", "apiVersion"}} for one in items]
        kind = f"{question.resource.kind}List"
        return {"kind": kind, "apiVersion": question.resource.version, "metadata": metadata, "items": bare}


def _events(api: ApiServerDouble, question: Question) -> Iterator[Object]:
    storage, selector, epoch = api.storage, question.selector(), api.epoch
    after = int(question.params.get("resourceVersion") or storage.version)
    until = time.monotonic() + float(question.params.get("timeoutSeconds", 60))
    bookmark_at = time.monotonic() + api.bookmarks_every
    while time.monotonic() < until and api.epoch == epoch:
        try:
            with storage.changed:
                if not (changes := storage.changes(question.resource.plural, after)):
                    storage.changed.wait(min(api.bookmarks_every, max(0.01, until - time.monotonic())))
                    changes = storage.changes(question.resource.plural, after)
                now = storage.version
        except Refusal as refusal:
            yield {"type": "ERROR", "object": refusal.body}
            return
        yield from filter(None, (_event(change, selector, question) for change in changes))
        after = max(after, now)
        if question.params.get("allowWatchBookmarks") and time.monotonic() > bookmark_at:
            bookmark_at = time.monotonic() + api.bookmarks_every
            metadata = {"resourceVersion": str(after), "creationTimestamp": None}
            kind, version = question.resource.kind, question.resource.version
            yield {"type": "BOOKMARK", "object": {"kind": kind, "apiVersion": version, "metadata": metadata}}


def _event(change: Change, selector: Selector, question: Question) -> Object | None:
    if question.namespace not in {"", change.object["metadata"].get("namespace", "")}:
        return None
    is_in, was_in = selector(change.object), change.before is not None and selector(change.before)
    type_ = change.type
    if type_ == "MODIFIED" and is_in != was_in:
        type_ = "ADDED" if is_in else "DELETED"
    elif not (is_in or was_in):
        return None
    return {"type": type_, "object": change.object}
