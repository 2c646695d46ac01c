"""Whose references a network's plan asks for."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds.network import plan
from reconciler.model import refs as to
from reconciler.model.view import Entry


def users(entry: Entry) -> Iterator[str]:
    """Before it is removed, and before a change that makes its containers anew: everything that has an address in it or
    names it."""
    if entry.desired.deleting_at is not None or plan.moves_users(entry):
        yield to.uid_target(entry.desired.uid)
    if plan.moves_users(entry):
        yield str(entry.desired.key)
