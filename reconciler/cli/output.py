"""Objects as text: tables, JSON, YAML, names and jsonpath."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import Any

from reconciler.cli import columns, params, table
from reconciler.model import kinds

_HIDDEN = re.compile("[^\x00-\x7e]")


def objects(found: Sequence[dict[str, Any]], output: params.Format, *, single: bool, spaced: bool = False) -> str:
    """``found`` in any format but the tables; ``single`` when one object was asked for by its name; ``spaced``: names
    are written with their namespace."""
    if output.name == "name":
        return "".join(f"{table.clean(name(obj, spaced=spaced))}\n" for obj in found)
    return value(found[0] if single else together(found), output)


def together(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several objects as one document."""
    return {"apiVersion": kinds.API_VERSION, "kind": "List", "metadata": {"resourceVersion": ""}, "items": list(found)}


def value(content: Any, output: params.Format) -> str:
    """Any JSON value as JSON, YAML or through a jsonpath template."""
    if output.name == "jsonpath":
        from reconciler.cli import jsonpath

        found = jsonpath.render(output.template, content)
        return table.clean_lines(found) if sys.stdout.isatty() else found
    if output.name == "yaml":
        return yaml(content)
    return _json(content)


def yaml(content: Any) -> str:
    """YAML with the keys in the order in which the server sent them and texts of several lines as blocks."""
    from reconciler.cli import yamls

    return yamls.dump(content)


def _json(content: Any) -> str:
    """JSON that shows letters as they are and escapes what steers a terminal (which only stands within texts)."""
    text = json.dumps(content, indent=4, ensure_ascii=False) + "\n"
    return text if text.isascii() else _HIDDEN.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]


def name(obj: dict[str, Any], *, spaced: bool = False) -> str:
    """``container/web``, with its namespace ``container/default/web`` when ``spaced``."""
    namespace = obj["metadata"].get("namespace") if spaced else ""
    return "/".join(part for part in (obj["kind"].lower(), namespace, obj["metadata"]["name"]) if part)


class Rows:
    """A table of one kind, to which rows may be added later (``get -w``)."""

    def __init__(self, shown: Sequence[columns.Column], *, headed: bool = True) -> None:
        self._columns = shown
        self._table = table.Table([column.header for column in shown], headed=headed)

    def render(self, found: Sequence[dict[str, Any]]) -> str:
        return self._table.render([column.cell(obj) for column in self._columns] for obj in found)
