"""Durations as Go reads them."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhd])")


def seconds(text: str) -> float:
    """The seconds of ``30``, ``30s``, ``1m30s`` or ``1.5h``. Raises ``ValueError``."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration: expected something like 30s, 1m30s or 2h")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
