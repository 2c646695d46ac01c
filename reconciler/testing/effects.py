"""Which test shows the effect of which schema field: a field that does nothing is a defect.

A test says so with ``@effect_of("Container", "spec.ports[].hostIP", …)``. ``fields`` walks a schema to its leaves,
``shown`` reads the tests' source, and one test compares the two.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from reconciler.manifest import contract
from reconciler.model import kinds

T = TypeVar("T", bound=Callable[..., Any])
#: schema file → the word for it in ``effect_of``
FILES = {contract.file_of(kind.name): kind.name for kind in kinds.KINDS} | {contract.METADATA: "Metadata"}


def effect_of(kind: str, *paths: str) -> Callable[[T], T]:
    """Marks a test that fails when one of these fields (leaf paths, as ``fields`` gives them) loses its effect.

    It is read from the source, so both are written as literals.
    """
    assert kind in FILES.values(), kind
    assert paths, "no field is named"
    return lambda test: test


def fields(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """The paths of a schema's leaves: ``spec.image``, ``spec.ports[].hostIP``, ``labels``. What another file describes
    (``$ref``) is left to that file."""
    if "$ref" in schema:
        return
    if schema.get("properties"):
        for name, below in schema["properties"].items():
            yield from fields(below, f"{path}.{name}" if path else name)
    elif isinstance(schema.get("items"), dict) and schema["items"].get("properties"):
        yield from fields(schema["items"], f"{path}[]")
    else:
        yield path


def every_field() -> set[tuple[str, str]]:
    """(kind, path) of every leaf of every schema."""
    return {(kind, path) for file, kind in FILES.items() for path in fields(contract.read(file))}


def shown(tests: Path) -> dict[tuple[str, str], list[str]]:
    """(kind, path) → the tests below ``tests`` that show its effect, as ``file::name``."""
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for file in sorted(tests.rglob("test_*.py")):
        text = file.read_text()
        if "effect_of(" not in text:
            continue
        for test, kind, paths in _marked(ast.parse(text)):
            for path in paths:
                found[kind, path].append(f"{file.relative_to(tests.parent)}::{test}")
    return dict(found)


def _marked(module: ast.Module) -> Iterator[tuple[str, str, list[str]]]:
    """(test, kind, paths) of each mark on a function that pytest collects."""
    for node in ast.walk(module):
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func).rpartition(".")[2] == "effect_of":
                kind, *paths = [ast.literal_eval(word) for word in mark.args]
                yield node.name, kind, paths
