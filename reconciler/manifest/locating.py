"""Finds the places of fields by a second reading of a text that had problems, so that it costs nothing for a good
text."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from reconciler.manifest import events, paths


class Spot(NamedTuple):
    """``line`` and ``column`` of a value and of its key (the value's own where it has none), from 1. ``text`` is a
    plain scalar as written, empty for a text in quotes."""

    line: int
    column: int
    key_line: int
    key_column: int
    text: str = ""


Spots = dict[paths.Path, Spot]


class _Walk:
    """The path of each node of one document."""

    def __init__(self, wanted: set[paths.Path]) -> None:
        self.spots: Spots = {}
        self._wanted = wanted
        self._steps: list[str | int] = []
        self._is_map: list[bool] = []
        self._key: events.Event | None = None

    def take(self, event: events.Event) -> None:
        if event.what == events.CLOSE:
            self._steps.pop()
            self._is_map.pop()
            self._next()
        elif self._is_map and self._is_map[-1] and self._key is None:
            self._key = event
            self._steps[-1] = event.value if isinstance(event.value, str) else event.text
        else:
            self._node(event)

    def _node(self, event: events.Event) -> None:
        path = tuple(self._steps)
        if path in self._wanted:
            key = self._key or event
            self.spots[path] = Spot(event.line, event.column, key.line, key.column, event.text)
        if event.what in (events.MAP, events.LIST):
            self._is_map.append(event.what == events.MAP)
            self._steps.append("" if self._is_map[-1] else 0)
            self._key = None
        else:
            self._next()

    def _next(self) -> None:
        self._key = None
        if self._steps and not self._is_map[-1]:
            self._steps[-1] = int(self._steps[-1]) + 1


def find(stream: Iterable[events.Event], wanted: Mapping[int, Collection[paths.Path]]) -> dict[int, Spots]:
    """The spots of the wanted paths of each document, by its index. A path that is missing has the spot of its nearest
    ancestor. Reads no further than needed; if the text cannot be read to its end, spots are found up to there.
    """
    found: dict[int, Spots] = {}
    last = max(wanted, default=-1)
    index, walk = -1, _Walk(set())
    with contextlib.suppress(events.Broken):
        for event in stream:
            if event.what == events.DOCUMENT:
                index += 1
                walk = _Walk({path[:length] for path in wanted.get(index, ()) for length in range(len(path) + 1)})
            elif event.what != events.END:
                walk.take(event)
            elif index in wanted:
                found[index] = {path: spot for path in wanted[index] if (spot := _nearest(walk.spots, path))}
            if event.what == events.END and index >= last:
                break
    return found


def _nearest(spots: Spots, path: paths.Path) -> Spot | None:
    for length in range(len(path), -1, -1):
        spot = spots.get(path[:length])
        if spot is not None:
            return spot if length == len(path) else spot._replace(line=spot.key_line, column=spot.key_column, text="")
    return None
