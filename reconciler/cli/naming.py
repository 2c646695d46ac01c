"""Names of objects and namespaces, as the schemas have them."""

from __future__ import annotations

import re

NAME = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
RULE = "1 to 63 of a-z, 0-9 and '-', a letter or digit at both ends"


def problem(name: str) -> str:
    """Why ``name`` cannot name an object or a namespace; empty if it can."""
    if not name:
        return "a name is empty"
    return "" if NAME.fullmatch(name) else f"{name!r} is not a name: {RULE}"
