"""A layer that was unpacked before those below it, and how it is put on them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from reconciler.drivers.graph import extraction, layer_tree, stacked, trees, volumes

#: of directories that a layer only implies, times the layers below
_MOST_LOOKUPS = 20_000


class Prepared:
    """``base.Prepared``: its tree lies aside, at ``path``."""

    def __init__(self, chain: str, path: str, result: extraction.Result, volumes: volumes.Volumes) -> None:
        self.chain, self.path, self.result, self._volumes = chain, path, result, volumes

    def discard(self) -> None:
        self._volumes.remove(self.path)

    def put_on(self, lower: Sequence[str]) -> bool:
        """Gives the tree what only the layers below can tell: what directories are like that its archive only implies.
        ``lower``: their trees, top first. False if they are none there: then it should have been unpacked elsewhere."""
        result = self.result
        if len(result.implied) * len(lower) > _MOST_LOOKUPS:
            return False
        root = [] if result.rooted else [(b"", True)]
        bare = {path for path, is_bare in (*root, *result.implied) if is_bare}
        try:
            for path, is_bare in (*root, *result.implied):
                with stacked.directory(lower, path) as below, stacked.directory([self.path], path) as made:
                    if is_bare and made >= 0:
                        _dress(made, below, inherits=path.rpartition(b"/")[0] in bare)
        except stacked.NoDirectory:
            return False
        return True


def _dress(made: int, below: int, *, inherits: bool) -> None:
    """Makes an implied directory like what shows of it ``below``, or if nothing does (-1) as one that is new there.
    ``inherits``: the one that it is in had still to be told by the layers below when this was made."""
    if below >= 0:
        found = os.fstat(below)
        trees.metadata(below, made, found)
        os.utime(made, ns=(found.st_mtime_ns, found.st_mtime_ns))
    elif inherits:
        layer_tree.dress_implied(made, os.stat("..", dir_fd=made))
