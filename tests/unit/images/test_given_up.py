"""A blob that is fetched again for a check or a push, while the daemon shuts down."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from reconciler import errors
from reconciler.images import pulling
from reconciler.model import references
from reconciler.testing.loop import IMAGE, Loop


def test_a_fetch_that_is_given_up_says_why(tmp_path: Path) -> None:
    """Whoever asked hears of a shutdown, not of an internal error."""
    loop, stopping = Loop(tmp_path), threading.Event()
    try:
        reference = references.parse(IMAGE)
        layer = loop.registry.resolve(reference).layers[0]
        stopping.set()
        with pytest.raises(errors.Temporary, match="a blob was not fetched: pydockd is shutting down"):
            pulling.fetch(reference, layer, loop.registry, loop.graph, stopping)
    finally:
        loop.close()
