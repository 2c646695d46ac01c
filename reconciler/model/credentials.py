"""A name and a password for a registry: never shown, whatever prints or logs them."""

from __future__ import annotations

import base64
from typing import Annotated, Any

import msgspec


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``pydock login`` asks for. ``username`` has no colon and no control characters (RFC 7617); ``password`` may
    be a long token."""

    username: Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern="^[^:\\x00-\\x1f\\x7f]+\\Z")]
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=16384, pattern="^[^\\x00-\\x1f\\x7f]+\\Z")]

    def __repr__(self) -> str:
        return "Credentials(hidden)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []

    def basic(self) -> str:
        """Base64 of ``username:password``: what follows ``Basic`` in an Authorization header, and what docker's
        config.json has as ``auth``."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")
