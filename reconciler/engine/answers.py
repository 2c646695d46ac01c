"""Room for answers that are under way: what was made for a caller and has not been read yet."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from reconciler import errors

#: bytes of all unread answers, and what large ones may have of that: a page of a list always finds room
TOTAL = 64 << 20
FOR_LARGE = 48 << 20
#: bytes from which an answer is large
LARGE = 4 << 20


class Room:
    """Bounds the memory that callers can make the daemon hold by asking much and reading nothing."""

    def __init__(self, total: int = TOTAL, for_large: int = FOR_LARGE, large: int = LARGE) -> None:
        self._total, self._for_large, self._large = total, for_large, large
        self._lock = threading.Lock()
        self._used = 0

    @property
    def used(self) -> int:
        """Bytes taken now."""
        return self._used

    @contextmanager
    def answer(self) -> Iterator[Share]:
        """One answer's share, all given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            share.give(share.size)

    def take(self, size: int, has: int) -> None:
        """Raises ``Temporary`` when there is no room for ``size`` bytes more of an answer that ``has`` some already,
        ``Invalid`` when it is too large in any case."""
        if has + size > self._for_large:
            raise errors.Invalid(
                f"the answer has more than {self._for_large >> 20} MiB: ask for it in pages (limit and continue), or "
                "narrow it with a selector or a namespace"
            )
        most = self._for_large if has + size > self._large else self._total
        with self._lock:
            if self._used + size > most:
                raise errors.Temporary(
                    "too many large answers are being read: "
                    "try again in a moment, or ask for pages (limit and continue)",
                    delay=2.0,
                )
            self._used += size

    def give(self, size: int) -> None:
        with self._lock:
            self._used -= size


class Share:
    """What one answer has of the room. ``size`` in bytes."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.size = 0

    def take(self, size: int) -> None:
        """See ``Room.take``."""
        self._room.take(size, self.size)
        self.size += size

    def give(self, size: int) -> None:
        """``size`` bytes were read."""
        self._room.give(size)
        self.size -= size
