"""The daemon's start with 30 containers to adopt: from its exec to READY=1, and to the list of all of them."""

from __future__ import annotations

import socket
import time

from bench.report import Line
from bench.stage import Stage


def measure(stage: Stage) -> list[Line]:
    host = stage.thirty
    pids = _pids(stage)
    ready: list[float] = []
    answered: list[float] = []
    for _ in stage.rounds(9, 3):
        assert host.stop() == 0
        with _notified(stage) as news:
            began = time.perf_counter()
            host.start(env={"NOTIFY_SOCKET": news.getsockname()}, ready=False)
            while b"READY=1" not in news.recv(4096):
                pass
            ready.append(time.perf_counter() - began)
            listed = host.api("GET", "/apis/pydock.dev/v1/containers")["items"]
            answered.append(time.perf_counter() - began)
        assert len(listed) == len(host.dropped)
    assert _pids(stage) == pids, "a container was restarted"
    return [
        Line("pydockd's start with 30 to adopt, until READY=1", ready, "s", most=1.5),
        Line("… until it has listed them", answered, "s", most=1.5),
    ]


def _pids(stage: Stage) -> dict[str, int]:
    listed = stage.thirty.api("GET", "/apis/pydock.dev/v1/containers")["items"]
    return {item["metadata"]["name"]: item["status"]["pid"] for item in listed}


def _notified(stage: Stage) -> socket.socket:
    """What systemd would listen on."""
    path = stage.work / "notify"
    path.unlink(missing_ok=True)
    news = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    news.settimeout(30.0)
    news.bind(str(path))
    return news
