"""What ``pydock get`` shows of a kind beside READY, STATUS and AGE: ``COLUMNS`` of the folder's ``columns``.

The command line loads these modules at every start of ``pydock get``, so they import nothing heavy: no types of specs,
no msgspec.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from reconciler.model import sizes

NONE = "<none>"


class Column(NamedTuple):
    """``cell`` makes the text for an object as the API shows it. ``wide`` columns are shown by ``-o wide`` only;
    ``before_age`` ones stand left of AGE, the others right of it."""

    header: str
    cell: Callable[[dict[str, Any]], str]
    wide: bool = False
    before_age: bool = False


def of_spec(name: str) -> Callable[[dict[str, Any]], str]:
    """The cell that shows a field of ``spec``."""
    return lambda obj: text((obj.get("spec") or {}).get(name))


def of_status(name: str) -> Callable[[dict[str, Any]], str]:
    """The cell that shows a field of ``status``."""
    return lambda obj: text((obj.get("status") or {}).get(name))


def text(value: object) -> str:
    return NONE if value is None or value == "" else str(value)


def size(value: object) -> str:
    """Bytes in the largest unit that fits: ``4.3MiB``."""
    return sizes.text(float(value)) if isinstance(value, int | float) and value else NONE
