"""The service itself: health, and the lists by which clients discover what is here."""

from __future__ import annotations

from typing import Any

import falcon
import msgspec

from reconciler import errors
from reconciler.api import status
from reconciler.api.fronts.native import replies
from reconciler.api.fronts.native.query import Query
from reconciler.ipc import EngineClient
from reconciler.model import kinds
from reconciler.requests.service import Ping

#: seconds that a question after health waits for the controller
_PATIENCE = 1.0
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


class Ready:
    """``GET /healthz``, ``/readyz``: whether the first plan was made and requests are answered."""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        try:
            ready = self._engine.call("ping", Ping(), timeout=_PATIENCE, accept_timeout=_PATIENCE)["ready"]
            message = "ok" if ready else "starting: the first plan is not made yet"
        except errors.Temporary as error:
            ready, message = False, error.message
        resp.status = status.line(200 if ready else 503)
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = message

    on_head = on_get


class Live:
    """``GET /livez``: whether this process answers."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = "ok"

    on_head = on_get


class Fixed:
    """An answer that never changes."""

    def __init__(self, value: Any) -> None:
        self._data = msgspec.json.encode(value)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ("timeout",))
        replies.send(resp, self._data)

    on_head = on_get


_VERSION = {"groupVersion": kinds.API_VERSION, "version": kinds.API_VERSION.rpartition("/")[2]}
GROUP: dict[str, Any] = {
    "kind": "APIGroup",
    "apiVersion": "v1",
    "name": kinds.API_GROUP,
    "versions": [_VERSION],
    "preferredVersion": _VERSION,
}
GROUPS: dict[str, Any] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": [GROUP]}
#: ``/api`` is for kinds that Kubernetes itself has: there are none
CORE: dict[str, Any] = {"kind": "APIVersions", "versions": [], "serverAddressByClientCIDRs": []}


def kinds_list() -> dict[str, Any]:
    """The kinds, as ``/apis/pydock.dev/v1`` lists them."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": kinds.API_VERSION,
        "resources": [
            {
                "name": kind.plural,
                "singularName": kind.singular,
                "namespaced": kind.namespaced,
                "kind": kind.name,
                "verbs": _VERBS,
                "shortNames": kind.short,
            }
            for kind in kinds.KINDS
        ],
    }


def resources(engine: EngineClient) -> dict[str, Any]:
    """Path → what answers it."""
    return {"/healthz": Ready(engine), "/readyz": Ready(engine), "/livez": Live()}
