"""What only containers have: logs, hand edits beside what their owner wrote, and images that are made of them."""

from __future__ import annotations

import functools
import re
import time
from datetime import UTC, datetime
from typing import Literal

import falcon

from reconciler.api import body, query, records, replies, stored, streams, transfers
from reconciler.api.problems import Refused
from reconciler.api.query import Query
from reconciler.ipc import EngineClient, Stream
from reconciler.model import kinds, requests

_LOG = frozenset({"tailLines", "follow", "timestamps", "sinceTime", "sinceSeconds", "previous", "markWith"})
_MARK = re.compile(r"[0-9A-Za-z]{0,64}\Z")


class Log:
    """``…/containers/{name}/log``: raw bytes, as they were written."""

    def __init__(self, engine: EngineClient, open_streams: streams.Streams) -> None:
        self._engine = engine
        self._streams = open_streams

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str, namespace: str) -> None:
        asked = Query(req, _LOG)
        query.key_of(kinds.CONTAINER, namespace, name)
        args = requests.Logs(
            namespace=namespace,
            name=name,
            tail=asked.number("tailLines", -1, least=-1),
            follow=asked.flag("follow"),
            timestamps=asked.flag("timestamps"),
            since=_since(asked),
            previous=asked.flag("previous"),
            mark_with=_mark_with(asked),
        )

        def open_job(pipe: int) -> Stream:
            return self._engine.stream("logs", args, fds=[pipe])

        resp.content_type = "text/plain; charset=utf-8"
        resp.stream = streams.Output(self._streams, req.env["gunicorn.socket"].fileno(), open_job)


def _since(asked: Query) -> float:
    """Unix seconds from ``sinceTime`` (RFC 3339) or ``sinceSeconds`` before now, as Kubernetes has them; 0 for none."""
    moment, seconds = asked.text("sinceTime"), asked.number("sinceSeconds", 0)
    if moment and seconds:
        raise Refused(400, "sinceTime and sinceSeconds: give one of them")
    if seconds:
        return time.time() - seconds
    if not moment:
        return 0.0
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        raise Refused(400, f"sinceTime {moment[:40]!r}: expected a time such as 2026-01-02T03:04:05Z") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _mark_with(asked: Query) -> str:
    text = asked.text("markWith")
    if not _MARK.match(text):
        raise Refused(400, "markWith: expected up to 64 letters and digits")
    return text


class Act:
    """``POST …/containers/{name}/{stop|start|restart}``"""

    def __init__(self, engine: EngineClient, action: Literal["stop", "start", "restart"]) -> None:
        self._engine = engine
        self._action: Literal["stop", "start", "restart"] = action

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str, namespace: str) -> None:
        Query(req, ())
        query.key_of(kinds.CONTAINER, namespace, name)
        if body.read_optional_json(req):
            raise Refused(400, f"{self._action} takes no arguments: send no body, or an empty object")
        args = requests.Override(namespace=namespace, name=name, action=self._action)
        replies.send_written(resp, self._engine.call_raw("override", args), with_plan=False)


class Commit:
    """``POST …/containers/{name}/commit`` with an object: perhaps ``reference``, ``author``, ``message``, ``config``
    (members of ``requests.ImageConfig``): lines of progress, then one of the image, or an error."""

    def __init__(self, engine: EngineClient, open_streams: streams.Streams) -> None:
        self._engine = engine
        self._streams = open_streams

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str, namespace: str) -> None:
        Query(req, ())
        query.key_of(kinds.CONTAINER, namespace, name)
        given = records.members(
            body.read_json(req), {}, {"reference": "", "author": "", "message": "", "config": dict[str, object]()}
        )
        args = requests.Commit(
            namespace=namespace,
            name=name,
            reference=stored.reference(given["reference"]) if given["reference"] else "",
            author=transfers.words("author", given["author"]),
            message=transfers.words("message", given["message"]),
            config=transfers.config("config", given["config"]),
        )
        resp.content_type = falcon.MEDIA_JSON
        resp.stream = streams.Lines(
            self._streams,
            req.env["gunicorn.socket"].fileno(),
            functools.partial(self._engine.stream, "commit", args),
            lambda problem: {"error": problem},
        )
