"""The objects of one kind: collections and single ones."""

from __future__ import annotations

import functools
from typing import Any

import falcon

from reconciler import errors
from reconciler.api import body, connection, streams
from reconciler.api.fronts.native import aiming, query, replies
from reconciler.api.fronts.native.query import Query
from reconciler.api.problems import Refused
from reconciler.ipc import EngineClient
from reconciler.model import kinds
from reconciler.requests import objects as requests
from reconciler.requests import table
from reconciler.requests.declaration import routes

_LIST = frozenset(
    {
        "labelSelector",
        "fieldSelector",
        "watch",
        "resourceVersion",
        "resourceVersionMatch",
        "timeoutSeconds",
        "limit",
        "continue",
        "allowWatchBookmarks",
        "progress",
        "pretty",
    }
)
_GET = frozenset({"resourceVersion", "pretty"})
_WRITE = frozenset({"fieldManager", "fieldValidation", "dryRun", "pretty"})
_DELETE = frozenset({"dryRun", "gracePeriodSeconds", "propagationPolicy", "pretty"})
_DELETE_OPTIONS = frozenset(
    {
        "kind",
        "apiVersion",
        "dryRun",
        "preconditions",
        "gracePeriodSeconds",
        "propagationPolicy",
    }
)
#: the longest terminationGracePeriodSeconds of a container
_GRACE_MOST = 86_400
_PROPAGATION = ("", "Background", "Foreground", "Orphan")


def resources(engine: EngineClient, open_streams: streams.Streams) -> dict[str, Any]:
    """Path → what answers it, for every kind."""
    found: dict[str, Any] = {}
    for route in routes(table.ASKS["list"]):
        assert route.kind is not None
        found[route.path] = Reading(engine, open_streams, route.kind)
    for route in routes(table.ASKS["post"]):
        assert route.kind is not None
        found[route.path] = Collection(engine, open_streams, route.kind)
    for route in routes(table.ASKS["get"]):
        assert route.kind is not None
        found[route.path] = Item(engine, route.kind)
    return found


class Reading:
    """``…/containers``: list and watch, in one namespace or in all."""

    def __init__(self, engine: EngineClient, open_streams: streams.Streams, kind: kinds.Kind) -> None:
        self._engine = engine
        self._streams = open_streams
        self._kind = kind

    def on_get(self, req: falcon.Request, resp: falcon.Response, namespace: str = "") -> None:
        if namespace:
            query.check_name("namespace", namespace)
        asked = Query(req, _LIST)
        if asked.text("resourceVersionMatch") == "Exact":
            raise Refused(400, "a list always shows the newest version: resourceVersionMatch=Exact is not supported")
        limit = asked.number("limit", 0)
        if not asked.flag("watch"):
            self._list(req, resp, namespace, asked, limit)
        elif req.method == "GET":
            self._watch(req, resp, namespace, asked)

    on_head = on_get

    def _list(self, req: falcon.Request, resp: falcon.Response, namespace: str, asked: Query, limit: int) -> None:
        args = requests.List(
            kind=self._kind.name,
            namespace=namespace,
            label_selector=asked.text("labelSelector"),
            field_selector=asked.text("fieldSelector"),
            limit=limit,
            continue_=asked.text("continue"),
        )
        replies.send_list(resp, self._kind, self._engine.stream("list", args, client=connection.client(req.env)))

    def _watch(self, req: falcon.Request, resp: falcon.Response, namespace: str, asked: Query) -> None:
        args = requests.Watch(
            kind=self._kind.name,
            namespace=namespace,
            label_selector=asked.text("labelSelector"),
            field_selector=asked.text("fieldSelector"),
            revision=asked.number("resourceVersion", 0),
            timeout=float(asked.number("timeoutSeconds", 0)),
            progress=asked.flag("progress"),
        )
        client = connection.client(req.env)
        resp.content_type = falcon.MEDIA_JSON
        resp.stream = streams.Lines(
            self._streams,
            client,
            functools.partial(self._engine.stream, "watch", args, client=client),
            lambda problem: {"type": "ERROR", "object": problem},
        )


class Collection(Reading):
    """The collection that an object can be created in: of one namespace, or of the host."""

    def on_post(self, req: falcon.Request, resp: falcon.Response, namespace: str = "") -> None:
        if self._kind.namespaced:
            query.check_name("namespace", namespace)
        asked = Query(req, _WRITE)
        document = aiming.aim(body.read_json(req), self._kind, namespace)
        args = requests.Post(document=document, manager=_writer(asked), dry_run=asked.dry_run())
        try:
            result = self._engine.call_raw("post", args, client=connection.client(req.env))
        except errors.Conflict as error:
            raise Refused(409, error.message, reason="AlreadyExists") from error
        replies.send_written(resp, result, args.dry_run)


class Item:
    """``…/containers/{name}``"""

    def __init__(self, engine: EngineClient, kind: kinds.Kind) -> None:
        self._engine = engine
        self._kind = kind

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str, namespace: str = "") -> None:
        if "watch" in req.params:
            raise Refused(
                400, f"one object is watched through its collection: ?watch=true&fieldSelector=metadata.name={name}"
            )
        Query(req, _GET)
        kind, namespace, name = query.key_of(self._kind, namespace, name)
        args = requests.Get(kind=kind, namespace=namespace, name=name)
        replies.send(resp, self._engine.call_raw("get", args, client=connection.client(req.env)))

    on_head = on_get

    def on_put(self, req: falcon.Request, resp: falcon.Response, name: str, namespace: str = "") -> None:
        asked = Query(req, _WRITE)
        query.key_of(self._kind, namespace, name)
        document = aiming.aim(body.read_json(req), self._kind, namespace, name)
        args = requests.Put(document=document, manager=_writer(asked), dry_run=asked.dry_run())
        result = self._engine.call_raw("put", args, client=connection.client(req.env))
        replies.send_written(resp, result, args.dry_run)

    def on_patch(self, req: falcon.Request, resp: falcon.Response, name: str, namespace: str = "") -> None:
        query.key_of(self._kind, namespace, name)
        media_type, document = body.read_patch(req)
        if media_type == body.MERGE_PATCH:
            args: requests.Patch | requests.Apply = self._merge(Query(req, _WRITE), document, namespace, name)
        else:
            args = self._apply(Query(req, _WRITE | {"force"}), document, namespace, name)
        job = "patch" if isinstance(args, requests.Patch) else "apply"
        result = self._engine.call_raw(job, args, client=connection.client(req.env))
        replies.send_written(resp, result, args.dry_run)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, name: str, namespace: str = "") -> None:
        asked = Query(req, _DELETE)
        kind, namespace, name = query.key_of(self._kind, namespace, name)
        options = _delete_options(body.read_optional_json(req))
        uid, revision = _preconditions(options)
        _check_propagation(asked.text("propagationPolicy"))
        args = requests.Delete(
            kind=kind,
            namespace=namespace,
            name=name,
            uid=uid,
            revision=revision,
            grace=_grace(asked, options),
            dry_run=asked.dry_run() or query.check_dry_run(options.get("dryRun")),
        )
        result = self._engine.call_raw("delete", args, client=connection.client(req.env))
        replies.send_written(resp, result, args.dry_run)

    def _merge(self, asked: Query, patch: dict[str, Any], namespace: str, name: str) -> requests.Patch:
        return requests.Patch(
            kind=self._kind.name,
            namespace=namespace,
            name=name,
            patch=aiming.check_aim(patch, self._kind, namespace, name),
            manager=_writer(asked),
            dry_run=asked.dry_run(),
        )

    def _apply(self, asked: Query, document: dict[str, Any], namespace: str, name: str) -> requests.Apply:
        if not asked.text("fieldManager"):
            raise Refused(400, "an apply needs ?fieldManager=: it says whose version of the object this is")
        return requests.Apply(
            document=aiming.aim(document, self._kind, namespace, name),
            manager=_writer(asked),
            dry_run=asked.dry_run(),
            force=asked.flag("force"),
        )


def _writer(asked: Query) -> str:
    """The manager of a write. Fields that are not known are always refused: so nobody may ask to have them ignored."""
    if asked.text("fieldValidation") not in ("", "Strict"):
        raise Refused(400, "fieldValidation must be Strict: unknown fields are always refused")
    return asked.manager()


def _delete_options(options: dict[str, Any]) -> dict[str, Any]:
    unknown = options.keys() - _DELETE_OPTIONS
    if unknown or options.get("kind", "DeleteOptions") != "DeleteOptions":
        wrong = ", ".join(sorted(unknown)) or f"kind {options['kind']!r}"
        raise Refused(400, f"the body must be DeleteOptions with {', '.join(sorted(_DELETE_OPTIONS))}, not {wrong}")
    _check_propagation(options.get("propagationPolicy") or "")
    return options


def _grace(asked: Query, options: dict[str, Any]) -> int | None:
    """Seconds to stop in, from the query or the body; None when neither says."""
    given = options.get("gracePeriodSeconds")
    if given is None:
        return asked.number("gracePeriodSeconds", 0, most=_GRACE_MOST) if asked.has("gracePeriodSeconds") else None
    if type(given) is not int or not 0 <= given <= _GRACE_MOST:
        raise Refused(400, f"gracePeriodSeconds is {given!r}: expected a number of seconds from 0 to {_GRACE_MOST}")
    return given


def _check_propagation(policy: object) -> None:
    """No object has dependents that a deletion could reach, so all policies come to the same."""
    if policy not in _PROPAGATION:
        raise Refused(400, f"propagationPolicy is {policy!r}: expected {', '.join(filter(None, _PROPAGATION))}")


def _preconditions(options: dict[str, Any]) -> tuple[str, str]:
    """uid and resourceVersion that the object must have; empty for any."""
    given = {} if options.get("preconditions") is None else options["preconditions"]
    if not isinstance(given, dict) or given.keys() - {"uid", "resourceVersion"}:
        raise Refused(400, "preconditions must be an object with uid, resourceVersion or both")
    values = [given.get("uid") or "", given.get("resourceVersion") or ""]
    if not all(isinstance(value, str) for value in values):
        raise Refused(400, "preconditions.uid and preconditions.resourceVersion must be strings")
    return values[0], values[1]
