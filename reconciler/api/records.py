"""Events, jobs and sources: what is told about objects besides themselves."""

from __future__ import annotations

from typing import Any

import falcon

from reconciler.api import body, replies
from reconciler.api.problems import Refused
from reconciler.api.query import Query
from reconciler.ipc import EngineClient
from reconciler.model import requests

_FIND = frozenset({"object", "limit"})
_MOST = 100_000


class Events:
    """``GET …/events?object=KIND/NAMESPACE/NAME&limit=``"""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        asked = Query(req, _FIND)
        args = requests.Events(key=asked.key("object"), limit=asked.number("limit", 500, 1, _MOST))
        replies.send(resp, self._engine.call_raw("events", args))

    on_head = on_get


class Jobs:
    """``GET …/jobs?object=KIND/NAMESPACE/NAME&limit=``"""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        asked = Query(req, _FIND)
        args = requests.Jobs(key=asked.key("object"), limit=asked.number("limit", 100, 1, _MOST))
        replies.send(resp, self._engine.call_raw("jobs", args))

    on_head = on_get


class Sources:
    """``GET …/sources``"""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        replies.send(resp, self._engine.call_raw("sources", requests.Sources()))

    on_head = on_get


class Ack:
    """``POST …/sources/ack`` with ``{"name", "digest"}``"""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        given = members(body.read_json(req), {"name": str, "digest": str})
        args = requests.Ack(name=given["name"], digest=given["digest"])
        replies.send(resp, self._engine.call_raw("ack", args))


def members(
    document: dict[str, Any], wanted: dict[str, type], optional: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The members of a small body: exactly ``wanted`` by type, besides ``optional`` ones with their defaults."""
    defaults = optional or {}
    types = wanted | {name: type(value) for name, value in defaults.items()}
    for name in [*(document.keys() - types.keys()), *(wanted.keys() - document.keys())]:
        known = ", ".join(types)
        raise Refused(400, f"{'unknown' if name in document else 'missing'} member {name!r}: expected {known}")
    for name, value in document.items():
        if type(value) is not types[name]:
            raise Refused(400, f"the member {name!r} is {value!r}: expected {_NAMES[types[name]]}")
    return defaults | document


_NAMES: dict[type, str] = {
    str: "a string",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
