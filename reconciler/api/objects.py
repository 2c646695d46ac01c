"""The objects of one kind: collections and single ones."""

from __future__ import annotations

import functools
from typing import Any

import falcon
import msgspec

from reconciler import errors
from reconciler.api import body, query, replies, streams
from reconciler.api.problems import Refused
from reconciler.api.query import Query
from reconciler.ipc import EngineClient
from reconciler.model import kinds, requests

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
_PROPAGATION = ("", "Background", "Foreground", "Orphan")


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
        _check_paging(asked)
        if not asked.flag("watch"):
            args = requests.List(
                kind=self._kind.name,
                namespace=namespace,
                label_selector=asked.text("labelSelector"),
                field_selector=asked.text("fieldSelector"),
            )
            replies.send_list(resp, self._kind, self._engine.call_raw("list", args))
        elif req.method == "GET":
            self._watch(req, resp, namespace, asked)

    on_head = on_get

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
        resp.content_type = falcon.MEDIA_JSON
        resp.stream = streams.Lines(
            self._streams,
            req.env["gunicorn.socket"].fileno(),
            functools.partial(self._engine.stream, "watch", args),
            lambda problem: {"type": "ERROR", "object": problem},
        )


class Collection(Reading):
    """The collection that an object can be created in: of one namespace, or of the host."""

    def on_post(self, req: falcon.Request, resp: falcon.Response, namespace: str = "") -> None:
        if self._kind.namespaced:
            query.check_name("namespace", namespace)
        asked = Query(req, _WRITE)
        document = body.aim(body.read_json(req), self._kind, namespace)
        args = requests.Post(document=document, manager=_writer(asked), dry_run=asked.dry_run())
        try:
            result = self._engine.call_raw("post", args)
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
        replies.send(resp, self._engine.call_raw("get", args))

    on_head = on_get

    def on_put(self, req: falcon.Request, resp: falcon.Response, name: str, namespace: str = "") -> None:
        asked = Query(req, _WRITE)
        query.key_of(self._kind, namespace, name)
        document = body.aim(body.read_json(req), self._kind, namespace, name)
        args = requests.Put(document=document, manager=_writer(asked), dry_run=asked.dry_run())
        replies.send_written(resp, self._engine.call_raw("put", args), args.dry_run)

    def on_patch(self, req: falcon.Request, resp: falcon.Response, name: str, namespace: str = "") -> None:
        query.key_of(self._kind, namespace, name)
        media_type, document = body.read_patch(req)
        if media_type == body.MERGE_PATCH:
            result, dry_run = self._merge(Query(req, _WRITE), document, namespace, name)
        else:
            result, dry_run = self._apply(Query(req, _WRITE | {"force"}), document, namespace, name)
        replies.send_written(resp, result, dry_run)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, name: str, namespace: str = "") -> None:
        asked = Query(req, _DELETE)
        kind, namespace, name = query.key_of(self._kind, namespace, name)
        options = _delete_options(body.read_optional_json(req))
        uid, revision = _preconditions(options)
        asked.number("gracePeriodSeconds", 0)
        _check_propagation(asked.text("propagationPolicy"))
        dry_run = asked.dry_run() or query.check_dry_run(options.get("dryRun"))
        args = requests.Delete(kind=kind, namespace=namespace, name=name, uid=uid, revision=revision, dry_run=dry_run)
        replies.send_written(resp, self._engine.call_raw("delete", args), dry_run)

    def _merge(self, asked: Query, patch: dict[str, Any], namespace: str, name: str) -> tuple[msgspec.Raw, bool]:
        args = requests.Patch(
            kind=self._kind.name,
            namespace=namespace,
            name=name,
            patch=body.check_aim(patch, self._kind, namespace, name),
            manager=_writer(asked),
            dry_run=asked.dry_run(),
        )
        return self._engine.call_raw("patch", args), args.dry_run

    def _apply(self, asked: Query, document: dict[str, Any], namespace: str, name: str) -> tuple[msgspec.Raw, bool]:
        if not asked.text("fieldManager"):
            raise Refused(400, "an apply needs ?fieldManager=: it says whose version of the object this is")
        args = requests.Apply(
            document=body.aim(document, self._kind, namespace, name),
            manager=_writer(asked),
            dry_run=asked.dry_run(),
            force=asked.flag("force"),
        )
        return self._engine.call_raw("apply", args), args.dry_run


def _writer(asked: Query) -> str:
    """The manager of a write. Fields that are not known are always refused: so nobody may ask to have them ignored."""
    if asked.text("fieldValidation") not in ("", "Strict"):
        raise Refused(400, "fieldValidation must be Strict: unknown fields are always refused")
    return asked.manager()


def _check_paging(asked: Query) -> None:
    """Lists are answered whole, so there are no further pages, and no other version than the newest."""
    asked.number("limit", 0)
    if asked.text("continue"):
        raise Refused(410, "there are no further pages: list again without continue")
    if asked.text("resourceVersionMatch") == "Exact":
        raise Refused(400, "a list always shows the newest version: resourceVersionMatch=Exact is not supported")


def _delete_options(options: dict[str, Any]) -> dict[str, Any]:
    unknown = options.keys() - _DELETE_OPTIONS
    if unknown or options.get("kind", "DeleteOptions") != "DeleteOptions":
        wrong = ", ".join(sorted(unknown)) or f"kind {options['kind']!r}"
        raise Refused(400, f"the body must be DeleteOptions with {', '.join(sorted(_DELETE_OPTIONS))}, not {wrong}")
    grace = options.get("gracePeriodSeconds")
    if grace is not None and (isinstance(grace, bool) or not isinstance(grace, int) or grace < 0):
        raise Refused(400, f"gracePeriodSeconds is {grace!r}: expected a number of seconds")
    _check_propagation(options.get("propagationPolicy") or "")
    return options


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
