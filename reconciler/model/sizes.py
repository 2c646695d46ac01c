"""Numbers of bytes for people."""

from __future__ import annotations


def text(number: float) -> str:
    """In the largest unit that fits: ``4.3MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f}{unit}" if unit == "B" else f"{number:.1f}{unit}"
        number /= 1024
    return f"{number:.1f}TiB"
