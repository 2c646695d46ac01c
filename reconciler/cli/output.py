"""Objects as text: tables, JSON, YAML, names and jsonpath."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from reconciler.cli import columns, params, table
from reconciler.model import kinds


def objects(found: Sequence[dict[str, Any]], output: params.Format, *, single: bool) -> str:
    """``found`` in any format but the tables; ``single`` when one object was asked for by its name."""
    if output.name == "name":
        return "".join(f"{name(obj)}\n" for obj in found)
    return value(found[0] if single else together(found), output)


def together(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several objects as one document."""
    return {"apiVersion": kinds.API_VERSION, "kind": "List", "metadata": {"resourceVersion": ""}, "items": list(found)}


def value(content: Any, output: params.Format) -> str:
    """Any JSON value as JSON, YAML or through a jsonpath template."""
    if output.name == "jsonpath":
        from reconciler.cli import jsonpath

        return jsonpath.render(output.template, content)
    if output.name == "yaml":
        return yaml(content)
    return json.dumps(content, indent=4, ensure_ascii=False) + "\n"


def yaml(content: Any) -> str:
    """YAML with the keys in the order in which the server sent them and texts of several lines as blocks."""
    import yaml as pyyaml

    class Dumper(pyyaml.CSafeDumper):
        pass

    def text(dumper: Any, data: str) -> Any:
        style = "|" if "\n" in data else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Dumper.add_representer(str, text)
    dumped: str = pyyaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=2**31 - 1)
    return dumped


def name(obj: dict[str, Any]) -> str:
    """``container/web``."""
    return f"{obj['kind'].lower()}/{obj['metadata']['name']}"


class Rows:
    """A table of one kind, to which rows may be added later (``get -w``)."""

    def __init__(self, shown: Sequence[columns.Column], *, headed: bool = True) -> None:
        self._columns = shown
        self._table = table.Table([column.header for column in shown], headed=headed)

    def render(self, found: Sequence[dict[str, Any]]) -> str:
        return self._table.render([column.cell(obj) for column in self._columns] for obj in found)
