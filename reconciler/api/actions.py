"""Plans and pulls: what is asked for without naming one object."""

from __future__ import annotations

import functools

import falcon

from reconciler.api import body, query, records, replies, streams
from reconciler.api.problems import Refused
from reconciler.api.query import Query
from reconciler.ipc import EngineClient
from reconciler.model import requests

_REFERENCE_LIMIT = 512


class Plans:
    """``POST …/plans`` with ``{"documents": […], "manager", "delete"}``: what applying them together would do."""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        optional = {"manager": query.DEFAULT_MANAGER, "delete": False}
        given = records.members(body.read_json(req, body.MANY_LIMIT), {"documents": list}, optional)
        if not all(isinstance(document, dict) for document in given["documents"]):
            raise Refused(400, "every one of documents must be an object")
        args = requests.Plan(
            documents=given["documents"], manager=query.check_manager(given["manager"]), delete=given["delete"]
        )
        replies.send(resp, self._engine.call_raw("plan", args))


class Pull:
    """``POST …/pull`` with ``{"reference"}``: lines of progress, the last with the digest or an error."""

    def __init__(self, engine: EngineClient, open_streams: streams.Streams) -> None:
        self._engine = engine
        self._streams = open_streams

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        reference = records.members(body.read_json(req), {"reference": str})["reference"]
        if not reference or len(reference) > _REFERENCE_LIMIT:
            raise Refused(400, f"the reference must have 1 to {_REFERENCE_LIMIT} characters")
        resp.content_type = falcon.MEDIA_JSON
        resp.stream = streams.Lines(
            self._streams,
            req.env["gunicorn.socket"].fileno(),
            functools.partial(self._engine.stream, "pull_image", requests.Pull(reference=reference)),
            lambda problem: {"error": problem},
        )
