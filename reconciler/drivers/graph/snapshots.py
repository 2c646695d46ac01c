"""Snapshots on disk: a directory each, named by the incarnation's id, that appears and disappears whole.

``snapshots/ID/base`` is a symbolic link whose text is the top layer's chain id: a short link lives in its inode, so
that making a snapshot changes names only, needs no sync, and a power cut leaves all of it or nothing.
"""

from __future__ import annotations

import os
import re

from reconciler import errors, failpoints
from reconciler.drivers.graph import files, volumes

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_BASE = "base"


class Snapshots:
    def __init__(self, root: str, temporaries: str, trees: volumes.Volumes) -> None:
        self.directory = os.path.join(root, "snapshots")
        self._temporaries, self._trees = temporaries, trees
        os.makedirs(self.directory, mode=0o700, exist_ok=True)

    def path(self, id: str) -> str:
        """Raises ``Invalid`` for an id that is no plain name."""
        if not _ID.fullmatch(id):
            raise errors.Invalid(f"snapshot id {id!r} is not a plain name")
        return os.path.join(self.directory, id)

    def base(self, id: str) -> str | None:
        """The chain id that the snapshot is over; None if there is no such snapshot."""
        try:
            return os.readlink(os.path.join(self.path(id), _BASE)).removeprefix("chain ")
        except FileNotFoundError:
            return None

    def check(self, id: str, top: str) -> bool:
        """Whether the snapshot exists. Raises ``Conflict`` if it does, over something else than ``top``."""
        found = self.base(id)
        if found is not None and found != top:
            raise errors.Conflict(f"snapshot {id} is over {found or 'no layer'}, not over {top or 'no layer'}")
        return found is not None

    def begin(self, top: str) -> str:
        """A directory aside that becomes a snapshot by ``finish``."""
        aside = files.temporary(self._temporaries, "snapshot")
        os.mkdir(aside, 0o700)
        os.symlink(f"chain {top}", os.path.join(aside, _BASE))
        return aside

    def finish(self, aside: str, id: str) -> None:
        failpoints.hit("graph.snapshot.make.after")
        os.rename(aside, self.path(id))
        failpoints.hit("graph.snapshot.name.after")

    def remove(self, id: str) -> None:
        """The name goes at once, the data then."""
        aside = files.temporary(self._temporaries, "gone")
        try:
            os.rename(self.path(id), aside)
        except FileNotFoundError:
            return
        failpoints.hit("graph.snapshot.remove.name.after")
        self._trees.remove(aside)
        failpoints.hit("graph.snapshot.remove.data.after")

    def all(self) -> tuple[str, ...]:
        return tuple(sorted(os.listdir(self.directory)))
