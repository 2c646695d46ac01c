"""The service itself."""

from __future__ import annotations

from reconciler.requests.declaration import Access, Ask, Request


class Version(Request, frozen=True):
    """Version and drivers → ``{"version", "apiVersion", "commit", "python", "os", "arch", "kernel", "instance",
    "drivers": {"exec", "graph", "network", "registry"}}``"""


class Ping(Request, frozen=True):
    """Whether the first plan was made → ``{"ready": bool}``"""


class Commands(Request, frozen=True):
    """Every handler that the Engine has → ``{"commands": [str, …]}``."""


ASKS = (
    Ask("version", Version, "GET", "/version", Access("get", "version"), "service.version"),
    Ask("ping", Ping, "GET", "/readyz", Access("get", "health"), "service.ping", reply="health"),
    Ask("commands", Commands, "GET", "/commands", Access("get", "version"), "service.commands"),
)
