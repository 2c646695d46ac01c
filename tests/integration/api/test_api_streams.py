"""Answers that go on: watches, logs, pulls; and what ends them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler import errors
from reconciler.api import streams
from reconciler.ipc import Call
from reconciler.testing import engine_api
from reconciler.testing.engine_api import Served, children
from reconciler.testing.wait import until

BASE = "/apis/pydock.dev/v1"
WATCH = f"{BASE}/containers?watch=true"
LOG = f"{BASE}/namespaces/default/containers/web/log"


def line(response: http.client.HTTPResponse) -> Any:
    return json.loads(response.readline())


def descriptors(own: Served) -> int:
    (worker,) = children(own.process.pid)
    return len(os.listdir(f"/proc/{worker}/fd"))


def test_a_watch_sends_what_is_there_and_what_comes(own: Served) -> None:
    web = own.engine.put("Container", "default", "web")
    with own.stream(WATCH) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/json"
        assert line(response) == {"type": "ADDED", "object": web}
        changed = own.engine.put("Container", "default", "web", image="b")
        assert line(response) == {"type": "MODIFIED", "object": changed}


def test_a_watch_of_nothing_begins_at_once(own: Served) -> None:
    begun = time.monotonic()
    with own.stream(f"{WATCH}&resourceVersion=7&timeoutSeconds=60&allowWatchBookmarks=true") as response:
        assert response.status == 200
        assert time.monotonic() - begun < 1
        asked = own.engine.last("watch")
        assert (asked.revision, asked.timeout) == (7, 60)


def test_a_watch_that_does_not_say_started_begins_soon(own: Served) -> None:
    def silent(call: Call, args: Any) -> None:
        select.select([call], [], [])

    own.engine.handlers["watch"] = silent
    with own.stream(WATCH) as response:
        assert response.status == 200


def test_a_watch_from_a_compacted_revision_is_gone(own: Served) -> None:
    own.engine.revision = 500
    answer = own.ask("GET", f"{WATCH}&resourceVersion=3")
    assert (answer.code, answer.json["reason"]) == (410, "Expired")


def test_a_watch_that_fails_later_says_so_in_a_line(own: Served) -> None:
    def failing(call: Call, args: Any) -> None:
        call.emit({"type": "BOOKMARK", "object": {}})
        raise errors.Expired("compacted while you slept")

    own.engine.handlers["watch"] = failing
    with own.stream(WATCH) as response:
        assert line(response)["type"] == "BOOKMARK"
        last = line(response)
        assert (last["type"], last["object"]["reason"], last["object"]["code"]) == ("ERROR", "Expired", 410)
        assert response.read() == b""


def test_a_watch_with_a_timeout_ends_and_the_connection_lives_on(own: Served) -> None:
    with contextlib.closing(engine_api.Connection(own.path)) as connection:
        connection.request("GET", f"{WATCH}&timeoutSeconds=1")
        assert connection.getresponse().read() == b""
        connection.request("GET", "/livez")
        assert connection.getresponse().read() == b"ok"


def test_many_objects_come_whole_and_in_order(own: Served) -> None:
    filler = "x" * 500

    def flood(call: Call, args: Any) -> None:
        call.started()
        for number in range(10_000):
            call.emit({"type": "ADDED", "object": {"n": number, "filler": filler}})

    own.engine.handlers["watch"] = flood
    with own.stream(WATCH) as response:
        assert [json.loads(found)["object"]["n"] for found in response] == list(range(10_000))


def test_a_client_that_leaves_ends_its_job_and_frees_everything(own: Served) -> None:
    before = descriptors(own)
    for _ in range(20):
        with own.stream(WATCH):
            until(lambda: own.engine.watching, what="the watch")
        until(lambda: not own.engine.watching, timeout=2, what="the job to end")
    until(lambda: own.server.busy == 0, what="the engine's threads to be free")
    until(lambda: descriptors(own) == before, what="every descriptor to be closed")


def test_a_client_that_leaves_while_much_is_sent_ends_its_job(own: Served) -> None:
    ended = threading.Event()

    def flood(call: Call, args: Any) -> None:
        try:
            while True:
                call.emit("x" * 10_000)
        finally:
            ended.set()

    own.engine.handlers["watch"] = flood
    with own.stream(WATCH) as response:
        response.readline()
    assert ended.wait(15)


def test_the_engines_end_ends_the_stream(own: Served) -> None:
    with own.stream(WATCH) as response:
        until(lambda: own.engine.watching, what="the watch")
        own.server.close()
        # The end of the controller ends this process too: whichever is noticed first, the answer is ended properly.
        last = response.readline()
        assert last == b"" or json.loads(last)["object"]["code"] == 503
        assert response.read() == b""


def test_stopping_ends_streams_at_once(own: Served) -> None:
    with contextlib.ExitStack() as stack:
        responses = [stack.enter_context(own.stream(WATCH)) for _ in range(10)]
        until(lambda: len(own.engine.watching) == 10, what="the watches")
        begun = time.monotonic()
        own.process.stop()
        assert time.monotonic() - begun < 2
        assert own.process.status == 0
        for response in responses:
            # The end of a chunked answer was sent: this is no connection that broke.
            assert response.read() == b""


@contextlib.contextmanager
def full(own: Served) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(streams.MOST):
            stack.enter_context(own.stream(WATCH))
        yield


def test_too_many_streams_are_refused_and_requests_are_not(own: Served) -> None:
    own.engine.put("Container", "default", "web")
    with full(own):
        for target in (WATCH, f"{LOG}?follow=true"):
            answer = own.ask("GET", target)
            assert (answer.code, answer.json["reason"]) == (429, "TooManyRequests")
            assert answer.headers["Retry-After"] == "1"
        assert own.ask("GET", f"{BASE}/containers").code == 200
    until(lambda: own.ask("GET", LOG).code == 200, what="a stream to be free again")


def test_a_stopped_engine_call_does_not_count_as_a_stream(own: Served) -> None:
    def refuse(call: Call, args: Any) -> None:
        raise errors.Temporary("not now")

    own.engine.handlers["watch"] = refuse
    codes = {own.ask("GET", WATCH).code for _ in range(streams.MOST + 5)}
    assert codes == {503}


def test_a_log_comes_as_raw_bytes(own: Served) -> None:
    own.engine.put("Container", "default", "web")
    answer = own.ask("GET", f"{LOG}?tailLines=5&timestamps=true")
    assert answer.data == b"line 0\nline 1\nline 2\n"
    assert answer.headers["Content-Type"].startswith("text/plain")
    asked = own.engine.last("logs")
    assert (asked.tail, asked.follow, asked.timestamps) == (5, False, True)


def test_a_log_that_is_not_there_is_a_status(own: Served) -> None:
    answer = own.ask("GET", LOG)
    assert (answer.code, answer.json["reason"]) == (404, "NotFound")


def test_an_empty_log_is_empty(own: Served) -> None:
    own.engine.handlers["logs"] = lambda call, args: None
    answer = own.ask("GET", LOG)
    assert (answer.code, answer.data) == (200, b"")


def test_a_large_log_is_not_held_in_memory(own: Served) -> None:
    size, piece = 200 << 20, os.urandom(1 << 20)

    def write(call: Call, args: Any) -> None:
        call.started()
        sent = 0
        while sent < size:
            sent += os.write(call.fds[0], piece[sent % (1 << 20) :])

    own.engine.handlers["logs"] = write
    pids = [own.process.pid, *children(own.process.pid)]
    before = engine_api.proportional_memory(pids)
    got = most = 0
    with own.stream(LOG) as response:
        while data := response.read(1 << 20):
            assert data == piece[: len(data)]
            got += len(data)
            if not got % (50 << 20):
                most = max(most, engine_api.proportional_memory(pids))
    assert got == size
    assert most - before < 8_000


def test_following_a_log_ends_with_its_client(own: Served) -> None:
    own.engine.put("Container", "default", "web")
    before = descriptors(own)
    with own.stream(f"{LOG}?follow=true") as response:
        assert response.readline() == b"line 0\n"
        assert own.server.busy == 1
    until(lambda: own.server.busy == 0, timeout=2, what="the job to end")
    until(lambda: descriptors(own) == before, what="every descriptor to be closed")


def test_a_log_that_fails_half_way_is_cut_off(own: Served) -> None:
    def failing(call: Call, args: Any) -> None:
        call.started()
        os.write(call.fds[0], b"some\n")
        raise errors.Permanent("the disk is gone")

    own.engine.handlers["logs"] = failing
    with own.stream(LOG) as response, pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()


def test_a_pull_tells_its_progress(own: Served) -> None:
    answer = own.ask("POST", f"{BASE}/pull", {"reference": "nginx:1"})
    items = [json.loads(found) for found in answer.data.splitlines()]
    assert [item["status"] for item in items] == ["Pulling", "Done"]
    assert items[-1]["digest"].startswith("sha256:")


def test_a_pull_that_fails_later_says_so_in_its_last_line(own: Served) -> None:
    def failing(call: Call, args: Any) -> None:
        call.emit({"status": "Pulling"})
        raise errors.NotFound("no such image: nginx:0")

    own.engine.handlers["pull_image"] = failing
    answer = own.ask("POST", f"{BASE}/pull", {"reference": "nginx:0"})
    assert json.loads(answer.data.splitlines()[-1])["error"]["code"] == 404


def test_a_worker_killed_in_a_stream_ends_the_job(own: Served) -> None:
    with own.stream(WATCH):
        until(lambda: own.engine.watching, what="the watch")
        (worker,) = children(own.process.pid)
        os.kill(worker, signal.SIGKILL)
        until(lambda: not own.engine.watching, timeout=5, what="the job to end")
