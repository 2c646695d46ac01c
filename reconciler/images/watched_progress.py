"""What a watch shows between two changes: how far the images of the objects it is about have come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from reconciler.images.service import ImageService
from reconciler.kinds import render
from reconciler.model import kinds

#: seconds between two looks; more where they take long, so that they are no more than a tenth of the time
EVERY, _REST = 0.5, 9


class WatchedProgress:
    """The objects of one kind whose images are under way, as one watch shows them. Nothing is stored for it, and none
    takes a revision: an object is told again with the one it has.

    ``matches`` says whether the watch is about an object.
    """

    def __init__(self, service: ImageService, kind: str, matches: Callable[[dict[str, Any]], bool]) -> None:
        self._service, self._kind, self._matches = service, kinds.find(kind).name, matches
        self._next = 0.0

    def due(self) -> list[dict[str, Any]]:
        """Those that are being pulled now; none before it is time again."""
        now = time.monotonic()
        if not self._service.running or now < self._next:
            return []
        found = [obj for obj in self._concerned() if "progress" in obj["status"] and self._matches(obj)]
        ended = time.monotonic()
        self._next = ended + max(EVERY, _REST * (ended - now))
        return found

    def _concerned(self) -> list[dict[str, Any]]:
        running = self._service.running
        with self._service.store.snapshot() as session:
            wanted = session.objects.find(kind=self._kind)
            pulled = [each for each in wanted if running.concerning(self._kind, each.spec) is not None]
            found = [render.api_object(each, session.observed.get(each.uid)) for each in pulled]
        return [running.put_into(obj) for obj in found]
