"""Images that get other names, or leave this host, or come by other ways than from a registry."""

from __future__ import annotations

import falcon

from reconciler.api import body, records, replies, stored
from reconciler.api.query import Query
from reconciler.ipc import EngineClient
from reconciler.model import requests


class Tag:
    """``POST …/graph/images/tag`` with ``{"source", "target"}``"""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        given = records.members(body.read_json(req), {"source": str, "target": str})
        args = requests.ImageTag(source=stored.reference(given["source"]), target=stored.reference(given["target"]))
        replies.send(resp, self._engine.call_raw("image_tag", args))
