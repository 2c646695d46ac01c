"""Memory of a process with many threads, most of which are gone again after a burst of work."""

from __future__ import annotations

import contextlib
import ctypes

#: M_ARENA_MAX of <malloc.h>
_ARENA_MAX = -8


def keep_to_one_arena() -> None:
    """From now on all threads allocate from one arena. glibc gives each its own otherwise, and what a burst leaves in
    them stays: 10 MB after 30 containers were started at once. Python's lock lets one thread run at a time anyway.
    Other C libraries have no such arenas."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
