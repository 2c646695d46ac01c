"""Manifests as documents: parsed and checked here, with every problem's place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from reconciler import errors, manifest
from reconciler.cli import files, targets
from reconciler.model import kinds


class Document(NamedTuple):
    """``line`` is the first of the document."""

    target: targets.Target
    value: dict[str, Any]
    line: int


class Loaded(NamedTuple):
    """A file with problems gives no documents."""

    documents: list[Document]
    problems: list[errors.Problem]


def read(names: Sequence[str]) -> Loaded:
    """What ``-f`` names."""
    return load(files.read(names))


def load(texts: Iterable[files.Text]) -> Loaded:
    """The documents of ``texts`` in their order, and all problems."""
    documents: list[Document] = []
    problems: list[errors.Problem] = []
    for text in texts:
        loaded = manifest.load(text.data, text.name)
        problems += loaded.problems
        if not loaded.problems:
            documents += [_document(located.raw, located.line) for located in loaded.documents]
    return Loaded(documents, problems)


def _document(raw: dict[str, Any], line: int) -> Document:
    metadata = raw["metadata"]
    target = targets.Target(kinds.find(raw["kind"]), metadata["name"], metadata.get("namespace", ""))
    return Document(target, raw, line)


def placed(document: Document, namespace: str) -> dict[str, Any]:
    """A document with its ``namespace`` where it has none of its own; empty: its kind has none."""
    if document.target.namespace or not namespace:
        return document.value
    return {**document.value, "metadata": {**document.value["metadata"], "namespace": namespace}}
