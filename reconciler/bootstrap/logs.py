"""The log on the standard error, of both processes: one line a message, whatever strangers put into it."""

from __future__ import annotations

import logging
import sys

from reconciler.model.visible import visible


class Formatter(logging.Formatter):
    """Escapes what a message or a traceback quotes. Lines of a traceback are marked: none looks like a
    message."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = visible(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:
        text = super().formatException(ei)  # type: ignore[arg-type]
        return "\n".join(f"  | {visible(line)}" for line in text.split("\n"))


def to_stderr(level: int, layout: str) -> None:
    """Sets the root logger up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(layout))
    logging.basicConfig(level=level, handlers=[handler])
