"""Wrong inputs that a tired person gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.testing.api_server import Server
from reconciler.testing.cli import Run


@pytest.mark.parametrize("name", ["bad/ns", "..", "Prod", "a" * 64])
def test_a_namespace_that_cannot_be_is_told_at_once(server: Server, pydock: Run, name: str) -> None:
    ran = pydock("-n", name, "get", "containers")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("pydock: Invalid value for '-n' / '--namespace': ")
    assert server.asked == []


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n---\n"])
def test_applying_nothing_is_no_success(server: Server, pydock: Run, tmp_path: Path, text: str) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text(text)
    ran = pydock("apply", "-f", str(file))
    assert (ran.status, ran.out, ran.err) == (1, "", f"pydock: {file}: there is no manifest in it\n")
