"""The graph as a whole: its tree of layers, and what takes the disk."""

from __future__ import annotations

import falcon

from reconciler.api import replies, stored
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
