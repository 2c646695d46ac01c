"""The rows of the table: each a file with one function ``measure(stage)`` that gives its lines.

A new row is a new file and a line here. Within a row ours and the peers' take turns, round by round, so that what else
the machine does meets all of them.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.report import Line
from bench.rows import adopt, get, heal, idle, images, memory, one, planning, pull, remove, thirty
from bench.stage import Stage

ROWS: dict[str, Callable[[Stage], list[Line]]] = {
    "one": one.measure,
    "thirty": thirty.measure,
    "remove": remove.measure,
    "heal": heal.measure,
    "memory": memory.measure,
    "idle": idle.measure,
    "get": get.measure,
    "adopt": adopt.measure,
    "planning": planning.measure,
    "pull": pull.measure,
    "images": images.measure,
}
