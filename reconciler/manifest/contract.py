"""The schemas of the kinds, as pydock ships them: the public contract."""

from __future__ import annotations

import functools
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import msgspec

from reconciler.model import kinds

Schema = dict[str, Any]
METADATA = "metadata.json"


def folder() -> Traversable:
    """Where the schemas are: inside an installed package, or beside the package in a working tree."""
    inside = resources.files("reconciler") / "schemas"
    return inside if inside.is_dir() else Path(__file__).resolve().parents[2] / "schemas"


@functools.cache
def read(file: str) -> Schema:
    """The schema in ``file``, such as ``container.json``; not to be changed."""
    schema: Schema = msgspec.json.decode((folder() / file).read_bytes())
    return schema


def of(kind: str) -> Schema:
    """The schema of a kind by its name (``Container``). Raises ``errors.Invalid`` for an unknown one."""
    return read(file_of(kind))


def file_of(kind: str) -> str:
    """The file of a kind's schema. Raises ``errors.Invalid`` for an unknown one."""
    return kinds.find(kind).singular + ".json"


def spec_of(kind: str) -> Schema:
    """The part of a kind's schema that describes ``spec``."""
    schema: Schema = of(kind)["properties"]["spec"]
    return schema
