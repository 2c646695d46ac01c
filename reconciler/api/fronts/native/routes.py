"""The routes, made from the declarations, and the application that answers them."""

from __future__ import annotations

from typing import Any

import falcon

from reconciler.api import problems, streams
from reconciler.api.fronts.native import guard, objects, openapi, plain, service
from reconciler.ipc import EngineClient
from reconciler.model import kinds
from reconciler.requests import table
from reconciler.requests.declaration import BASE, routes


class Resource:
    """One path: a responder for each method that is answered there, as falcon wants it."""

    def answer(self, method: str, responder: plain.Responder) -> None:
        setattr(self, f"on_{method.lower()}", responder)


def resources(engine: EngineClient, open_streams: streams.Streams) -> dict[str, Any]:
    """Path → what answers it."""
    found: dict[str, Any] = {**objects.resources(engine, open_streams), **service.resources(engine)}
    for ask in table.ASKS.values():
        for route in routes(ask):
            if route.kind is not None or ask.reply == "health":
                continue
            resource = found.setdefault(route.path, Resource())
            responder = plain.Plain(engine, open_streams, ask, route)
            resource.answer(route.method, responder)
            if route.method == "GET" and not ask.streams:
                resource.answer("HEAD", responder)
    return found


def make(engine: EngineClient, open_streams: streams.Streams) -> falcon.App[Any, Any]:
    """The WSGI application."""
    app = falcon.App(middleware=[guard.Guard()])
    app.req_options.strip_url_path_trailing_slash = False
    app.resp_options.default_media_type = falcon.MEDIA_JSON
    problems.install(app)
    fixed = {
        "/api": service.CORE,
        "/apis": service.GROUPS,
        f"/apis/{kinds.API_GROUP}": service.GROUP,
        BASE: service.kinds_list(),
        "/openapi.json": openapi.document(),
    }
    for path, resource in resources(engine, open_streams).items():
        app.add_route(path, resource)
    for path, value in fixed.items():
        app.add_route(path, service.Fixed(value))
    return app
