"""Images that get other names, or leave this host, or come by other ways than from a registry."""

from __future__ import annotations

from typing import Any

import falcon
import msgspec

from reconciler import errors, manifest
from reconciler.api import body, records, replies, stored, streams
from reconciler.api.problems import Refused
from reconciler.api.query import Query
from reconciler.ipc import EngineClient
from reconciler.model import requests

_MOST = 256
_WORDS = 4096


class Tag:
    """``POST …/graph/images/tag`` with ``{"source", "target"}``"""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        Query(req, ())
        given = records.members(body.read_json(req), {"source": str, "target": str})
        args = requests.ImageTag(source=stored.reference(given["source"]), target=stored.reference(given["target"]))
        replies.send(resp, self._engine.call_raw("image_tag", args))


class Load:
    """``POST …/graph/images/load?name=`` with an archive: lines of progress, then a line an image, or an error."""

    def __init__(self, engine: EngineClient, open_streams: streams.Streams) -> None:
        self._engine = engine
        self._streams = open_streams

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        name = Query(req, ("name",)).text("name")
        args = requests.ImageLoad(name=stored.reference(name) if name else "")
        _take(req, resp, self._streams, lambda pipe: self._engine.stream("image_load", args, fds=[pipe]))


class Import:
    """``POST …/graph/images/import?reference=&message=&config=`` with the archive of a root file system; ``config`` is
    JSON with members of ``requests.ImageConfig``."""

    def __init__(self, engine: EngineClient, open_streams: streams.Streams) -> None:
        self._engine = engine
        self._streams = open_streams

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        asked = Query(req, ("reference", "message", "config"))
        message = words("message", asked.text("message"))
        args = requests.ImageImport(
            reference=stored.reference(asked.text("reference")), message=message, config=_config(asked.text("config"))
        )
        _take(req, resp, self._streams, lambda pipe: self._engine.stream("image_import", args, fds=[pipe]))


class Save:
    """``GET …/graph/images/save?references=A,B&docker=``: an archive. One that breaks off is cut off."""

    def __init__(self, engine: EngineClient, open_streams: streams.Streams) -> None:
        self._engine = engine
        self._streams = open_streams

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        asked = Query(req, ("references", "docker"))
        given = asked.text("references").split(",")
        if len(given) > _MOST:
            raise Refused(400, f"references must name 1 to {_MOST} images")
        args = requests.ImageSave(references=[stored.reference(each) for each in given], docker=asked.flag("docker"))
        resp.content_type = body.ARCHIVE
        resp.stream = streams.Output(
            self._streams,
            req.env["gunicorn.socket"].fileno(),
            lambda pipe: self._engine.stream("image_save", args, fds=[pipe]),
        )


def _take(req: falcon.Request, resp: falcon.Response, open_streams: streams.Streams, job: Any) -> None:
    """Hands the body to a job, and its items to the client."""
    body.media_type(req, (body.ARCHIVE,))
    length = -1 if req.content_length is None else req.content_length
    client = req.env["gunicorn.socket"].fileno()
    resp.content_type = falcon.MEDIA_JSON
    resp.stream = streams.Upload(
        open_streams, client, req.env["wsgi.input"], length, job, lambda problem: {"error": problem}
    )


def words(what: str, text: str) -> str:
    """What a person says of an image."""
    if len(text) > _WORDS:
        raise Refused(400, f"the {what} must have {_WORDS} characters at most")
    return text


def config(what: str, document: object) -> requests.ImageConfig:
    """``what`` says where it came from."""
    try:
        return msgspec.convert(document, requests.ImageConfig)
    except msgspec.ValidationError as error:
        raise Refused(400, f"{what}: {error}") from None


def _config(text: str) -> requests.ImageConfig:
    where = "the query parameter 'config'"
    try:
        return config(where, manifest.parse_json(text.encode()) if text else {})
    except errors.Invalid as error:
        raise Refused(400, f"{where}: {error}") from None
