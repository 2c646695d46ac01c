"""Logins for registries that the host keeps for its own pulls."""

from __future__ import annotations

from reconciler.model.credentials import Credentials
from reconciler.requests.declaration import BASE, Access, Ask, Request


class LoginKeep(Request, frozen=True):
    """Keeps ``credentials`` for the host's own pulls, and for those that bring none, if the registry takes them;
    ``scope`` is REGISTRY[/REPOSITORY], the longest one that an image is in counts → ``{"scope": str}``; ``LoginNeeded``
    when the registry does not take them."""

    scope: str
    credentials: Credentials


class LoginRemove(Request, frozen=True):
    """Forgets the login of a scope → ``{"scope": str, "removed": bool}``"""

    scope: str


class Logins(Request, frozen=True):
    """The logins that the host keeps → ``{"items": [{"scope", "username", "since", "problem"}, …]}``, sorted by scope;
    ``problem`` says why one cannot be read. Never a password."""


ASKS = (
    Ask("logins", Logins, "GET", f"{BASE}/logins", Access("list", "logins"), "logins.logins"),
    Ask("login_keep", LoginKeep, "POST", f"{BASE}/logins", Access("create", "logins"), "logins.keep", journal=True),
    Ask("login_remove", LoginRemove, "POST", f"{BASE}/logins/remove", Access("delete", "logins"), "logins.remove",
        journal=True),
)  # fmt: skip
