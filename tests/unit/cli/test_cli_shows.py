"""describe, events, jobs, logs, pull, source, version."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

import reconciler
from reconciler.testing.api_server import BASE, Answer, Request, Server, status
from reconciler.testing.cli import Run

NOW = 1735689600.0 + 4 * 86400


def stamp(ago: float) -> str:
    """The time ``ago`` seconds before NOW, as the API writes it."""
    return datetime.fromtimestamp(NOW - ago, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


EVENTS = [
    {"id": 1, "object": "container/default/web", "type": "Normal", "reason": "Started", "message": "pid 7", "count": 1,
     "firstTimestamp": stamp(300), "lastTimestamp": stamp(300)},
    {"id": 2, "object": "image/nginx", "type": "Warning", "reason": "PullFailed", "message": "a\nb", "count": 12,
     "firstTimestamp": stamp(90), "lastTimestamp": stamp(30)},
]  # fmt: skip
JOBS = [
    {"id": 9, "name": "start", "object": "container/default/web", "cause": "it is not running", "status": "running",
     "attempt": 2, "startedAt": stamp(5), "endedAt": None, "error": ""},
    {"id": 8, "name": "pull", "object": "", "cause": "x", "status": "failed", "attempt": 1, "startedAt": stamp(60),
     "endedAt": stamp(59.75), "error": "no such image"},
]  # fmt: skip


def items(found: list[dict[str, object]]) -> object:
    return lambda request: Answer({"items": found})


def test_describe(server: Server, pydock: Run) -> None:
    ready = {"type": "Ready", "status": "False", "reason": "Stopped", "message": "by hand",
             "lastTransitionTime": "2025-01-04T23:00:00Z"}  # fmt: skip
    server.put(
        "container",
        "web",
        labels={"app": "web", "tier": "front"},
        spec={"image": "nginx:1", "ports": [{"hostPort": 80, "containerPort": 80}]},
        status={
            "phase": "Stopped",
            "restartCount": 0,
            "conditions": [ready],
            "owner": {"source": "dir:/etc/pydock.d", "item": "web.yaml"},
            "override": {"stopped": True, "restart": 0},
        },
    )
    server.answers[f"GET {BASE}/events"] = items(EVENTS[:1])  # type: ignore[assignment]
    assert pydock("describe", "container", "web") == (
        0,
        """\
Name:         web
Namespace:    default
Kind:         Container
Labels:       app=web
              tier=front
Annotations:  <none>
UID:          uid-11
Created:      2025-01-01T00:00:00Z (4d ago)
Generation:   1
Owner:        dir:/etc/pydock.d web.yaml
Override:     stopped=true
              restart=0
Spec:
  image: nginx:1
  ports:
  - hostPort: 80
    containerPort: 80
Status:
  phase: Stopped
  restartCount: 0
Conditions:
  TYPE    STATUS   REASON    SINCE   MESSAGE
  Ready   False    Stopped   60m     by hand
Events:
  LAST SEEN   TYPE     REASON    COUNT   MESSAGE
  5m          Normal   Started   1       pid 7
""",
        "",
    )
    assert server.last("GET").query == {"object": "container/default/web"}


def test_describe_what_has_little(server: Server, pydock: Run) -> None:
    made = server.put("image", "nginx", metadata={"deletionTimestamp": "2025-01-04T23:59:00Z"})
    del made["metadata"]["uid"]
    server.answers[f"GET {BASE}/events"] = items([])  # type: ignore[assignment]
    ran = pydock("describe", "images", "nginx", "ghost")
    assert (ran.status, ran.err) == (1, "pydock: image/ghost not found\n")
    assert (
        ran.out
        == """\
Name:         nginx
Kind:         Image
Labels:       <none>
Annotations:  <none>
UID:          <none>
Created:      2025-01-01T00:00:00Z (4d ago)
Terminating:  2025-01-04T23:59:00Z (60s ago)
Generation:   1
Spec:         <none>
Status:       <none>
Conditions:   <none>
Events:       <none>
"""
    )


def test_events(server: Server, pydock: Run) -> None:
    server.answers[f"GET {BASE}/events"] = items(EVENTS)  # type: ignore[assignment]
    assert pydock("events").out == (
        "LAST SEEN   TYPE      REASON       OBJECT                  COUNT   MESSAGE\n"
        "5m          Normal    Started      container/default/web   1       pid 7\n"
        "30s         Warning   PullFailed   image/nginx             12      a\\nb\n"
    )
    assert server.last("GET").query == {}
    assert json.loads(pydock("events", "--for", "container/web", "--limit", "5", "-o", "json").out) == EVENTS
    assert server.last("GET").query == {"object": "container/default/web", "limit": "5"}
    pydock("events", "--for", "image/nginx", "-n", "prod")
    assert server.last("GET").query == {"object": "image/nginx"}
    server.answers[f"GET {BASE}/events"] = items([])  # type: ignore[assignment]
    assert pydock("events") == (0, "", "No events found.\n")
    assert pydock("events", "--for", "containers").status == 2


def test_jobs(server: Server, pydock: Run) -> None:
    server.answers[f"GET {BASE}/jobs"] = items(JOBS)  # type: ignore[assignment]
    assert pydock("jobs").out == (
        "ID   JOB     OBJECT                  STATUS    ATTEMPT   STARTED   TOOK     WHY\n"
        "9    start   container/default/web   running   2         5s        <none>   it is not running\n"
        "8    pull    <none>                  failed    1         60s       250ms    no such image\n"
    )
    server.answers[f"GET {BASE}/jobs"] = items([])  # type: ignore[assignment]
    assert pydock("jobs", "--for", "container/web") == (0, "", "No jobs found.\n")


def _asked(server: Server) -> dict[str, object]:
    """The query, without the text that is new each time."""
    return {name: value for name, value in server.last("GET").query.items() if name != "markWith"}


def test_marks_of_another_incarnation_go_to_standard_error(server: Server, pydock: Run) -> None:
    path = f"GET {BASE}/namespaces/default/containers/web/log"
    server.answers[path] = lambda request: Answer(
        iter([b"one\n", str(request.query["markWith"]).encode() + b"--- made anew ---\ntwo\n"])
    )
    assert pydock("logs", "web") == (0, "one\ntwo\n", "--- made anew ---\n")


def test_logs(server: Server, pydock: Run) -> None:
    path = f"GET {BASE}/namespaces/default/containers/web/log"
    server.answers[path] = lambda request: Answer(iter([b"one\n", b"t\xc3\xa9\n"]))
    assert pydock("logs", "web") == (0, "one\nté\n", "")
    server.put("container", "web", status={"phase": "Succeeded"})
    assert pydock("logs", "container/web", "--tail", "2", "--timestamps", "-f").status == 0
    query = next(request.query for request in server.asked if "follow" in request.query)
    query.pop("markWith", None)
    assert query == {"tailLines": "2", "timestamps": "true", "follow": "true"}
    pydock("logs", "web", "--tail=-1")
    assert _asked(server) == {}
    pydock("logs", "web", "--since", "1m30s", "-p")
    assert _asked(server) == {"sinceSeconds": "90", "previous": "true"}
    pydock("logs", "web", "--since", "2026-01-02T03:04:05+02:00")
    moment = datetime.fromisoformat(str(_asked(server)["sinceTime"]))
    assert moment == datetime.fromisoformat("2026-01-02T01:04:05Z")
    assert pydock("logs", "web", "--since", "soon").status == pydock("logs", "web", "-p", "-f").status == 2
    assert pydock("logs", "ghost") == (1, "", "pydock: container/default/ghost not found\n")
    assert pydock("logs").status == pydock("logs", "a", "b").status == pydock("logs", "image/a").status == 2


def test_pull_by_lines(server: Server, pydock: Run) -> None:
    progress = [
        {"status": "downloading", "layer": "sha256:" + "a" * 64, "current": 0, "total": 2048},
        {"status": "downloading", "layer": "sha256:" + "a" * 64, "current": 1024, "total": 2048},
        {"status": "done", "layer": "sha256:" + "a" * 64, "current": 2048, "total": 2048},
        {"status": "complete", "digest": "sha256:1"},
    ]
    lines = [json.dumps(item).encode() + b"\n" for item in progress]
    server.answers[f"POST {BASE}/pull"] = lambda request: Answer(iter(lines))
    assert pydock("pull", "nginx:1") == (
        0,
        "aaaaaaaaaaaa: downloading (2.0KiB)\naaaaaaaaaaaa: done (2.0KiB)\ncomplete\nnginx:1: sha256:1\n",
        "",
    )
    failure = {"error": {"kind": "Status", "code": 404, "message": "nginx:1: no such image"}}
    server.answers[f"POST {BASE}/pull"] = lambda request: Answer(iter([json.dumps(failure).encode()]))
    assert pydock("pull", "nginx:1") == (1, "", "pydock: nginx:1: no such image\n")
    server.answers[f"POST {BASE}/pull"] = lambda request: Answer(iter([]))
    assert pydock("pull", "nginx:1").err == "pydock: the server ended the pull without naming a digest: try again\n"
    assert pydock("pull").status == pydock("pull", "a", "b").status == 2


def test_push_by_lines(server: Server, pydock: Run) -> None:
    lines = [
        b'{"status":"uploaded","layer":"sha256:%s","current":8,"total":8}\n' % (b"a" * 64),
        b'{"digest":"sha256:1"}',
    ]
    server.answers[f"POST {BASE}/push"] = lambda request: Answer(iter(lines))
    assert pydock("push", "nginx:1") == (0, "aaaaaaaaaaaa: uploaded (8B)\nnginx:1: sha256:1\n", "")
    assert server.last("POST").json == {"reference": "nginx:1"}
    server.answers[f"POST {BASE}/push"] = lambda request: Answer(iter([]))
    assert pydock("push", "nginx:1").err == "pydock: the server ended the push without naming a digest: try again\n"
    assert pydock("push").status == pydock("push", "a", "b").status == 2


SOURCES = [
    {"name": "api", "path": "", "state": "ok", "objects": 3, "files": [], "held": [], "digest": "", "message": ""},
    {
        "name": "dir:/etc/pydock.d",
        "path": "/etc/pydock.d",
        "state": "held",
        "objects": 8,
        "files": [
            {
                "path": "a.yaml",
                "state": "invalid",
                "objects": 0,
                "problems": ["a.yaml:3:1: spec.x: unknown field"],
                "message": "",
            },
            {"path": "b.yaml", "state": "writing", "objects": 1, "problems": [], "message": "still being written"},
        ],
        "held": ["container/default/a", "container/default/b"],
        "digest": "sha256:77",
        "message": "6 of 8 objects would go",
    },
]


def test_sources(server: Server, pydock: Run) -> None:
    server.answers[f"GET {BASE}/sources"] = items(SOURCES)  # type: ignore[assignment]
    assert pydock("source", "ls").out == (
        "NAME                STATE   OBJECTS   FILES   HELD   MESSAGE\n"
        "api                 ok      3         0       0\n"
        "dir:/etc/pydock.d   held    8         2       2      6 of 8 objects would go\n"
        "\n"
        "a.yaml:3:1: spec.x: unknown field\n"
        "b.yaml: still being written\n"
        "\n"
        "dir:/etc/pydock.d holds back the removal of:\n"
        "  container/default/a\n"
        "  container/default/b\n"
    )
    assert json.loads(pydock("source", "ls", "-o", "json").out) == SOURCES


HELD = "dir:/etc/pydock.d holds back the removal of:\n  container/default/a\n  container/default/b\n"


@pytest.fixture
def held(server: Server) -> Server:
    def ack(request: Request) -> Answer:
        assert request.json == {"name": "dir:/etc/pydock.d", "digest": "sha256:77"}
        return Answer({"removed": ["container/default/a", "container/default/b"]})

    server.answers[f"GET {BASE}/sources"] = items(SOURCES)  # type: ignore[assignment]
    server.answers[f"POST {BASE}/sources/ack"] = ack
    return server


def test_an_acknowledgement_is_of_what_was_shown(held: Server, pydock: Run) -> None:
    removed = "container/default/a removed\ncontainer/default/b removed\n"
    assert pydock("source", "ack", "dir:/etc/pydock.d", "--yes") == (0, HELD + removed, "")


def test_without_a_terminal_nobody_is_asked(held: Server, pydock: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    ran = pydock("source", "ack", "dir:/etc/pydock.d")
    assert (ran.status, ran.out) == (2, HELD)
    assert "There is no terminal to ask at: --yes acknowledges what is shown." in ran.err
    assert [request.method for request in held.asked] == ["GET"]


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("", 130)])
def test_at_a_terminal_it_asks(
    held: Server, pydock: Run, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", terminal)
    ran = pydock("source", "ack", "dir:/etc/pydock.d")
    assert ran.status == code
    assert "Remove these? [y/N]: " in ran.out
    assert ("POST" in [request.method for request in held.asked]) == (code == 0)


def test_nothing_to_acknowledge(held: Server, pydock: Run) -> None:
    assert pydock("source", "ack", "api") == (0, "api holds nothing back\n", "")
    assert pydock("source", "ack", "x").err == "pydock: source 'x' not found: see 'pydock source ls'\n"
    assert pydock("source", "ack").status == 2


def test_a_set_that_changed_meanwhile(held: Server, pydock: Run) -> None:
    held.answers[f"POST {BASE}/sources/ack"] = lambda request: status(409, "the held set has changed")
    ran = pydock("source", "ack", "dir:/etc/pydock.d", "-y")
    assert (ran.status, ran.err) == (1, "pydock: the held set has changed\n")


def test_version(server: Server, pydock: Run) -> None:
    there = {"version": "0.9", "apiVersion": "pydock.dev/v1", "instance": "default",
             "drivers": {"exec": "runc 1.1.5", "graph": "overlay"}}  # fmt: skip
    server.answers["GET /version"] = lambda request: Answer(there)
    out = pydock("version").out
    assert out.startswith(f"Client:\n Version:      {reconciler.__version__}\n API version:  pydock.dev/v1\n")
    assert out.endswith(
        "Server:\n Version:      0.9\n API version:  pydock.dev/v1\n Instance:     default\n"
        " Drivers:      exec runc 1.1.5, graph overlay\n"
    )
    both = json.loads(pydock("version", "-o", "json").out)
    assert both["server"] == there
    assert set(both["client"]) == {"version", "apiVersion", "commit", "python", "os", "arch", "kernel"}


def test_the_version_of_the_client_alone(pydock: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYDOCK_HOST", "/nonexistent.sock")
    ran = pydock("version")
    assert ran.status == 1
    assert ran.out.startswith("Client:\n Version:")
    assert ran.err == (
        "pydock: cannot reach the server at unix:///nonexistent.sock: there is no such socket. Is pydockd running?\n"
    )
    assert pydock("version", "--client").status == 0
    assert pydock("--version") == (0, f"pydock {reconciler.__version__}\n", "")


@pytest.mark.parametrize(
    ("after", "status", "says"),
    [
        (None, 0, ""),
        ({"phase": "Succeeded"}, 0, ""),
        ({"phase": "Failed"}, 0, ""),
        ({"phase": "Stopped"}, 0, ""),
        ({"phase": "Stopped", "pid": 7}, 1, "the server ended the stream, although the container goes on"),
        ({"phase": "Running", "pid": 7}, 1, "the server ended the stream, although the container goes on"),
        ({"phase": "BackOff"}, 1, "the server ended the stream, although the container goes on"),
    ],
)
def test_following_tells_its_end_from_the_servers(
    server: Server, pydock: Run, after: dict[str, Any] | None, status: int, says: str
) -> None:
    server.put("container", "web", status={"phase": "Running", "pid": 7})

    def log() -> Iterator[bytes]:
        yield b"one\n"
        if after is None:
            server.remove("container", "web")
        else:
            server.put("container", "web", status=after)

    server.answers[f"GET {BASE}/namespaces/default/containers/web/log"] = lambda request: Answer(log())
    ran = pydock("logs", "-f", "web")
    assert (ran.status, ran.out) == (status, "one\n")
    assert says in ran.err


def test_following_ends_with_a_server_that_has_gone(server: Server, pydock: Run) -> None:
    obj = server.put("container", "web", status={"phase": "Running", "pid": 7})
    path = f"GET {BASE}/namespaces/default/containers/web"

    def log() -> Iterator[bytes]:
        yield b"one\n"
        os.unlink(server.path)

    server.answers[path] = lambda request: Answer(obj, headers={"Connection": "close"})
    server.answers[f"{path}/log"] = lambda request: Answer(log())
    ran = pydock("logs", "-f", "web")
    assert (ran.status, ran.out) == (1, "one\n")
    assert "there is no such socket" in ran.err
