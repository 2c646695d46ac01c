"""Registries: what they have, and images that come from them or go to them.

``credentials`` are for the registry of one request, and serve that one only: they are neither stored nor logged.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from reconciler.model.credentials import Credentials
from reconciler.requests.declaration import BASE, Access, Ask, Reference, Request


class Pull(Request, frozen=True):
    """Pulls an image. Streams ``{"status": str, "layer": str, "current": int, "total": int}``; the last item has
    ``"digest"`` too."""

    reference: Reference
    credentials: Credentials | None = None


class Push(Request, frozen=True):
    """Pushes the image of that reference to its registry. Streams as ``Pull`` does."""

    reference: Reference
    credentials: Credentials | None = None


class Tags(Request, frozen=True):
    """The tags of a repository, from its registry → ``{"repository": str, "tags": [str, …]}``, sorted."""

    repository: str
    credentials: Credentials | None = None


class Search(Request, frozen=True):
    """What ``registry`` (host[:port]) finds for ``term`` → ``{"items": [{"name", "description", "stars": int,
    "official": bool}, …]}``, ``limit`` at most."""

    registry: str
    term: str
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 25
    credentials: Credentials | None = None


class Auth(Request, frozen=True):
    """Asks ``registry`` (host[:port]) whether it takes ``credentials`` → ``{"registry": str}``; ``LoginNeeded`` when it
    does not."""

    registry: str
    credentials: Credentials


ASKS = (
    Ask("pull_image", Pull, "POST", f"{BASE}/pull", Access("create", "graph/images"), "registry.pull",
        reply="lines", journal=True),
    Ask("push_image", Push, "POST", f"{BASE}/push", Access("get", "graph/images"), "pushing.push_image",
        reply="lines", journal=True),
    Ask("tags", Tags, "POST", f"{BASE}/tags", Access("get", "registries"), "registry.tags"),
    Ask("search", Search, "POST", f"{BASE}/search", Access("get", "registries"), "registry.search"),
    Ask("auth", Auth, "POST", f"{BASE}/auth", Access("get", "registries"), "logins.auth"),
)  # fmt: skip
