"""Every job that may be asked for: a handler for each declaration."""

from __future__ import annotations

import importlib

from reconciler.engine.engine import Handler
from reconciler.requests import table
from reconciler.requests.declaration import Ask


def handler(ask: Ask) -> Handler:
    """The handler that a declaration names."""
    file, _, function = ask.handler.partition(".")
    run = getattr(importlib.import_module(f"reconciler.jobs.{file}"), function)
    return Handler(run, journal=ask.journal)


def handlers() -> dict[str, Handler]:
    """Job name → handler."""
    return {name: handler(ask) for name, ask in table.ASKS.items()}
