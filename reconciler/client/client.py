"""Everything the API can do, one method each.

Objects are plain JSON values as the API shows them. Errors are those of ``reconciler.errors``, rebuilt from the
server's ``Status``, besides ``http.Unreachable`` and ``http.TimedOut``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from reconciler.client import http, statuses
from reconciler.model import kinds

if TYPE_CHECKING:
    from reconciler.model.credentials import Credentials

Object = dict[str, Any]
Objects = list[Object]
Strings = list[str]
Names = list[str]
Outcome = Literal["created", "configured", "unchanged"]
Action = Literal["stop", "start", "restart"]
BASE = f"/apis/{kinds.API_VERSION}"
_JSON = {"Accept": "application/json", "Content-Type": "application/json"}
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Listing(NamedTuple):
    """``revision`` is where a watch goes on from."""

    items: Objects
    revision: str


class Event(NamedTuple):
    """``type`` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Object


class Written(NamedTuple):
    """``plan`` is there after a dry run."""

    object: Object
    outcome: str
    plan: Object | None = None


class Manifest(NamedTuple):
    """The text of one document, in YAML or in JSON."""

    data: bytes
    yaml: bool = False


class Planned(NamedTuple):
    """``plan["steps"]`` empty means nothing to do; ``text`` is the plan for people."""

    plan: Object
    text: str


class Client:
    """Speaks to the server at the socket ``path``. Not for several threads at once."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection = http.Connection(path)

    def get(self, kind: kinds.Kind, namespace: str, name: str) -> Object:
        return self._json("GET", where(kind, namespace, name))

    def list(self, kind: kinds.Kind, namespace: str = "", labels: str = "", fields: str = "") -> Listing:
        """All objects of ``kind`` that both selectors select; ``namespace`` empty means all namespaces."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        answer = self._json("GET", where(kind, namespace) + _query(query))
        return Listing(answer["items"], str(answer["metadata"]["resourceVersion"]))

    def watch(
        self,
        kind: kinds.Kind,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        revision: str = "",
        timeout: float | None = None,
        *,
        progress: bool = False,
    ) -> Iterator[Event]:
        """The changes after ``revision`` as they happen, until the server ends the stream or ``timeout`` seconds pass.
        ``progress`` shows objects whose images are being pulled again and again meanwhile, with the revision they have.

        Raises ``errors.Expired`` when the server no longer has the changes since ``revision``.
        """
        seconds = "" if timeout is None else str(max(1, math.ceil(timeout)))
        query = {
            "watch": "true",
            "resourceVersion": revision,
            "labelSelector": labels,
            "fieldSelector": fields,
            "timeoutSeconds": seconds,
            "progress": "true" if progress else "",
        }
        connection = http.Connection(self._path)
        try:
            response = connection.request("GET", where(kind, namespace) + _query(query), headers=_JSON, timeout=timeout)
            for line in _checked(response).lines():
                yield _event(line)
        except http.TimedOut:
            return
        finally:
            connection.close()

    def apply(
        self,
        kind: kinds.Kind,
        namespace: str,
        name: str,
        manifest: Manifest,
        manager: str,
        *,
        force: bool = False,
        dry_run: bool = False,
    ) -> Written:
        """Declares one manager's version of an object. The server fills in the namespace if the manifest has none.

        ``force`` takes over fields that other managers set; otherwise an ``errors.Conflict`` names them.
        """
        query = {"fieldManager": manager, "force": "true" if force else "", "dryRun": "All" if dry_run else ""}
        media = "application/apply-patch+yaml" if manifest.yaml else "application/apply-patch+json"
        headers = {"Accept": "application/json", "Content-Type": media}
        target = where(kind, namespace, name) + _query(query)
        response = _checked(self._connection.request("PATCH", target, manifest.data, headers))
        answer = json.loads(response.read())
        return Written(answer, response.headers.get("pydock-outcome", "configured"), answer.pop("plan", None))

    def delete(self, kind: kinds.Kind, namespace: str, name: str, *, uid: str = "", dry_run: bool = False) -> Written:
        """Asks for the removal of an object; ``uid``, when given, must be the present one's."""
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if dry_run:
            options["dryRun"] = ["All"]
        answer = self._json("DELETE", where(kind, namespace, name), options)
        return Written(answer, "deleted", answer.pop("plan", None))

    def plan(self, documents: Sequence[Object], manager: str, *, delete: bool = False) -> Planned:
        """What applying (or deleting) all ``documents`` together would do; changes nothing."""
        body = {"documents": list(documents), "manager": manager, "delete": delete}
        answer = self._json("POST", f"{BASE}/plans", body)
        return Planned(answer["plan"], answer["text"])

    def act(self, action: Action, namespace: str, name: str) -> Object:
        """Stops, starts or restarts a container by hand, beside what its owner wrote."""
        return self._json("POST", f"{where(kinds.CONTAINER, namespace, name)}/{action}", {})

    def logs(
        self,
        namespace: str,
        name: str,
        *,
        tail: int | None = None,
        follow: bool = False,
        timestamps: bool = False,
        since_time: str = "",
        since_seconds: int = 0,
        previous: bool = False,
        mark_with: str = "",
    ) -> Iterator[bytes]:
        """A container's output in pieces; with ``follow`` until the container is gone or the caller leaves. Only
        lines from ``since_time`` (RFC 3339) or the last ``since_seconds`` on. ``previous``: of the run before the
        latest one. Lines that start with ``mark_with`` tell where another incarnation begins."""
        query = {
            "tailLines": "" if tail is None else str(tail),
            "follow": "true" if follow else "",
            "timestamps": "true" if timestamps else "",
            "sinceTime": since_time,
            "sinceSeconds": str(since_seconds) if since_seconds else "",
            "previous": "true" if previous else "",
            "markWith": mark_with,
        }
        connection = http.Connection(self._path)
        try:
            target = f"{where(kinds.CONTAINER, namespace, name)}/log{_query(query)}"
            yield from _checked(connection.request("GET", target, timeout=None)).chunks()
        finally:
            connection.close()

    def pull(self, reference: str, credentials: Credentials | None = None) -> Iterator[Object]:
        """Pulls an image, with ``credentials`` for its registry. Yields progress: ``status``, ``layer``, ``current``,
        ``total``; the last has ``digest``."""
        return self._progress(f"{BASE}/pull", {"reference": reference} | _shown(credentials))

    def tags(self, repository: str, credentials: Credentials | None = None) -> Strings:
        """The tags of a repository, as its registry lists them."""
        answer = self._json("POST", f"{BASE}/tags", {"repository": repository} | _shown(credentials))
        return list(map(str, answer["tags"]))

    def search(self, registry: str, term: str, limit: int, credentials: Credentials | None = None) -> Objects:
        """What a registry finds: ``name``, ``description``, ``stars``, ``official``."""
        query = {"registry": registry, "term": term, "limit": limit} | _shown(credentials)
        found: Objects = self._json("POST", f"{BASE}/search", query)["items"]
        return found

    def push(self, reference: str, credentials: Credentials | None = None) -> Iterator[Object]:
        """Pushes an image to its registry. Yields as ``pull`` does."""
        return self._progress(f"{BASE}/push", {"reference": reference} | _shown(credentials))

    def _progress(self, target: str, body: Object) -> Iterator[Object]:
        connection = http.Connection(self._path)
        try:
            yield from _items(connection.request("POST", target, _encode(body), _JSON, timeout=None))
        finally:
            connection.close()

    def image_load(self, pieces: Iterable[bytes], length: int | None, name: str = "") -> Iterator[Object]:
        """Sends an archive of images, ``length`` bytes (None: unknown). Yields progress as ``pull`` does; an item for
        each image has ``reference`` and ``digest``."""
        return self._upload("load", {"name": name}, pieces, length)

    def image_import(
        self, reference: str, pieces: Iterable[bytes], length: int | None, config: Object, message: str = ""
    ) -> Iterator[Object]:
        """Sends the archive of a root file system, to be an image with ``config`` (``requests.ImageConfig``). Yields as
        ``image_load`` does."""
        query = {"reference": reference, "message": message, "config": _encode(config).decode() if config else ""}
        return self._upload("import", query, pieces, length)

    def commit(
        self, namespace: str, name: str, reference: str, config: Object, *, author: str = "", message: str = ""
    ) -> Iterator[Object]:
        """Has an image made of a container, with ``config`` (``requests.ImageConfig``) beside what it has. Yields as
        ``image_load`` does; ``reference`` empty: the image gets no name, but is known by its digest."""
        body = {"reference": reference, "author": author, "message": message, "config": config}
        return self._progress(f"{where(kinds.CONTAINER, namespace, name)}/commit", body)

    def _upload(
        self, what: str, query: Mapping[str, str], pieces: Iterable[bytes], length: int | None
    ) -> Iterator[Object]:
        connection = http.Connection(self._path)
        try:
            target = f"{BASE}/graph/images/{what}{_query(query)}"
            yield from _items(connection.upload(target, pieces, length, {"Content-Type": "application/x-tar"}))
        finally:
            connection.close()

    def image_save(self, references: Sequence[str], *, docker: bool) -> Iterator[bytes]:
        """An archive of images, one that ``docker load`` takes too if ``docker``. Raises ``http.Cut`` if it breaks
        off."""
        connection = http.Connection(self._path)
        try:
            query = {"references": ",".join(references), "docker": "true" if docker else ""}
            target = f"{BASE}/graph/images/save{_query(query)}"
            yield from _checked(connection.request("GET", target, timeout=None)).chunks()
        finally:
            connection.close()

    def images(self) -> Objects:
        """The images in the graph, one item a reference: ``reference`` (empty: it has none), ``digest``, ``imageId``,
        ``size``, of that ``shared`` and ``own``, ``usedBy`` (containers), ``keptBy`` (Image objects)."""
        return self._items("graph/images", "", None)

    def images_unused(self, *, everything: bool = False) -> Object:
        """Those that have no reference and are not used; with ``everything`` all that are not used: ``items``, and
        ``freed`` (bytes that go with all of them)."""
        return self._json("GET", f"{BASE}/graph/images/unused{_query({'all': 'true' if everything else ''})}")

    def image(self, reference: str) -> Object:
        """One image with its configuration and layers."""
        return self._json("GET", f"{BASE}/graph/images/inspect{_query({'reference': reference})}")

    def image_history(self, reference: str) -> Objects:
        """How an image was made, the last step first: ``created``, ``createdBy``, ``comment``, ``emptyLayer``."""
        items: Objects = self._json("GET", f"{BASE}/graph/images/history{_query({'reference': reference})}")["items"]
        return items

    def image_remove(self, references: Sequence[str], *, exact: bool = False, dry_run: bool = False) -> Object:
        """Forgets references, all or none; what was forgotten (with ``dry_run`` would be), as ``images_unused`` tells.
        ``exact``: they are as listed, the digest where there is no reference; no ids."""
        body = {"references": [*references], "exact": exact, "dryRun": dry_run}
        return self._json("POST", f"{BASE}/graph/images/remove", body)

    def image_tree(self, reference: str = "") -> Objects:
        """Layers with their ``parent`` and the ``images`` that end in them; of one image what is below and above."""
        items: Objects = self._json("GET", f"{BASE}/graph/images/tree{_query({'reference': reference})}")["items"]
        return items

    def disk_usage(self) -> Object:
        """What takes the disk: ``images``, ``containers``, ``leftovers``, all in bytes."""
        return self._json("GET", f"{BASE}/system/df")

    def collectible(self) -> Object:
        """What the daemon's own collection would remove now: ``items``, ``leftovers``, ``freed``, ``lacking``."""
        return self._json("GET", f"{BASE}/system/collection")

    def collect(self) -> Object:
        """Has it collect: ``removed`` (references) and ``freed``."""
        return self._json("POST", f"{BASE}/system/collection", {})

    def leftovers_remove(self, *, dry_run: bool = False) -> Object:
        """Removes what nothing needs, or tells what it is: ``items`` and ``freed``."""
        return self._json("POST", f"{BASE}/system/leftovers/remove", {"dryRun": dry_run})

    def system_check(self, *, repair: bool) -> Iterator[Object]:
        """Has the server look whether what it keeps is what it should be. Yields what is damaged: ``what``, ``name``,
        ``problem``, ``images``, ``containers``, ``outcome``; the last item has ``summary``."""
        return self._progress(f"{BASE}/system/check", {"repair": repair})

    def image_tag(self, source: str, target: str) -> Object:
        """Gives an image one more reference; the image under that, as ``images`` lists it."""
        return self._json("POST", f"{BASE}/graph/images/tag", {"source": source, "target": target})

    def login(self, registry: str, credentials: Credentials) -> None:
        """Has the server ask ``registry`` whether it takes ``credentials``. Raises ``LoginNeeded`` when it does not."""
        self._json("POST", f"{BASE}/auth", {"registry": registry} | _shown(credentials))

    def login_on_host(self, scope: str, credentials: Credentials) -> None:
        """Has the server keep ``credentials`` for REGISTRY[/REPOSITORY]. Raises ``LoginNeeded`` when the registry does
        not take them."""
        self._json("POST", f"{BASE}/logins", {"scope": scope} | _shown(credentials))

    def logout_on_host(self, scope: str) -> bool:
        """Has the server forget what it keeps for REGISTRY[/REPOSITORY]; whether there was a login."""
        return bool(self._json("POST", f"{BASE}/logins/remove", {"scope": scope})["removed"])

    def logins(self) -> Objects:
        """What the server keeps logins for: ``scope``, ``username``, ``since``, ``problem`` (why it cannot be read)."""
        return self._items("logins", "", None)

    def events(self, key: str = "", limit: int | None = None) -> Objects:
        """What happened, oldest first; ``key`` is ``kind/namespace/name``, empty for everything."""
        return self._items("events", key, limit)

    def jobs(self, key: str = "", limit: int | None = None) -> Objects:
        """The journal of jobs, newest first; ``key`` as for ``events``."""
        return self._items("jobs", key, limit)

    def sources(self) -> Objects:
        """The sources with their files and what each holds back."""
        return self._items("sources", "", None)

    def acknowledge(self, name: str, digest: str) -> Names:
        """Lets a source remove exactly the held set that ``digest`` names; the removed objects' keys."""
        answer = self._json("POST", f"{BASE}/sources/ack", {"name": name, "digest": digest})
        return [str(key) for key in answer["removed"]]

    def version(self) -> Object:
        return self._json("GET", "/version")

    def close(self) -> None:
        self._connection.close()

    def _items(self, what: str, key: str, limit: int | None) -> Objects:
        query = {"object": key, "limit": "" if limit is None else str(limit)}
        items: Objects = self._json("GET", f"{BASE}/{what}{_query(query)}")["items"]
        return items

    def _json(self, method: str, target: str, body: Object | None = None) -> Object:
        data = b"" if body is None else _encode(body)
        answer: Object = json.loads(_checked(self._connection.request(method, target, data, _JSON)).read())
        return answer


def where(kind: kinds.Kind, namespace: str = "", name: str = "") -> str:
    """The path of an object, or of a collection when ``name`` is empty (all namespaces when that is empty too)."""
    scope = f"/namespaces/{_quote(namespace)}" if kind.namespaced and namespace else ""
    return f"{BASE}{scope}/{kind.plural}" + (f"/{_quote(name)}" if name else "")


def _shown(credentials: Credentials | None) -> Object:
    """The member of a body that carries them."""
    if credentials is None:
        return {}
    return {"credentials": {"username": credentials.username, "password": credentials.password}}


def _quote(text: str) -> str:
    data = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in data)


def _query(values: Mapping[str, str]) -> str:
    given = "&".join(f"{name}={_quote(value)}" for name, value in values.items() if value)
    return f"?{given}" if given else ""


def _encode(body: Object) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _checked(response: http.Response) -> http.Response:
    if response.status >= 300:
        raise statuses.error(response.status, response.read(), response.headers.get("retry-after", ""))
    return response


def _items(response: http.Response) -> Iterator[Object]:
    """The items of a job that streams. Raises the error that one of them tells."""
    for line in _checked(response).lines():
        item = json.loads(line)
        if "error" in item:
            raise statuses.rebuild(item["error"])
        yield item


def _event(line: bytes) -> Event:
    event = json.loads(line)
    if event["type"] == "ERROR":
        raise statuses.rebuild(event["object"])
    return Event(event["type"], event["object"])
