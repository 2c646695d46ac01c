"""What strangers wrote can neither forge a line of the daemon's log nor steer a terminal."""

from __future__ import annotations

import logging

import pytest

from reconciler.bootstrap import messages

FORM = messages.Formatter("%(levelname)s %(name)s: %(message)s")


def shown(text: str, *args: object, error: BaseException | None = None) -> str:
    info = (type(error), error, error.__traceback__) if error else None
    return FORM.format(logging.LogRecord("pydock", logging.WARNING, __file__, 1, text, args, info))


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a\nERROR pydock: forged", r"a\nERROR pydock: forged"),
        ("\x1b[2Jgone\r", r"\x1b[2Jgone\r"),
        ("user\u202etxt.exe\u2066", r"user\u202etxt.exe\u2066"),
        ("\x9b31m\x7f\u2028\ud800", r"\x9b31m\x7f\u2028\ud800"),
        ("größe 10 € 日本", "größe 10 € 日本"),
    ],
)
def test_every_message_is_one_printable_line(text: str, escaped: str) -> None:
    assert shown("%s: refused", text) == f"WARNING pydock: {escaped}: refused"


def test_a_traceback_is_indented_and_escaped() -> None:
    try:
        raise ValueError("bad\nWARNING pydock: forged \x1b[31m")
    except ValueError as error:
        lines = shown("internal error", error=error).splitlines()
    assert lines[0] == "WARNING pydock: internal error"
    assert all(line.startswith("  ") and line.isprintable() for line in lines[1:])
    assert any("ValueError: bad" in line for line in lines)
