"""Waiting for descriptors: those above 1023 too, anywhere in the product."""

from __future__ import annotations

import ast
import fcntl
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import reconciler
from reconciler.engine import waiting

ROOT = Path(reconciler.__file__).parent


@pytest.fixture(autouse=True)
def room() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe with numbers from 2000 up."""
    low = os.pipe()
    high = tuple(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 2000) for fd in low)
    for fd in low:
        os.close(fd)
    yield high[0], high[1]
    for fd in high:
        os.close(fd)


def test_high_numbers_are_waited_for(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    assert reader >= 2000
    assert waiting.readable([reader], 0) == set()
    os.write(writer, b"x")
    assert waiting.readable([-1, reader], 10) == {reader}


def test_nothing_to_wait_for_is_a_pause() -> None:
    begun = time.monotonic()
    assert waiting.readable([-1], 0.02) == set()
    assert time.monotonic() - begun >= 0.019


def test_an_end_counts_as_readable() -> None:
    reader, writer = os.pipe()
    os.close(writer)
    assert waiting.readable([reader], 10) == {reader}
    os.close(reader)


def test_nobody_uses_select() -> None:
    """``select.select`` raises ``ValueError`` for a descriptor from 1024 up; ``poll`` and ``epoll`` do not."""
    files = [path for path in ROOT.rglob("*.py") if path.parent.name != "testing"]
    assert len(files) > 300
    for path in files:
        text = path.read_text()
        if "select" in text:
            assert list(_uses(ast.parse(text))) == [], path


def _uses(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("select.select", "selectors.SelectSelector"):
            yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module in ("select", "selectors"):
            yield from (node.lineno for each in node.names if each.name in ("select", "SelectSelector"))
