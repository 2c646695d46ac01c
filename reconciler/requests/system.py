"""The graph as a whole: what takes the disk, what may go, what is damaged."""

from __future__ import annotations

from reconciler.requests.declaration import BASE, Access, Ask, Request


class SystemDf(Request, frozen=True):
    """What takes the disk, in bytes → ``{"driver", "disk": {"size", "free", "usedPercent"}, "images": [item of
    ``Images`` with ``usedAt`` (Unix seconds, 0: not known), …], "layers", "blobs", "reclaimable", "containers":
    [{"key", "id", "running": bool, "size"}, …], "leftovers": [{"what": "layer"|"blob"|"snapshot", "name", "size"}, …],
    "pulling": bool, "collection": {"high", "low", "min_age", "max_age"}, "warning": str}``. Images' parts are counted
    once; ``reclaimable`` goes with all images that are not used; there are no leftovers of images while one is pulled.
    ``collection`` is a ``model.collection.Policy``; ``warning`` says when it cannot do what it should."""


class Collectible(Request, frozen=True):
    """What the automatic garbage collection would remove now → as ``ImagesUnused`` (least recently used first) with
    ``"leftovers"`` as in ``SystemDf``, and ``"lacking": int``: bytes that should go besides and cannot."""


class Collect(Request, frozen=True):
    """Runs the garbage collection of images now → ``{"removed": [reference, …], "freed": int}``"""


class LeftoversRemove(Request, frozen=True):
    """Removes leftovers (see ``SystemDf``), or with ``dry_run`` only tells → ``{"items": […], "freed": int}``.
    ``Conflict`` while an image is pulled or pushed."""

    dry_run: bool = False


class SystemCheck(Request, frozen=True):
    """Looks for damage, and repairs it with ``repair``. Streams ``engine.checking.Finding`` for each; the last item is
    ``{"summary": engine.checking.Summary}``."""

    repair: bool = False


_HERE = f"{BASE}/system"
_GONE = Access("delete", "graph/images")
ASKS = (
    Ask("system_df", SystemDf, "GET", f"{_HERE}/df", Access("get", "system"), "system.df"),
    Ask("collectible", Collectible, "GET", f"{_HERE}/collection", Access("get", "system"), "system.collectible"),
    Ask("collect", Collect, "POST", f"{_HERE}/collection", _GONE, "system.collect", journal=True),
    Ask("leftovers_remove", LeftoversRemove, "POST", f"{_HERE}/leftovers/remove", _GONE, "system.remove_leftovers",
        journal=True),
    Ask("system_check", SystemCheck, "POST", f"{_HERE}/check", Access("update", "system"), "system.check",
        reply="lines", journal=True),
)  # fmt: skip
