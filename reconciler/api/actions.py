"""Plans, pulls and logins: what is asked for without naming one object."""

from __future__ import annotations

import functools
from typing import Any

import falcon
import msgspec

from reconciler.api import body, query, records, replies, streams
from reconciler.api.problems import Refused
from reconciler.api.query import Query
from reconciler.ipc import EngineClient
from reconciler.model import requests
from reconciler.model.credentials import Credentials

_REFERENCE_LIMIT = 512
_MOST_HITS = 1000


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
    """``POST …/pull`` with ``{"reference"}``, perhaps ``credentials``: lines of progress, then a digest or an error."""

    _job: str = "pull_image"
    _request: type[requests.Pull | requests.Push] = requests.Pull

    def __init__(self, engine: EngineClient, open_streams: streams.Streams) -> None:
        self._engine = engine
        self._streams = open_streams

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        document = body.read_json(req)
        credentials = _credentials(document)
        reference = records.members(document, {"reference": str})["reference"]
        if not reference or len(reference) > _REFERENCE_LIMIT:
            raise Refused(400, f"the reference must have 1 to {_REFERENCE_LIMIT} characters")
        resp.content_type = falcon.MEDIA_JSON
        resp.stream = streams.Lines(
            self._streams,
            req.env["gunicorn.socket"].fileno(),
            functools.partial(
                self._engine.stream, self._job, self._request(reference=reference, credentials=credentials)
            ),
            lambda problem: {"error": problem},
        )


class Push(Pull):
    """``POST …/push``: as ``Pull``."""

    _job = "push_image"
    _request = requests.Push


class Tags:
    """``POST …/tags`` with ``{"repository"}``, perhaps ``credentials``: the tags that its registry lists."""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        document = body.read_json(req)
        credentials = _credentials(document)
        repository = records.members(document, {"repository": str})["repository"]
        replies.send(resp, self._engine.call_raw("tags", requests.Tags(repository=repository, credentials=credentials)))


class Search:
    """``POST …/search`` with ``{"registry", "term"}``, perhaps ``limit`` and ``credentials``: what a registry finds."""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        document = body.read_json(req)
        credentials = _credentials(document)
        given = records.members(document, {"registry": str, "term": str}, {"limit": 25})
        if not 1 <= given["limit"] <= _MOST_HITS:
            raise Refused(400, f"limit must be between 1 and {_MOST_HITS}")
        request = requests.Search(
            registry=given["registry"], term=given["term"], limit=given["limit"], credentials=credentials
        )
        replies.send(resp, self._engine.call_raw("search", request))


class Auth:
    """``POST …/auth`` with ``{"registry", "credentials": {"username", "password"}}``: 403 if the registry refuses."""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        document = body.read_json(req)
        credentials = _credentials(document)
        registry = records.members(document, {"registry": str})["registry"]
        if credentials is None:
            raise Refused(400, "missing member 'credentials'")
        replies.send(resp, self._engine.call_raw("auth", requests.Auth(registry=registry, credentials=credentials)))


class Logins:
    """``GET …/logins``: what the host keeps logins for. ``POST`` with ``{"scope", "credentials"}`` keeps one."""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        replies.send(resp, self._engine.call_raw("logins", requests.Logins()))

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        document = body.read_json(req)
        credentials = _credentials(document)
        scope = records.members(document, {"scope": str})["scope"]
        if credentials is None:
            raise Refused(400, "missing member 'credentials'")
        replies.send(
            resp, self._engine.call_raw("login_keep", requests.LoginKeep(scope=scope, credentials=credentials))
        )


class LoginRemove:
    """``POST …/logins/remove`` with ``{"scope"}``"""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        scope = records.members(body.read_json(req), {"scope": str})["scope"]
        replies.send(resp, self._engine.call_raw("login_remove", requests.LoginRemove(scope=scope)))


def _credentials(document: dict[str, Any]) -> Credentials | None:
    """Takes ``credentials`` out of a body, if they are there. What is wrong with them is not repeated."""
    given = document.pop("credentials", None)
    try:
        return None if given is None else msgspec.convert(given, Credentials)
    except msgspec.ValidationError:
        raise Refused(
            400,
            "the member 'credentials' must be an object with a username (1 to 255 characters, without colon and "
            "control characters) and a password (up to 16384 characters)",
        ) from None
