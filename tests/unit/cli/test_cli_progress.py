"""Progress: a line where something changes, and now and then one in between; bars at a terminal."""

from __future__ import annotations

import io
from typing import Any

from reconciler.cli import progress

LAYER = "sha256:" + "a" * 64


def item(status: str, current: int, total: int = 10 << 20, layer: str = LAYER) -> dict[str, Any]:
    return {"status": status, "layer": layer, "current": current, "total": total}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_lines_are_few_however_often_progress_comes() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = progress.Lines(stream, clock)
    for tick in range(1001):
        clock.now = 100.0 + tick / 100
        lines.show(item("downloading", tick * 10 << 10))
    lines.show(item("unpacked", 10 << 20))
    lines.show(item("", 0))
    assert stream.getvalue() == (
        "aaaaaaaaaaaa: downloading (10.0MiB)\n"
        "aaaaaaaaaaaa: downloading 48% of 10.0MiB, 1000.0KiB/s\n"
        "aaaaaaaaaaaa: downloading 97% of 10.0MiB, 1000.0KiB/s\n"
        "aaaaaaaaaaaa: unpacked (10.0MiB)\n"
    )


def test_what_stands_still_is_not_repeated() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = progress.Lines(stream, clock)
    for _ in range(10):
        clock.now += 60
        lines.show(item("unpacking", 10 << 20))
    assert stream.getvalue().count("\n") == 1


def test_the_layers_of_a_status() -> None:
    stream = io.StringIO()
    lines = progress.Lines(stream)
    layer = {"digest": LAYER, "status": "downloading", "current": 1, "total": 2048}
    lines.of({"status": {"progress": {"layers": [layer]}}})
    lines.of({"status": {}})
    assert stream.getvalue() == "aaaaaaaaaaaa: downloading (2.0KiB)\n"


def test_elsewhere_than_at_a_terminal_no_bars() -> None:
    stream = io.StringIO()
    with progress.display(stream) as shown:
        shown.show(item("a\x1b[31m", 1, layer="x"))
    assert stream.getvalue() == "x: a\\x1b[31m (10.0MiB)\n"
