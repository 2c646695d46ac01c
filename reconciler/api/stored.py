"""The images that are in the graph: what is here, whether or not an object asks for it."""

from __future__ import annotations

import falcon

from reconciler.api import body, records, replies
from reconciler.api.problems import Refused
from reconciler.api.query import Query
from reconciler.ipc import EngineClient
from reconciler.model import requests

_REFERENCE_LIMIT = 512
_MOST = 1000


class Images:
    """``GET …/graph/images``"""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        replies.send(resp, self._engine.call_raw("images", requests.Images()))

    on_head = on_get


class Unused:
    """``GET …/graph/images/unused?all=``"""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        args = requests.ImagesUnused(all=Query(req, ("all",)).flag("all"))
        replies.send(resp, self._engine.call_raw("images_unused", args))

    on_head = on_get


class Inspect:
    """``GET …/graph/images/inspect?reference=``"""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        args = requests.ImageInspect(reference=reference(Query(req, ("reference",)).text("reference")))
        replies.send(resp, self._engine.call_raw("image_inspect", args))

    on_head = on_get


class History:
    """``GET …/graph/images/history?reference=``"""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        args = requests.ImageHistory(reference=reference(Query(req, ("reference",)).text("reference")))
        replies.send(resp, self._engine.call_raw("image_history", args))

    on_head = on_get


class Remove:
    """``POST …/graph/images/remove`` with ``{"references": […], "exact", "dryRun"}``: all of them, or none."""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        given = records.members(body.read_json(req), {"references": list}, {"exact": False, "dryRun": False})
        if not 0 < len(given["references"]) <= _MOST:
            raise Refused(400, f"references must name 1 to {_MOST} images")
        args = requests.ImageRemove(
            references=[reference(each) for each in given["references"]], exact=given["exact"], dry_run=given["dryRun"]
        )
        replies.send(resp, self._engine.call_raw("image_remove", args))


def reference(given: object) -> str:
    """A reference as it came. What it means is the controller's to say."""
    if not isinstance(given, str) or not 0 < len(given) <= _REFERENCE_LIMIT:
        raise Refused(400, f"a reference must be a string of 1 to {_REFERENCE_LIMIT} characters")
    return given
