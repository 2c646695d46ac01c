"""The log: what strangers write into a message stays in its line."""

from __future__ import annotations

import logging
import sys

import pytest

from reconciler.bootstrap import logs
from reconciler.model.visible import visible

FORGED = "web\n2026-01-01 INFO pydock: all is well\x1b[2K\x9b1A\r\u202egnp.exe\u2028next"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with ü and 日本", "plain, with ü and 日本"),
        ("a\tb\nc\rd", "a\\tb\\nc\\rd"),
        ("\x1b[31mred\x07\x00\x7f\x9b", "\\x1b[31mred\\x07\\x00\\x7f\\x9b"),
        ("a\u202eb\u2066c\u2069\u200f\u061c", "a\\u202eb\\u2066c\\u2069\\u200f\\u061c"),
        ("a\u2028b\u2029", "a\\u2028b\\u2029"),
    ],
)
def test_what_could_change_a_terminal_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def record(message: str, *args: object, info: bool = False) -> logging.LogRecord:
    return logging.LogRecord("pydock", logging.INFO, "", 1, message, args, sys.exc_info() if info else None)


def test_a_message_is_one_line() -> None:
    line = logs.Formatter("%(levelname)s %(message)s").format(record("cannot start %s", FORGED))
    assert line.startswith("INFO cannot start web\\n2026-01-01 INFO pydock")
    assert line.isprintable()


def test_a_traceback_that_quotes_a_stranger_forges_no_line() -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        text = logs.Formatter("%(levelname)s %(message)s").format(record("failed", info=True))
    first, *rest = text.split("\n")
    assert first == "INFO failed"
    assert all(line.startswith("  | ") and line.isprintable() for line in rest)
