"""Signals by name, as manifests and image configurations write them."""

from __future__ import annotations

import re
import signal

from reconciler import errors

_REAL_TIME = re.compile(r"(RTMIN|RTMAX)([+-][0-9]{1,2})?\Z")


def number(name: str | int) -> int:
    """The number of ``SIGTERM``, ``term``, ``15``, ``SIGRTMIN+3``. Raises ``errors.Invalid`` for what Linux does not
    know."""
    text = str(name)
    short = text.strip().upper().removeprefix("SIG")
    real_time = _REAL_TIME.match(short)
    if real_time is not None:
        found = int(getattr(signal, "SIG" + real_time[1])) + int(real_time[2] or 0)
    elif short.isascii() and short.isdigit():
        found = int(short[:4])
    else:
        found = int(getattr(signal.Signals, "SIG" + short, 0))
    if not 1 <= found <= int(signal.SIGRTMAX):
        raise errors.Invalid(f"{text[:40]!r} is no signal: expected one such as SIGTERM, QUIT, 15 or SIGRTMIN+3")
    return found


def name(number: int) -> str:
    """``SIGTERM``, ``SIGRTMIN+3``; the number itself where it has no name."""
    first = int(signal.SIGRTMIN)
    if first < number < int(signal.SIGRTMAX):
        return f"SIGRTMIN+{number - first}"
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
