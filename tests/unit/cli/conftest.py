"""Commands run in this process against a small server; what they print is compared literally."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cli import invoking, times
from reconciler.testing import api_server
from reconciler.testing.cli import Ran, Run


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[api_server.Server]:
    with api_server.served(tmp_path) as running:
        monkeypatch.setenv("PYDOCK_HOST", f"unix://{running.path}")
        yield running


@pytest.fixture
def pydock(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs ``pydock ARGUMENTS``, on the fifth day of 2025."""
    monkeypatch.setattr(times.time, "time", lambda: 1735689600.0 + 4 * 86400)

    def run(*arguments: str) -> Ran:
        capfd.readouterr()
        status = invoking.run(arguments)
        out, err = capfd.readouterr()
        return Ran(status, out, err)

    return run
