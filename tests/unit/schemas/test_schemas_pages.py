"""The generated schemas and pages are those of this version, and leave no field out."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from reconciler.testing import effects

GENERATOR = Path(__file__).resolve().parents[3] / "docs" / "generate.py"


@pytest.fixture(scope="module")
def generate() -> Any:
    spec = importlib.util.spec_from_file_location("generate", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_schemas_and_pages_are_current(generate: Any) -> None:
    for path, text in {**generate.schemas(), **generate.pages()}.items():
        assert path.read_text() == text, f"{path.name}: run make reference"


def test_every_field_has_a_row(generate: Any) -> None:
    page = generate.manifests()
    for kind, path in effects.every_field():
        name = path.removeprefix("spec.")
        if kind == "Metadata" or name != path:
            assert f"| `{name}` |" in page, (kind, path)


def test_rows_tell_type_default_and_change(generate: Any) -> None:
    page = generate.manifests()
    assert "| `ports[].protocol` | `TCP`, `UDP` | `TCP` | in place | The transport protocol. |" in page
    assert "| `env[].name` | string | **required** | anew | The variable's name. |" in page
    assert "| `terminationGracePeriodSeconds` | integer 0 to 86400 | `10` | in place |" in page
    assert "| `uid` | string | set by pydock |" in page
