"""The one table of what the API answers, and the application that answers it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import falcon

from reconciler.api import (
    actions,
    containers,
    guard,
    objects,
    problems,
    records,
    service,
    stored,
    streams,
    system,
    transfers,
)
from reconciler.ipc import EngineClient
from reconciler.model import kinds

BASE = f"/apis/{kinds.API_VERSION}"
_CONTAINER = f"{BASE}/namespaces/{{namespace}}/{kinds.CONTAINER.plural}/{{name}}"


def table(engine: EngineClient, open_streams: streams.Streams) -> list[tuple[str, Any]]:
    """Path → resource."""
    return [
        *_objects(engine, open_streams),
        (f"{_CONTAINER}/log", containers.Log(engine, open_streams)),
        (f"{_CONTAINER}/stop", containers.Act(engine, "stop")),
        (f"{_CONTAINER}/start", containers.Act(engine, "start")),
        (f"{_CONTAINER}/restart", containers.Act(engine, "restart")),
        (f"{_CONTAINER}/commit", containers.Commit(engine, open_streams)),
        (f"{BASE}/events", records.Events(engine)),
        (f"{BASE}/jobs", records.Jobs(engine)),
        (f"{BASE}/sources", records.Sources(engine)),
        (f"{BASE}/sources/ack", records.Ack(engine)),
        (f"{BASE}/plans", actions.Plans(engine)),
        (f"{BASE}/pull", actions.Pull(engine, open_streams)),
        (f"{BASE}/graph/images", stored.Images(engine)),
        (f"{BASE}/graph/images/unused", stored.Unused(engine)),
        (f"{BASE}/graph/images/inspect", stored.Inspect(engine)),
        (f"{BASE}/graph/images/history", stored.History(engine)),
        (f"{BASE}/graph/images/tree", system.Tree(engine)),
        (f"{BASE}/system/df", system.Df(engine)),
        (f"{BASE}/system/collection", system.Collection(engine)),
        (f"{BASE}/system/check", system.Check(engine, open_streams)),
        (f"{BASE}/system/leftovers/remove", system.Leftovers(engine)),
        (f"{BASE}/graph/images/remove", stored.Remove(engine)),
        (f"{BASE}/graph/images/tag", transfers.Tag(engine)),
        (f"{BASE}/graph/images/load", transfers.Load(engine, open_streams)),
        (f"{BASE}/graph/images/import", transfers.Import(engine, open_streams)),
        (f"{BASE}/graph/images/save", transfers.Save(engine, open_streams)),
        (f"{BASE}/push", actions.Push(engine, open_streams)),
        (f"{BASE}/tags", actions.Tags(engine)),
        (f"{BASE}/search", actions.Search(engine)),
        (f"{BASE}/auth", actions.Auth(engine)),
        (f"{BASE}/logins", actions.Logins(engine)),
        (f"{BASE}/logins/remove", actions.LoginRemove(engine)),
        ("/version", service.Version(engine)),
        ("/commands", service.Commands(engine)),
        ("/healthz", service.Ready(engine)),
        ("/readyz", service.Ready(engine)),
        ("/livez", service.Live()),
        ("/api", service.Fixed(service.CORE)),
        ("/apis", service.Fixed(service.GROUPS)),
        (f"/apis/{kinds.API_GROUP}", service.Fixed(service.GROUP)),
        (BASE, service.Fixed(service.resources())),
    ]


def _objects(engine: EngineClient, open_streams: streams.Streams) -> Iterator[tuple[str, Any]]:
    for kind in kinds.KINDS:
        home = f"{BASE}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{BASE}/{kind.plural}"
        if kind.namespaced:
            yield f"{BASE}/{kind.plural}", objects.Reading(engine, open_streams, kind)
        yield home, objects.Collection(engine, open_streams, kind)
        yield f"{home}/{{name}}", objects.Item(engine, kind)


def make_app(engine: EngineClient, open_streams: streams.Streams) -> falcon.App[Any, Any]:
    """The WSGI application."""
    app = falcon.App(middleware=[guard.Guard()])
    app.req_options.strip_url_path_trailing_slash = False
    app.resp_options.default_media_type = falcon.MEDIA_JSON
    problems.install(app)
    for path, resource in table(engine, open_streams):
        app.add_route(path, resource)
    return app
