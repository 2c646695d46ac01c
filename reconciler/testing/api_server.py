"""A small server for tests of the client: HTTP over a unix socket, with a few objects in memory.

It answers as pydock's API does, at the places that the client asks; what a test wants otherwise goes to ``answers``.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import socketserver
import threading
import time
import types
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from reconciler import manifest
from reconciler.model import kinds, selectors

Object = dict[str, Any]
BASE = f"/apis/{kinds.API_VERSION}"


class Request(NamedTuple):
    """``query`` has the last of equal parameters; ``headers`` lower-case names."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Answer(NamedTuple):
    """``body`` as bytes, as a JSON value, or (for a stream) as an iterator of pieces, each sent as one chunk."""

    body: Any
    code: int = 200
    headers: Mapping[str, str] = types.MappingProxyType({})


Handler = Callable[[Request], Answer]


class Server:
    """Listens at ``path``. ``asked`` records every request; ``answers``: ``METHOD path`` → a test's own handler."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.answers: dict[str, Handler] = {}
        self.asked: list[Request] = []
        self.revision = 10
        self.watches = 0
        self._changes: list[tuple[int, str, Object]] = []
        self._changed = threading.Condition()
        self._open = True
        self._server = _Server(path, _Requests)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with self._changed:
            self._open = False
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def put(self, kind: str, name: str, *, namespace: str = "default", **parts: Any) -> Object:
        """Stores an object (``spec``, ``status``, ``labels``, other metadata in ``metadata``) and tells the watches."""
        found = kinds.find(kind)
        namespace = namespace if found.namespaced else ""
        known = self.objects.get((found.name, namespace, name))
        with self._changed:
            self.revision += 1
            made = _object(found, namespace, name, str(self.revision), known, parts)
            self.objects[found.name, namespace, name] = made
            self._tell("MODIFIED" if known else "ADDED", made)
        return made

    def remove(self, kind: str, name: str, *, namespace: str = "default") -> Object:
        """Removes an object and tells the watches."""
        found = kinds.find(kind)
        with self._changed:
            self.revision += 1
            gone = self.objects.pop((found.name, namespace if found.namespaced else "", name))
            gone = {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self.revision)}}
            self._tell("DELETED", gone)
        return gone

    def wait_for_watches(self, count: int) -> None:
        """Until so many watches have begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.watches >= count, 10), f"{self.watches} watches, not {count}"

    def last(self, method: str) -> Request:
        """The newest request with ``method``."""
        return next(request for request in reversed(self.asked) if request.method == method)

    def _tell(self, what: str, obj: Object) -> None:
        self._changes.append((self.revision, what, obj))
        self._changed.notify_all()

    def answer(self, request: Request) -> Answer:
        self.asked.append(request)
        handler = self.answers.get(f"{request.method} {request.path}")
        if handler is not None:
            return handler(request)
        parts = [urllib.parse.unquote(part) for part in request.path.removeprefix(BASE).strip("/").split("/")]
        namespace = ""
        if parts[0] == "namespaces":
            namespace, parts = parts[1], parts[2:]
        kind = next((kind for kind in kinds.KINDS if kind.plural == parts[0]), None)
        if kind is None or not request.path.startswith(BASE):
            return status(404, f"no such path {request.path}")
        if len(parts) == 1:
            return (
                self._watch(kind, namespace, request)
                if "watch" in request.query
                else self._list(kind, namespace, request)
            )
        return self._one(kind, namespace, parts[1], parts[2:], request)

    def _selected(self, kind: kinds.Kind, namespace: str, request: Request) -> Callable[[Object], bool]:
        labels = selectors.parse(request.query.get("labelSelector", ""))
        fields = selectors.parse_fields(request.query.get("fieldSelector", ""))

        def matches(obj: Object) -> bool:
            metadata = obj["metadata"]
            here = obj["kind"] == kind.name and namespace in ("", metadata.get("namespace"))
            return here and labels.matches(metadata["labels"]) and fields.matches(obj)

        return matches

    def _list(self, kind: kinds.Kind, namespace: str, request: Request) -> Answer:
        matches = self._selected(kind, namespace, request)
        with self._changed:
            items = [obj for _, obj in sorted(self.objects.items()) if matches(obj)]
            return Answer(
                {"kind": f"{kind.name}List", "metadata": {"resourceVersion": str(self.revision)}, "items": items}
            )

    def _watch(self, kind: kinds.Kind, namespace: str, request: Request) -> Answer:
        matches = self._selected(kind, namespace, request)
        end = time.monotonic() + float(request.query.get("timeoutSeconds", "3600"))

        def lines() -> Iterator[bytes]:
            seen = int(request.query["resourceVersion"])
            with self._changed:
                self.watches += 1
                self._changed.notify_all()
            while True:
                with self._changed:
                    new = [change for change in self._changes if change[0] > seen]
                    if not new and not self._changed.wait(max(end - time.monotonic(), 0)):
                        return
                    if not self._open:
                        return
                for revision, what, obj in new:
                    seen = revision
                    if matches(obj):
                        yield json.dumps({"type": what, "object": obj}).encode() + b"\n"

        return Answer(lines())

    def _one(self, kind: kinds.Kind, namespace: str, name: str, rest: list[str], request: Request) -> Answer:
        found = self.objects.get((kind.name, namespace, name))
        if request.method == "PATCH":
            return self._apply(kind, namespace, name, found, request)
        if found is None:
            return status(404, f"{kind.name.lower()}/{namespace}/{name} not found".replace("//", "/"))
        if request.method == "DELETE" and not request.json.get("dryRun"):
            self.remove(kind.name, name, namespace=namespace or "default")
        return Answer(found)

    def _apply(self, kind: kinds.Kind, namespace: str, name: str, found: Object | None, request: Request) -> Answer:
        yaml = request.headers["content-type"].endswith("+yaml")
        document = manifest.parse_yaml_body(request.body) if yaml else manifest.parse_json(request.body)
        spec = document.get("spec", {})
        outcome = "created" if found is None else "unchanged" if found["spec"] == spec else "configured"
        if found is None or (outcome != "unchanged" and "dryRun" not in request.query):
            labels = document["metadata"].get("labels", {})
            found = self.put(kind.name, name, namespace=namespace or "default", spec=spec, labels=labels)
        return Answer(found, 201 if outcome == "created" else 200, {"Pydock-Outcome": outcome})


def status(code: int, message: str, causes: Iterable[tuple[str, str]] = (), **details: Any) -> Answer:
    """A Status; ``causes`` are (field, message)."""
    listed = [{"field": field, "message": text} for field, text in causes]
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "details": {**({"causes": listed} if listed else {}), **details},
        "code": code,
    }
    return Answer(body, code)


def _object(
    kind: kinds.Kind, namespace: str, name: str, revision: str, known: Object | None, parts: dict[str, Any]
) -> Object:
    before = known or {}
    return {
        "apiVersion": kinds.API_VERSION,
        "kind": kind.name,
        "metadata": {
            "name": name,
            **({"namespace": namespace} if namespace else {}),
            "uid": before.get("metadata", {}).get("uid", f"uid-{revision}"),
            "generation": 1,
            "resourceVersion": revision,
            "creationTimestamp": "2025-01-01T00:00:00Z",
            "labels": parts.get("labels", before.get("metadata", {}).get("labels", {})),
            "annotations": {},
            **parts.get("metadata", {}),
        },
        "spec": parts.get("spec", before.get("spec", {})),
        "status": parts.get("status", before.get("status", {})),
    }


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    owner: Server


class _Requests(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _do(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, path, dict(urllib.parse.parse_qsl(query)), headers, body)
        try:
            self._send(self.server.owner.answer(request))
        except ConnectionError:
            self.close_connection = True

    do_GET = do_POST = do_PATCH = do_DELETE = _do

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.code)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if isinstance(answer.body, Iterator):
            self._stream(answer.body)
            return
        data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, pieces: Iterator[bytes]) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for piece in pieces:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def served(directory: Path) -> Iterator[Server]:
    """A server at ``directory/api.sock``."""
    server = Server(str(directory / "api.sock"))
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def scripted(directory: Path, *answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A socket that answers each connection's first request with the next of ``answers``, byte by byte as given, and
    closes it. Gives the socket's path and the list of what was received."""
    path = str(directory / "raw.sock")
    received: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(8)

        def serve() -> None:
            for answer in answers:
                with contextlib.suppress(OSError), listener.accept()[0] as connection:
                    received.append(connection.recv(1 << 20))
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield path, received
        thread.join(10)
