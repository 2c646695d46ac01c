"""What both parsers say of a text, piece by piece, so that limits hold before anything is built of it.

A stream of a document is ``DOCUMENT``, one node, ``END``; a node is ``SCALAR``, ``ALIAS``, or ``MAP`` or ``LIST`` with
its nodes and ``CLOSE``. In a map, keys and values take turns.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from reconciler import errors

DOCUMENT, END, MAP, LIST, CLOSE, SCALAR, ALIAS = range(7)


class Event(NamedTuple):
    """``line`` and ``column`` count from 1. A scalar has its ``value`` and, where YAML's plain style leaves its type to
    guesswork, the ``text`` as written; ``doubt`` says why the text must not be guessed at. ``anchor`` names the node,
    or is what an alias refers to."""

    what: int
    line: int
    column: int
    value: Any = None
    text: str = ""
    doubt: str = ""
    anchor: str = ""


class Broken(Exception):
    """The text cannot be read any further."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column

    def problem(self, file: str, field: str = "") -> errors.Problem:
        return errors.Problem(self.message, field, file, self.line, self.column)
