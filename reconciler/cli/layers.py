"""The tree of layers, drawn as ``tree`` and ``git log --graph`` would: what has one layer only above it goes straight
on, so that long images do not run out of the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.cli import columns, table

_HEADERS = ("LAYER", "SIZE", "IMAGE", "USED BY")
_SHORT = 12


def render(found: list[dict[str, Any]]) -> str:
    """``found``: layers with ``chainId``, ``parent``, ``size`` and the ``images`` that end in them."""
    above: dict[str, list[dict[str, Any]]] = {}
    for each in found:
        if each["chainId"]:
            above.setdefault(each["parent"], []).append(each)
    bare = [row for each in found if not each["chainId"] for row in _rows(each, "", "")]
    return table.render(_HEADERS, [*bare, *_drawn(above)])


def _drawn(above: dict[str, list[dict[str, Any]]]) -> Iterator[tuple[str, ...]]:
    waiting = [(each, "", "") for each in reversed(above.get("", []))]
    while waiting:
        layer, mark, margin = waiting.pop()
        yield from _rows(layer, mark, margin)
        children = above.get(layer["chainId"], [])
        if len(children) == 1:
            waiting.append((children[0], margin, margin))
            continue
        for last, child in enumerate(reversed(children)):
            corner, line = ("├─ ", "│  ") if last else ("└─ ", "   ")
            waiting.append((child, margin + corner, margin + line))


def _rows(layer: dict[str, Any], mark: str, margin: str) -> Iterator[tuple[str, ...]]:
    """One for each image that ends here, at least one for the layer."""
    name = layer["chainId"].removeprefix("sha256:")[:_SHORT] or columns.NONE
    size = columns.size(layer["size"]) if layer["size"] else "0B"
    first = (mark + name, size)
    for image in layer["images"] or [None]:
        yield (*first, *(_image(image) if image else ("", "")))
        first = (margin, "")


def _image(image: dict[str, Any]) -> tuple[str, str]:
    users = ", ".join([*image["usedBy"], *image["keptBy"]]) or columns.NONE
    return image["reference"] or image["digest"].removeprefix("sha256:")[:_SHORT], users
