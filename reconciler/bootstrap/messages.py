"""The log on standard error: one message, one record, whatever strangers have put into it."""

from __future__ import annotations

import logging
import sys


class Formatter(logging.Formatter):
    """Shows control characters and those that reorder text (U+202E and its like) as escapes, so that no manifest,
    image or registry can forge a line of the log or steer a terminal. The lines of a traceback are indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The first line is the message, escaped; a traceback follows line by line."""
        traceback = record.exc_text or (self.formatException(record.exc_info) if record.exc_info else "")
        stack = self.formatStack(record.stack_info) if record.stack_info else ""
        record.message = escaped(record.getMessage())
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        more = f"{traceback}\n{stack}".splitlines()
        return "\n".join([self.formatMessage(record), *(f"  {escaped(line)}" for line in more if line)])


def escaped(text: str) -> str:
    r"""``text`` on one line, every character that does not print shown as ``\n``, ``\x1b``, ``\u202e`` …"""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def to_standard_error(level: int, form: str) -> None:
    """Sends the log of this process to standard error, in the form of ``logging.Formatter``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(form))
    logging.basicConfig(level=level, handlers=[handler])
