"""Sources of manifests, and what they hold back."""

from __future__ import annotations

from reconciler.requests.declaration import BASE, Access, Ask, Request


class Sources(Request, frozen=True):
    """The sources → ``{"items": [{"name", "path", "state", "objects": int, "files": [{"path", "state", "objects",
    "problems": [str], "message": str}], "held": [str], "digest": str, "message": str}]}``; ``held`` lists the objects
    whose removal waits, ``digest`` names exactly that set.

    A source is ``ok`` when what its files say is in force; else, the gravest first: ``unavailable`` (its place cannot
    be read), ``held``, ``problems`` (some files are not in force as written), ``stopped`` (nobody follows it). A file
    is ``ok``; ``invalid`` or ``refused`` (another owner holds what it names): its version before stays; ``empty``: what
    it held stays; ``unreadable``; ``writing`` (a program has it open for writing); ``pending`` (not quiet for long
    enough); ``gone`` (what it held is removed soon, unless it comes back)."""


class Ack(Request, frozen=True):
    """Acknowledges the held removals of a source: exactly the set that ``digest`` names → ``{"removed": [str, …]}``.
    ``Conflict`` when the set has changed since."""

    name: str
    digest: str


ASKS = (
    Ask("sources", Sources, "GET", f"{BASE}/sources", Access("list", "sources"), "sources.sources"),
    Ask("ack", Ack, "POST", f"{BASE}/sources/ack", Access("update", "sources/held"), "sources.ack"),
)
