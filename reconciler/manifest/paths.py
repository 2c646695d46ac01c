"""Field paths: tuples of keys and indices, and their text such as ``spec.ports[0].hostPort``."""

from __future__ import annotations

import re

Path = tuple[str | int, ...]

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


def render(path: Path) -> str:
    """The path as people write it. Keys that are not plain words are written as ``["app.kubernetes.io/name"]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _WORD.match(step):
            text += f".{step}" if text else step
        else:
            shown = step if len(step) <= 80 else step[:77] + "..."
            # uses no codec: the API process renders paths when it can no longer load modules
            text += '["' + ascii(shown)[1:-1] + '"]'
    return text
