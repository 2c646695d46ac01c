"""Sources of manifests, and what they hold back."""

from __future__ import annotations

from reconciler.requests.declaration import BASE, Access, Ask, Request


class Sources(Request, frozen=True):
    """The sources → ``{"items": [{"name", "path", "state": "ok"|"held"|"unavailable", "objects": int, "files":
    [{"path", "state", "objects", "problems": [str]}], "held": [str], "digest": str, "message": str}]}``; ``held`` lists
    the objects whose removal waits, ``digest`` names exactly that set."""


class Ack(Request, frozen=True):
    """Acknowledges the held removals of a source: exactly the set that ``digest`` names → ``{"removed": [str, …]}``.
    ``Conflict`` when the set has changed since."""

    name: str
    digest: str


ASKS = (
    Ask("sources", Sources, "GET", f"{BASE}/sources", Access("list", "sources"), "sources.sources"),
    Ask("ack", Ack, "POST", f"{BASE}/sources/ack", Access("update", "sources/held"), "sources.ack"),
)
