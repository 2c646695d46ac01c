from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.client import client as api
from reconciler.client import http, watching
from reconciler.model import kinds
from reconciler.testing import api_server
from reconciler.testing.api_server import BASE, Answer, Server, status


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with api_server.served(tmp_path) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[api.Client]:
    made = api.Client(server.path)
    yield made
    made.close()


def seen(event: api.Event) -> str:
    return event.type + (" " + event.object["metadata"]["name"] if event.object else "")


def take(events: Iterator[api.Event], count: int) -> list[str]:
    return [seen(next(events)) for _ in range(count)]


def test_what_is_there_then_what_changes(server: Server, client: api.Client) -> None:
    server.put("container", "a")
    server.put("container", "b")
    events = watching.follow(client, kinds.CONTAINER, "default")
    assert take(events, 3) == ["ADDED a", "ADDED b", "BOOKMARK"]
    server.put("container", "a", status={"phase": "Running"})
    server.remove("container", "b")
    assert take(events, 2) == ["MODIFIED a", "DELETED b"]


def test_it_ends_at_the_deadline(server: Server, client: api.Client) -> None:
    begun = time.monotonic()
    events = watching.follow(client, kinds.CONTAINER, deadline=begun + 0.05)
    assert [seen(event) for event in events] == ["BOOKMARK"]
    assert time.monotonic() - begun < 5


def test_an_expired_watch_is_made_good_by_listing_again(server: Server, client: api.Client) -> None:
    for name in "abc":
        server.put("container", name)
    events = watching.follow(client, kinds.CONTAINER)
    assert take(events, 4) == ["ADDED a", "ADDED b", "ADDED c", "BOOKMARK"]

    def compacted(request: api_server.Request) -> Answer:
        server.answers.clear()
        server.put("container", "b", status={"phase": "Running"})
        server.put("container", "d")
        server.remove("container", "a")
        return status(410, "gone")

    server.answers[f"GET {BASE}/containers"] = compacted
    assert take(events, 4) == ["DELETED a", "MODIFIED b", "ADDED d", "BOOKMARK"]


def test_a_cut_watch_goes_on_where_it_was(server: Server, client: api.Client) -> None:
    server.put("container", "a")
    events = watching.follow(client, kinds.CONTAINER)
    assert take(events, 2) == ["ADDED a", "BOOKMARK"]

    def cut() -> Iterator[bytes]:
        server.answers.clear()
        server.put("container", "b")
        yield b'{"type":'
        raise ConnectionResetError

    server.answers[f"GET {BASE}/containers"] = lambda request: Answer(cut())
    assert take(events, 1) == ["ADDED b"]
    assert [request.query.get("resourceVersion") for request in server.asked] == [None, "11", "11"]


def test_a_server_that_is_gone_is_an_error(server: Server, client: api.Client) -> None:
    events = watching.follow(client, kinds.CONTAINER)
    assert take(events, 1) == ["BOOKMARK"]
    Path(server.path).unlink()
    with pytest.raises(http.Unreachable):
        next(events)


def test_objects_without_uid_are_told_apart_by_name(server: Server, client: api.Client) -> None:
    for name in "ab":
        made = server.put("network", name)
        del made["metadata"]["uid"]
    events = watching.follow(client, kinds.NETWORK)
    assert take(events, 3) == ["ADDED a", "ADDED b", "BOOKMARK"]
