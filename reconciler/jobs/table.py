"""Every job that the Engine can run: the steps of the reconciler, and a handler for each declaration."""

from __future__ import annotations

import importlib

from reconciler.engine import table as steps
from reconciler.engine.engine import Handler
from reconciler.requests import table
from reconciler.requests.declaration import Ask


def handler(ask: Ask) -> Handler:
    """The handler that a declaration names."""
    file, _, function = ask.handler.partition(".")
    run = getattr(importlib.import_module(f"reconciler.jobs.{file}"), function)
    return Handler(run, journal=ask.journal)


def handlers() -> dict[str, Handler]:
    """Job name → handler. Raises ``ValueError`` when a declaration has the name of a step."""
    asked = {name: handler(ask) for name, ask in table.ASKS.items()}
    if taken := steps.TABLE.keys() & asked.keys():
        raise ValueError(f"declared with the name of a step: {', '.join(sorted(taken))}")
    return {**steps.TABLE, **asked}
