"""The fronts, one row each."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any

from reconciler.api import streams
from reconciler.ipc import EngineClient

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

#: folders of ``reconciler.api.fronts``; the first one that owns a path answers it, the last one owns the rest
FRONTS = (
    # the last one
    "native",
)


def make_app(engine: EngineClient, open_streams: streams.Streams, names: Iterable[str] = FRONTS) -> Wsgi:
    """The WSGI application of all fronts together."""
    packages = [importlib.import_module(f"reconciler.api.fronts.{name}") for name in names]
    made: list[tuple[Callable[[str], bool], Wsgi]] = [(each.owns, each.make(engine, open_streams)) for each in packages]
    (*others, (_, last)) = made

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        return next((each for owns, each in others if owns(path)), last)(environ, start_response)

    return app
