"""How far transfers have come: bars at a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from reconciler.cli import columns, table

if TYPE_CHECKING:
    from rich import progress as rich

#: seconds between two lines about the same layer in the same state
EVERY = 5.0


class Display(Protocol):
    """Where progress is shown."""

    def show(self, item: dict[str, Any]) -> None:
        """What is known of one layer by now: ``layer`` (a digest; empty: the whole image), ``status``, ``current`` and
        ``total`` in bytes, as in the items of a pull."""

    def of(self, obj: dict[str, Any]) -> None:
        """What an object's ``status.progress`` says; without one its image has come, or is not being pulled."""

    def end(self) -> None:
        """No transfer is under way any more."""


@contextmanager
def display(stream: TextIO, *, keep: bool = True) -> Iterator[Display]:
    """Shows on ``stream``. ``keep`` leaves bars standing where the last of them ended."""
    shown = Bars(stream, keep=keep) if stream.isatty() else Lines(stream)
    try:
        yield shown
    finally:
        shown.end()


def _items(obj: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """An object's ``status.progress`` as the items of a pull."""
    progress = (obj.get("status") or {}).get("progress") or {}
    for layer in progress.get("layers") or ():
        yield {**layer, "layer": layer.get("digest")}


class Lines:
    """A line for each new state of each layer, and one every few seconds while that lasts."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._seen: set[tuple[str, str]] = set()
        self._told: dict[str, tuple[float, int]] = {}

    def show(self, item: dict[str, Any]) -> None:
        layer, status = str(item.get("layer") or ""), str(item.get("status") or "")
        current, total = int(item.get("current") or 0), int(item.get("total") or 0)
        if not status:
            return
        if (layer, status) not in self._seen:
            self._seen.add((layer, status))
            self._told[layer] = (self._clock(), current)
            self._print(f"{_short(layer)}{status}" + (f" ({columns.size(total)})" if total else ""))
            return
        since, before = self._told[layer]
        passed = self._clock() - since
        if total and current > before and passed >= EVERY:
            self._told[layer] = (since + passed, current)
            speed = columns.size((current - before) / passed)
            self._print(f"{_short(layer)}{status} {current * 100 // total}% of {columns.size(total)}, {speed}/s")

    def of(self, obj: dict[str, Any]) -> None:
        for item in _items(obj):
            self.show(item)

    def end(self) -> None:
        self._stream.flush()

    def _print(self, text: str) -> None:
        print(table.clean(text), file=self._stream, flush=True)


class Bars:
    """One bar a layer. They are begun with the first, since rich takes long to load."""

    def __init__(self, stream: TextIO, *, keep: bool) -> None:
        self._stream, self._keep = stream, keep
        self._bars: rich.Progress | None = None
        self._tasks: dict[str, rich.TaskID] = {}
        self._of: dict[str, set[str]] = {}

    def show(self, item: dict[str, Any]) -> None:
        layer = str(item.get("layer") or "")
        if not layer:
            return
        bars = self._begun()
        if layer not in self._tasks:
            self._tasks[layer] = bars.add_task("")
        text = _plain(f"{_short(layer)}{item.get('status') or ''}")
        bars.update(
            self._tasks[layer], description=text, completed=item.get("current") or 0, total=item.get("total") or None
        )

    def of(self, obj: dict[str, Any]) -> None:
        uid, layers = str(obj["metadata"].get("uid")), set()
        for item in _items(obj):
            self.show(item)
            layers.add(str(item["layer"]))
        self._of[uid] = layers
        if not any(self._of.values()):
            self.end()

    def end(self) -> None:
        if self._bars is not None:
            self._bars.stop()
        self._bars = None
        self._tasks.clear()

    def _begun(self) -> rich.Progress:
        if self._bars is None:
            import sys

            from rich import console
            from rich import progress as rich

            shown = (rich.TextColumn("{task.description}"), rich.BarColumn(), rich.DownloadColumn())
            self._bars = rich.Progress(
                *shown,
                rich.TransferSpeedColumn(),
                console=console.Console(file=self._stream),
                transient=not self._keep,
                # what is printed meanwhile stands above the bars, if it goes to the same place
                redirect_stdout=self._stream is sys.stdout,
                redirect_stderr=self._stream is sys.stderr,
            )
            self._bars.start()
        return self._bars


def _plain(text: str) -> str:
    """Without meaning to rich."""
    from rich import markup

    return markup.escape(table.clean(text))


def _short(layer: str) -> str:
    return f"{layer.removeprefix('sha256:')[:12]}: " if layer else ""
