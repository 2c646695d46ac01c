"""How the trees of layers and snapshots are made, copied and removed: what drivers of whole copies differ in."""

from __future__ import annotations

import os
from typing import Protocol

from reconciler.drivers.graph import trees


class Volumes(Protocol):
    """Every method raises ``OSError``."""

    def make(self, path: str, mode: int = 0o700) -> None:
        """An empty tree at ``path``, where nothing is."""

    def copy(self, source: str, target: str) -> None:
        """A tree at ``target``, where nothing is, that is like the one at ``source`` and apart from it."""

    def remove(self, path: str) -> None:
        """Removes what is at ``path``, trees below it too. Gone already: no effect."""


class Directories:
    """``Volumes`` of plain directories."""

    def make(self, path: str, mode: int = 0o700) -> None:
        os.mkdir(path, mode)

    def copy(self, source: str, target: str) -> None:
        os.mkdir(target, 0o700)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        above = os.open(source, flags)
        try:
            below = os.open(target, flags)
            try:
                trees.Copier(above, below).run()
            finally:
                os.close(below)
        finally:
            os.close(above)

    def remove(self, path: str) -> None:
        trees.remove_path(path)
