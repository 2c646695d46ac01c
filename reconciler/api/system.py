"""The graph as a whole: its tree of layers, and what takes the disk."""

from __future__ import annotations

import falcon

from reconciler.api import body, records, replies, stored, streams
from reconciler.api.problems import Refused
from reconciler.api.query import Query
from reconciler.ipc import EngineClient
from reconciler.model import requests


class Tree:
    """``GET …/graph/images/tree?reference=``"""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = Query(req, ("reference",)).text("reference")
        args = requests.ImageTree(reference=stored.reference(given) if given else "")
        replies.send(resp, self._engine.call_raw("image_tree", args))

    on_head = on_get


class Df:
    """``GET …/system/df``"""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        replies.send(resp, self._engine.call_raw("system_df", requests.SystemDf()))

    on_head = on_get


class Collection:
    """``GET …/system/collection`` (what would go), ``POST`` (it goes)"""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        replies.send(resp, self._engine.call_raw("collectible", requests.Collectible()))

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        if body.read_optional_json(req):
            raise Refused(400, "a collection takes no arguments: send no body, or an empty object")
        replies.send(resp, self._engine.call_raw("collect", requests.Collect()))


class Leftovers:
    """``POST …/system/leftovers/remove`` with ``{"dryRun"}``"""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        given = records.members(body.read_json(req), {}, {"dryRun": False})
        args = requests.LeftoversRemove(dry_run=given["dryRun"])
        replies.send(resp, self._engine.call_raw("leftovers_remove", args))


class Check:
    """``POST …/system/check`` with ``{"repair"}``: a line for whatever is damaged, then one with a summary."""

    def __init__(self, engine: EngineClient, open_streams: streams.Streams) -> None:
        self._engine = engine
        self._streams = open_streams

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        given = records.members(body.read_json(req), {}, {"repair": False})
        args = requests.SystemCheck(repair=given["repair"])
        resp.content_type = falcon.MEDIA_JSON
        resp.stream = streams.Lines(
            self._streams,
            req.env["gunicorn.socket"].fileno(),
            lambda: self._engine.stream("system_check", args),
            lambda problem: {"error": problem},
        )
