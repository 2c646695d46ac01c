"""Observation: what is true of an object now, read from the drivers and noted in the store before planning."""

from __future__ import annotations

from reconciler.engine import effects
from reconciler.engine.parts import Parts
from reconciler.model.keys import Key


class Observer:
    """``observe(key)`` is level-triggered: it reads the present state, whichever event asked for it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def observe(self, key: Key, closely: bool) -> bool:
        """Looks at all objects of that key, and returns whether anything has changed. ``closely`` also compares mounts,
        links, rules and limits (some milliseconds)."""
        with self._parts.store.snapshot() as session:
            entries = session.entries([key])
        observe = effects.of(key.kind).observe
        news = [observe(self._parts, entry, closely) for entry in entries]
        return any(news)
