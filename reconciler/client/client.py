"""Everything the API can do: a method for most of it, and ``ask``, ``items``, ``read`` and ``upload`` for anything that
``calls`` has.

Objects are plain JSON values as the API shows them. Errors are those of ``reconciler.errors``, rebuilt from the
server's ``Status``, besides ``http.Unreachable`` and ``http.TimedOut``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from reconciler import errors
from reconciler.client import http, statuses
from reconciler.client.call import encode, query, quote
from reconciler.client.calls import CALLS
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
#: objects of one page of a list, and how often a list is begun again
PAGE = 1000
_RESTARTS = 3


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

    def limit(self, end: float | None) -> None:
        """No answer but that of a stream is waited for after ``end`` (monotonic); None: the usual patience."""
        self._connection.limit = end

    def get(self, kind: kinds.Kind, namespace: str, name: str) -> Object:
        return self._json("GET", where(kind, namespace, name))

    def list(self, kind: kinds.Kind, namespace: str = "", labels: str = "", fields: str = "") -> Listing:
        """All objects of ``kind`` that both selectors select; ``namespace`` empty means all namespaces. They are asked
        for in pages; a list whose changes are no longer kept half-way is begun again."""
        parameters = {"labelSelector": labels, "fieldSelector": fields, "limit": str(PAGE), "continue": ""}
        items: Objects = []
        restarts = 0
        while True:
            try:
                answer = self._json("GET", where(kind, namespace) + query(parameters))
            except errors.Expired:
                restarts += 1
                if not parameters["continue"] or restarts > _RESTARTS:
                    raise
                items, parameters["continue"] = [], ""
                continue
            items += answer["items"]
            parameters["continue"] = str(answer["metadata"].get("continue") or "")
            if not parameters["continue"]:
                return Listing(items, str(answer["metadata"]["resourceVersion"]))

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
        parameters = {
            "watch": "true",
            "resourceVersion": revision,
            "labelSelector": labels,
            "fieldSelector": fields,
            "timeoutSeconds": seconds,
            "progress": "true" if progress else "",
        }
        connection = http.Connection(self._path)
        try:
            response = connection.request(
                "GET", where(kind, namespace) + query(parameters), headers=_JSON, timeout=timeout
            )
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
        parameters = {"fieldManager": manager, "force": "true" if force else "", "dryRun": "All" if dry_run else ""}
        media = "application/apply-patch+yaml" if manifest.yaml else "application/apply-patch+json"
        headers = {"Accept": "application/json", "Content-Type": media}
        target = where(kind, namespace, name) + query(parameters)
        response = _checked(self._connection.request("PATCH", target, manifest.data, headers))
        answer = json.loads(response.read())
        return Written(answer, response.headers.get("pydock-outcome", "configured"), answer.pop("plan", None))

    def delete(
        self,
        kind: kinds.Kind,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        dry_run: bool = False,
        grace: int | None = None,
    ) -> Written:
        """Asks for the removal of an object; ``uid``, when given, must be the present one's. A process is given
        ``grace`` seconds to end; None: as its spec says."""
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if dry_run:
            options["dryRun"] = ["All"]
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        answer = self._json("DELETE", where(kind, namespace, name), options)
        return Written(answer, "deleted", answer.pop("plan", None))

    def plan(self, documents: Sequence[Object], manager: str, *, delete: bool = False) -> Planned:
        """What applying (or deleting) all ``documents`` together would do; changes nothing."""
        answer = self.ask("plan", documents=list(documents), manager=manager, delete=delete)
        return Planned(answer["plan"], answer["text"])

    def act(self, action: Action, namespace: str, name: str) -> Object:
        """Stops, starts or restarts a container by hand, beside what its owner wrote."""
        return self.ask(f"override/{action}", namespace=namespace, name=name)

    def kill(self, namespace: str, name: str, signal: str) -> Object:
        """Sends a signal, by its name or number, to a container's process."""
        return self._json("POST", f"{where(kinds.CONTAINER, namespace, name)}/kill", {"signal": signal})

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
        return self.read(
            "logs", namespace=namespace, name=name, tail=tail, follow=follow, timestamps=timestamps,
            since_time=since_time, since_seconds=since_seconds or None, previous=previous, mark_with=mark_with,
        )  # fmt: skip

    def pull(self, reference: str, credentials: Credentials | None = None) -> Iterator[Object]:
        """Pulls an image, with ``credentials`` for its registry. Yields progress: ``status``, ``layer``, ``current``,
        ``total``; the last has ``digest``."""
        return self.items("pull_image", reference=reference, **_shown(credentials))

    def tags(self, repository: str, credentials: Credentials | None = None) -> Strings:
        """The tags of a repository, as its registry lists them."""
        return list(map(str, self.ask("tags", repository=repository, **_shown(credentials))["tags"]))

    def search(self, registry: str, term: str, limit: int, credentials: Credentials | None = None) -> Objects:
        """What a registry finds: ``name``, ``description``, ``stars``, ``official``."""
        found: Objects = self.ask("search", registry=registry, term=term, limit=limit, **_shown(credentials))["items"]
        return found

    def push(self, reference: str, credentials: Credentials | None = None) -> Iterator[Object]:
        """Pushes an image to its registry. Yields as ``pull`` does."""
        return self.items("push_image", reference=reference, **_shown(credentials))

    def image_load(self, pieces: Iterable[bytes], length: int | None, name: str = "") -> Iterator[Object]:
        """Sends an archive of images, ``length`` bytes (None: unknown). Yields progress as ``pull`` does; an item for
        each image has ``reference`` and ``digest``."""
        return self.upload("image_load", pieces, length, name=name)

    def image_import(
        self, reference: str, pieces: Iterable[bytes], length: int | None, config: Object, message: str = ""
    ) -> Iterator[Object]:
        """Sends the archive of a root file system, to be an image with ``config`` (``requests.archives.ImageConfig``).
        Yields as ``image_load`` does."""
        return self.upload("image_import", pieces, length, reference=reference, message=message, config=config)

    def commit(
        self, namespace: str, name: str, reference: str, config: Object, *, author: str = "", message: str = ""
    ) -> Iterator[Object]:
        """Has an image made of a container, with ``config`` (``requests.archives.ImageConfig``) beside what it has.
        Yields as ``image_load`` does; ``reference`` empty: the image gets no name, but is known by its digest."""
        given = {"reference": reference, "author": author, "message": message, "config": config}
        return self.items("commit", namespace=namespace, name=name, **given)

    def image_save(self, references: Sequence[str], *, docker: bool) -> Iterator[bytes]:
        """An archive of images, one that ``docker load`` takes too if ``docker``. Raises ``http.Cut`` if it breaks
        off."""
        return self.read("image_save", references=references, docker=docker)

    def images(self) -> Objects:
        """The images in the graph, one item a reference: ``reference`` (empty: it has none), ``digest``, ``imageId``,
        ``size``, of that ``shared`` and ``own``, ``usedBy`` (containers), ``keptBy`` (Image objects)."""
        return self._listed("images")

    def images_unused(self, *, everything: bool = False) -> Object:
        """Those that have no reference and are not used; with ``everything`` all that are not used: ``items``, and
        ``freed`` (bytes that go with all of them)."""
        return self.ask("images_unused", all=everything)

    def image(self, reference: str) -> Object:
        """One image with its configuration and layers."""
        return self.ask("image_inspect", reference=reference)

    def image_history(self, reference: str) -> Objects:
        """How an image was made, the last step first: ``created``, ``createdBy``, ``comment``, ``emptyLayer``."""
        return self._listed("image_history", reference=reference)

    def image_remove(self, references: Sequence[str], *, exact: bool = False, dry_run: bool = False) -> Object:
        """Forgets references, all or none; what was forgotten (with ``dry_run`` would be), as ``images_unused`` tells.
        ``exact``: they are as listed, the digest where there is no reference; no ids."""
        return self.ask("image_remove", references=[*references], exact=exact, dry_run=dry_run)

    def image_tree(self, reference: str = "") -> Objects:
        """Layers with their ``parent`` and the ``images`` that end in them; of one image what is below and above."""
        return self._listed("image_tree", reference=reference)

    def disk_usage(self) -> Object:
        """What takes the disk: ``images``, ``containers``, ``leftovers``, all in bytes."""
        return self.ask("system_df")

    def collectible(self) -> Object:
        """What the daemon's own collection would remove now: ``items``, ``leftovers``, ``freed``, ``lacking``."""
        return self.ask("collectible")

    def collect(self) -> Object:
        """Has it collect: ``removed`` (references) and ``freed``."""
        return self.ask("collect")

    def leftovers_remove(self, *, dry_run: bool = False) -> Object:
        """Removes what nothing needs, or tells what it is: ``items`` and ``freed``."""
        return self.ask("leftovers_remove", dry_run=dry_run)

    def system_check(self, *, repair: bool) -> Iterator[Object]:
        """Has the server look whether what it keeps is what it should be. Yields what is damaged: ``what``, ``name``,
        ``problem``, ``images``, ``containers``, ``outcome``; the last item has ``summary``."""
        return self.items("system_check", repair=repair)

    def image_tag(self, source: str, target: str) -> Object:
        """Gives an image one more reference; the image under that, as ``images`` lists it."""
        return self.ask("image_tag", source=source, target=target)

    def login(self, registry: str, credentials: Credentials) -> None:
        """Has the server ask ``registry`` whether it takes ``credentials``. Raises ``LoginNeeded`` when it does not."""
        self.ask("auth", registry=registry, **_shown(credentials))

    def login_on_host(self, scope: str, credentials: Credentials) -> None:
        """Has the server keep ``credentials`` for REGISTRY[/REPOSITORY]. Raises ``LoginNeeded`` when the registry does
        not take them."""
        self.ask("login_keep", scope=scope, **_shown(credentials))

    def logout_on_host(self, scope: str) -> bool:
        """Has the server forget what it keeps for REGISTRY[/REPOSITORY]; whether there was a login."""
        return bool(self.ask("login_remove", scope=scope)["removed"])

    def logins(self) -> Objects:
        """What the server keeps logins for: ``scope``, ``username``, ``since``, ``problem`` (why it cannot be read)."""
        return self._listed("logins")

    def events(self, key: str = "", limit: int | None = None) -> Objects:
        """What happened, oldest first; ``key`` is ``kind/namespace/name``, empty for everything."""
        return self._listed("events", key=key, limit=limit)

    def jobs(self, key: str = "", limit: int | None = None) -> Objects:
        """The journal of jobs, newest first; ``key`` as for ``events``."""
        return self._listed("jobs", key=key, limit=limit)

    def sources(self) -> Objects:
        """The sources with their files and what each holds back."""
        return self._listed("sources")

    def acknowledge(self, name: str, digest: str) -> Names:
        """Lets a source remove exactly the held set that ``digest`` names; the removed objects' keys."""
        return [str(key) for key in self.ask("ack", name=name, digest=digest)["removed"]]

    def version(self) -> Object:
        return self.ask("version")

    def ask(self, job: str, **arguments: Any) -> Object:
        """The answer of anything in ``calls``, by the name of its job."""
        call = CALLS[job]
        response = self._connection.request(call.method, call.target(arguments), call.content(arguments), _JSON)
        answer: Object = json.loads(_checked(response).read())
        return answer

    def items(self, job: str, **arguments: Any) -> Iterator[Object]:
        """The items of a streaming job. Raises the error that one of them tells."""
        call = CALLS[job]
        connection = http.Connection(self._path)
        try:
            content = call.content(arguments)
            yield from _items(connection.request(call.method, call.target(arguments), content, _JSON, timeout=None))
        finally:
            connection.close()

    def read(self, job: str, **arguments: Any) -> Iterator[bytes]:
        """The bytes that a job writes, as they come."""
        call = CALLS[job]
        connection = http.Connection(self._path)
        try:
            yield from _checked(connection.request(call.method, call.target(arguments), timeout=None)).chunks()
        finally:
            connection.close()

    def upload(self, job: str, pieces: Iterable[bytes], length: int | None, **arguments: Any) -> Iterator[Object]:
        """The items of a job that reads an archive, ``length`` bytes (None: unknown)."""
        connection = http.Connection(self._path)
        try:
            target = CALLS[job].target(arguments)
            yield from _items(connection.upload(target, pieces, length, {"Content-Type": "application/x-tar"}))
        finally:
            connection.close()

    def close(self) -> None:
        self._connection.close()

    def _listed(self, job: str, **arguments: Any) -> Objects:
        items: Objects = self.ask(job, **arguments)["items"]
        return items

    def _json(self, method: str, target: str, body: Object | None = None) -> Object:
        data = b"" if body is None else encode(body)
        answer = _checked(self._connection.request(method, target, data, _JSON)).read()
        try:
            value: Object = json.loads(answer)
        except ValueError:
            raise errors.Permanent(f"the server's answer to {method} {target} is not JSON") from None
        return value


def where(kind: kinds.Kind, namespace: str = "", name: str = "") -> str:
    """The path of an object, or of a collection when ``name`` is empty (all namespaces when that is empty too)."""
    scope = f"/namespaces/{_segment(namespace)}" if kind.namespaced and namespace else ""
    return f"{BASE}{scope}/{kind.plural}" + (f"/{_segment(name)}" if name else "")


def _segment(text: str) -> str:
    """One part of a path. What would be several, or lead elsewhere, is refused: servers unquote before they split."""
    if "/" in text or text in (".", ".."):
        raise errors.Invalid(f"{text!r} is not a name: it cannot have a '/', nor be '.' or '..'")
    return quote(text)


def _shown(credentials: Credentials | None) -> Object:
    """The member of a body that carries them."""
    if credentials is None:
        return {}
    shown = {"username": credentials.username, "password": credentials.password}
    # servers before this member know UTF-8 alone
    return {"credentials": shown if credentials.encoding == "utf-8" else {**shown, "encoding": credentials.encoding}}


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
