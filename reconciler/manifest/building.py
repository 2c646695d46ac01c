"""From events to plain values (dict, list, str, int, float, bool, None), within limits.

Nothing recurses; a limit holds before what breaks it is built. An alias counts as much as what it stands for, so a
document's size is the size of its meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from reconciler import errors
from reconciler.manifest import events, paths, text

MAX_DEPTH = 64
MAX_NODES = 50_000
#: characters of all scalars of a document, aliases expanded
MAX_CHARACTERS = 2 << 20

Report = Callable[[errors.Problem], None]


class Tree(NamedTuple):
    """One document's value and where it starts."""

    value: Any
    line: int
    column: int


class _Frame:
    """An open map or list. ``places`` holds the line of each key; ``height`` how deep what it holds goes."""

    __slots__ = ("anchor", "at_key", "characters", "height", "key", "nodes", "places", "value")

    def __init__(self, value: dict[str, Any] | list[Any], anchor: str, nodes: int, characters: int) -> None:
        self.value, self.anchor, self.nodes, self.characters = value, anchor, nodes, characters
        self.key: str = ""
        self.at_key = isinstance(value, dict)
        self.places: dict[str, int] = {}
        self.height = 0


class _Anchored(msgspec.Struct, frozen=True):
    value: Any
    nodes: int
    characters: int
    height: int


class _Builder:
    """Builds one document."""

    def __init__(self, report: Report, max_nodes: int) -> None:
        self._report, self._max_nodes = report, max_nodes
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Anchored | None] = {}
        self._nodes = self._characters = 0
        self.root: Any = None

    def take(self, event: events.Event) -> None:
        what = event.what
        if what == events.SCALAR:
            self._scalar(event)
        elif what == events.CLOSE:
            self._close()
        elif what == events.ALIAS:
            self._alias(event)
        else:
            self._open(event)

    def _scalar(self, event: events.Event) -> None:
        value = event.value
        size = len(value) if isinstance(value, str) else len(event.text)
        self._count(1, size, event)
        if self._at_key():
            self._key(event)
            return
        if isinstance(value, str):
            wrong = _doubtful(event) if event.doubt else text.unfit(value)
            if wrong:
                self._problem(wrong, event)
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(value, 1, size, 0)
        self._add(value)

    def _key(self, event: events.Event) -> None:
        frame, key = self._frames[-1], event.value
        if not isinstance(key, str) or event.doubt:
            key = event.text
            self._problem(
                f"the key {_short(key)} is not read as text by every reader: write {_quoted(key)}", event, key
            )
        elif key == "<<":
            self._problem("merge keys (<<) are not supported: write the fields out", event, key)
        elif text.unfit(key):
            self._problem(text.unfit(key), event, key)
        frame.key, frame.at_key = key, False
        if key in frame.places:
            self._problem(f"the key {_short(key)} is given twice: first in line {frame.places[key]}", event, key)
        frame.places.setdefault(key, event.line)

    def _open(self, event: events.Event) -> None:
        if self._at_key():
            raise events.Broken("a map or list cannot be a key", event.line, event.column)
        self._count(1, 0, event)
        if len(self._frames) >= MAX_DEPTH:
            raise events.Broken(f"nested too deep: more than {MAX_DEPTH} levels", event.line, event.column)
        value: dict[str, Any] | list[Any] = {} if event.what == events.MAP else []
        self._add(value)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._frames.append(_Frame(value, event.anchor, self._nodes - 1, self._characters))

    def _close(self) -> None:
        frame = self._frames.pop()
        if frame.anchor:
            size = self._nodes - frame.nodes, self._characters - frame.characters
            self._anchors[frame.anchor] = _Anchored(frame.value, *size, frame.height + 1)
        if self._frames:
            self._frames[-1].height = max(self._frames[-1].height, frame.height + 1)

    def _alias(self, event: events.Event) -> None:
        if self._at_key():
            raise events.Broken("an alias cannot be a key", event.line, event.column)
        if event.anchor not in self._anchors:
            raise events.Broken(f"the alias *{event.anchor[:40]} refers to no anchor", event.line, event.column)
        found = self._anchors[event.anchor]
        if found is None:
            raise events.Broken(
                f"the alias *{event.anchor[:40]} stands inside of what it names", event.line, event.column
            )
        self._count(found.nodes, found.characters, event)
        if len(self._frames) + found.height > MAX_DEPTH:
            raise events.Broken(f"nested too deep: more than {MAX_DEPTH} levels", event.line, event.column)
        if self._frames:
            self._frames[-1].height = max(self._frames[-1].height, found.height)
        self._add(found.value)

    def _add(self, value: Any) -> None:
        if not self._frames:
            self.root = value
            return
        frame = self._frames[-1]
        if isinstance(frame.value, list):
            frame.value.append(value)
        else:
            frame.value[frame.key] = value
            frame.at_key = True

    def _at_key(self) -> bool:
        return bool(self._frames) and self._frames[-1].at_key

    def _count(self, nodes: int, characters: int, event: events.Event) -> None:
        self._nodes += nodes
        self._characters += characters
        if self._nodes > self._max_nodes:
            raise events.Broken(
                f"too large: more than {self._max_nodes} values in one document", event.line, event.column
            )
        if self._characters > MAX_CHARACTERS:
            raise events.Broken(
                f"too large: more than {MAX_CHARACTERS} characters of text in one document", event.line, event.column
            )

    def _problem(self, message: str, event: events.Event, key: str | None = None) -> None:
        path = [_entered(frame) for frame in self._frames[:-1]]
        if self._frames:
            path.append(_present(self._frames[-1]) if key is None else key)
        self._report(errors.Problem(message, paths.render(tuple(path)), "", event.line, event.column))


def build(stream: Iterable[events.Event], report: Report, max_nodes: int = MAX_NODES) -> Iterator[Tree]:
    """The documents of ``stream`` one after the other. What is wrong but lets reading go on is reported; the rest
    raises ``events.Broken``."""
    start = events.Event(events.DOCUMENT, 1, 1)
    builder = _Builder(report, max_nodes)
    for event in stream:
        if event.what == events.DOCUMENT:
            builder, start = _Builder(report, max_nodes), event
        elif event.what == events.END:
            yield Tree(builder.root, start.line, start.column)
        else:
            builder.take(event)


def _present(frame: _Frame) -> str | int:
    """The step to the value that is read now."""
    return frame.key if isinstance(frame.value, dict) else len(frame.value)


def _entered(frame: _Frame) -> str | int:
    """The step to the open collection that was added last."""
    return frame.key if isinstance(frame.value, dict) else len(frame.value) - 1


def _doubtful(event: events.Event) -> str:
    said = f"{_short(event.text)} is not clear: {event.doubt}"
    return f"{said}; write {_quoted(event.text)} to mean the text, or a plain decimal number"


def _quoted(value: str) -> str:
    return '"' + _short(value) + '"'


def _short(value: str) -> str:
    return value if len(value) <= 40 else value[:37] + "..."
