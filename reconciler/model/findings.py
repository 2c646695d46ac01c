"""What is wrong with a manifest: a place in it, and a sentence."""

from __future__ import annotations

from typing import NamedTuple

Path = tuple[str | int, ...]


class Finding(NamedTuple):
    """``at_key``: the key itself is wrong. ``scalar``: a text was meant, another scalar was found, which quotes may
    mend."""

    path: Path
    message: str
    at_key: bool = False
    scalar: bool = False


def quote(value: str) -> str:
    """A text in quotes, shortened, with nothing that a terminal would act on."""
    short = value if len(value) <= 60 else value[:57] + "..."
    return '"' + "".join(char if char.isprintable() else ascii(char)[1:-1] for char in short) + '"'
