"""What needs no more than its declaration: arguments in, a job, its answer out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import falcon

from reconciler.api import body, connection, streams
from reconciler.api.fronts.native import replies
from reconciler.api.fronts.native.arguments import Arguments
from reconciler.ipc import EngineClient, Stream
from reconciler.requests.declaration import Ask, Request, Route

Responder = Callable[..., None]


class Plain:
    """Answers one route of an ``Ask``. An instance is what falcon calls for the route's method."""

    def __init__(self, engine: EngineClient, open_streams: streams.Streams, ask: Ask, route: Route) -> None:
        self._engine, self._streams, self._ask = engine, open_streams, ask
        self._arguments = Arguments(ask, route.fixed)

    def __call__(self, req: falcon.Request, resp: falcon.Response, **path: str) -> None:
        args = self._arguments.read(req, path)
        if self._ask.descriptor == "in":
            body.media_type(req, (body.ARCHIVE,))
        if self._ask.streams:
            self._stream(req, resp, args)
            return
        result = self._engine.call_raw(self._ask.name, args, client=connection.client(req.env))
        if self._ask.reply == "object":
            replies.send_written(resp, result, with_plan=False)
        else:
            replies.send(resp, result)

    def _stream(self, req: falcon.Request, resp: falcon.Response, args: Request) -> None:
        client = connection.client(req.env)
        start = functools.partial(self._start, args, client)
        if self._ask.descriptor == "in":
            length = -1 if req.content_length is None else req.content_length
            resp.content_type = falcon.MEDIA_JSON
            resp.stream = streams.Upload(self._streams, client, req.env["wsgi.input"], length, start, _in_stream)
        elif self._ask.descriptor == "out":
            resp.content_type = _BYTES.get(self._ask.name, body.ARCHIVE)
            resp.stream = streams.Output(self._streams, client, start)
        else:
            resp.content_type = falcon.MEDIA_JSON
            resp.stream = streams.Lines(self._streams, client, start, _in_stream)

    def _start(self, args: Request, client: int, *pipe: int) -> Stream:
        return self._engine.stream(self._ask.name, args, fds=pipe, client=client)


#: media types of answers in bytes that are no archives
_BYTES = {"logs": "text/plain; charset=utf-8"}


def _in_stream(problem: dict[str, Any]) -> dict[str, Any]:
    """The line that tells of an error after the start."""
    return {"error": problem}
