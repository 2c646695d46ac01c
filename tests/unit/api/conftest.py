"""The application in this process, with a fake engine behind a real engine socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from falcon import testing

from reconciler.api import streams
from reconciler.api.fronts import table
from reconciler.ipc import EngineClient
from reconciler.testing.engine_fake import FakeEngine


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def client(engine: FakeEngine) -> Iterator[testing.TestClient]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = engine.serve(theirs)
    app = table.make_app(EngineClient(ours, accept_timeout=10.0), streams.Streams())
    yield testing.TestClient(app, headers={"Host": "localhost"})
    server.close()
    ours.close()
