"""What a run of ``pydock`` in a test's own process gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Ran(NamedTuple):
    """The exit status, and what was printed to each stream."""

    status: int
    out: str
    err: str


#: takes the arguments of a command line
Run = Callable[..., Ran]
