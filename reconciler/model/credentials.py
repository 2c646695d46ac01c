"""A name and a password for a registry: never shown, whatever prints or logs them."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

import msgspec


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What ``pydock login`` asks for. ``username`` has no colon (RFC 7617) and no control characters, since lists show
    it; ``password`` may be empty, or a long token with line ends. ``encoding`` gives the bytes that both stand for:
    latin-1 for those that are no UTF-8. Raises ``ValueError`` for letters that it does not have."""

    username: Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern="^[^:\\x00-\\x1f\\x7f]+\\Z")]
    password: Annotated[str, msgspec.Meta(max_length=16384)]
    encoding: Literal["utf-8", "latin-1"] = "utf-8"

    def __post_init__(self) -> None:
        try:
            self.basic()
        except UnicodeEncodeError:
            raise ValueError(f"a name or password cannot be written in {self.encoding}") from None

    def __repr__(self) -> str:
        return "Credentials(hidden)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []

    def basic(self) -> str:
        """Base64 of ``username:password``: what follows ``Basic`` in an Authorization header, and what docker's
        config.json has as ``auth``."""
        return base64.b64encode(f"{self.username}:{self.password}".encode(self.encoding)).decode("ascii")
