"""A real API process on a socket of its own, with a fake engine behind it; and an HTTP client for that socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler.bootstrap import api
from reconciler.control import listeners
from reconciler.testing.engine_fake import FakeEngine

#: the user that the API process of a test becomes: nobody
UID = GID = 65534


class Connection(http.client.HTTPConnection):
    """HTTP over the unix socket at ``path``."""

    def __init__(self, path: str, timeout: float = 20.0) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = raw(self._path, self.timeout or 20.0)


class Answer:
    """A whole answer: ``code``, ``headers``, ``data``."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.code = response.status
        self.headers = response.headers
        self.data = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class Served:
    """``process`` serves at ``path``; ``engine`` answers its jobs; ``server`` is the engine's end."""

    def __init__(self, process: api.ApiProcess, path: str, engine: FakeEngine) -> None:
        self.process = process
        self.path = path
        self.engine = engine
        self.server = engine.serve(process.control, listening=[path])

    def ask(
        self, method: str, target: str, body: Any = None, media_type: str = "application/json", **headers: str
    ) -> Answer:
        """One request on a connection of its own; ``body`` is encoded unless it is bytes."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None and media_type:
            sent["Content-Type"] = media_type
        with contextlib.closing(Connection(self.path)) as connection:
            connection.request(method, target, data, sent)
            return Answer(connection.getresponse())

    @contextlib.contextmanager
    def stream(self, target: str, timeout: float = 20.0) -> Iterator[http.client.HTTPResponse]:
        """An answer that goes on; leaving closes the connection."""
        with contextlib.closing(Connection(self.path, timeout)) as connection:
            connection.request("GET", target)
            with connection.getresponse() as response:
                yield response


def raw(path: str, timeout: float = 20.0) -> socket.socket:
    """A connected client's socket. A full backlog makes it wait, as a patient client would."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(path)
    sock.settimeout(timeout)
    return sock


@contextlib.contextmanager
def served(directory: Path, engine: FakeEngine | None = None) -> Iterator[Served]:
    """Starts the API process at a socket in ``directory``, and ends it."""
    path = str(directory / "api.sock")
    listener = listeners.unix(path, "")
    process = api.spawn_api([listener], UID, GID)
    running = Served(process, path, engine or FakeEngine())
    try:
        process.wait_ready(30.0)
        yield running
    finally:
        process.stop()
        running.server.close()
        listener.close()


def children(pid: int) -> list[int]:
    """The children of a process, whichever of its threads made them."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended
            found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def proportional_memory(pids: list[int]) -> int:
    """The memory of processes in KiB, what they share counted once (PSS)."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def processor_seconds(pids: list[int]) -> float:
    """User and system time of processes so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
