"""``docs/checks.md`` names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)*)`", (ROOT / "docs" / "checks.md").read_text())))


def test_there_is_something_to_check() -> None:
    assert len(NAMED) > 50


@pytest.mark.parametrize("name", NAMED)
def test_a_named_test_exists(name: str) -> None:
    file, *path = name.split("::")
    scope: list[ast.stmt] = ast.parse((ROOT / file).read_text()).body
    for part in path:
        found = [node for node in scope if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == part]
        assert found, f"{file} has no {'::'.join(path)}"
        scope = found[0].body
