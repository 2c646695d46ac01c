"""What clients see while the controller loads, is busy, or goes."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from reconciler.bootstrap import api
from reconciler.control import listeners
from reconciler.ipc import Call
from reconciler.testing.engine_api import UID, Answer, Connection, Served, children
from reconciler.testing.engine_fake import FakeEngine
from reconciler.testing.wait import until

BASE = "/apis/pydock.dev/v1"
WEB = f"{BASE}/namespaces/default/containers/web"


def ask(path: str, target: str, answers: list[Answer]) -> threading.Thread:
    def run() -> None:
        connection = Connection(path, timeout=60)
        connection.request("GET", target)
        answers.append(Answer(connection.getresponse()))
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_requests_wait_while_the_controller_loads(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    listener = listeners.unix(path, "")
    process = api.spawn_api([listener], UID, UID)
    process.wait_ready(30)
    answers: list[Answer] = []
    threads = [ask(path, f"{BASE}/containers", answers) for _ in range(20)]
    health: list[Answer] = []
    ask(path, "/healthz", health).join()
    assert health[0].code == 503
    assert answers == []
    server = FakeEngine().serve(process.control)
    for thread in threads:
        thread.join(30)
    assert [answer.code for answer in answers] == [200] * 20
    process.stop()
    server.close()
    listener.close()


def test_an_engine_that_goes_is_a_503_at_once(own: Served) -> None:
    begun = threading.Event()

    def hang(call: Call, args: Any) -> None:
        begun.set()
        threading.Event().wait(0.2)
        raise RuntimeError("interrupted")

    own.engine.handlers["get"] = hang
    answers: list[Answer] = []
    thread = ask(own.path, WEB, answers)
    assert begun.wait(10)
    before = time.monotonic()
    own.server.close(0)
    thread.join(20)
    assert time.monotonic() - before < 5
    assert (answers[0].code, answers[0].json["reason"]) == (503, "ServiceUnavailable")
    assert int(answers[0].headers["Retry-After"]) >= 1


def test_a_worker_killed_in_a_request_takes_the_answer_and_not_the_deed(own: Served) -> None:
    """The engine finishes what it has begun; the client hears nothing and must look."""
    begun, go = threading.Event(), threading.Event()

    def slow(call: Call, args: Any) -> None:
        begun.set()
        go.wait(10)
        own.engine.put("Container", "default", "web")
        call.result({"object": {}, "outcome": "created"})

    own.engine.handlers["put"] = slow
    failed: list[BaseException] = []

    def put() -> None:
        try:
            own.ask("PUT", WEB, {"spec": {}})
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=put)
    thread.start()
    assert begun.wait(10)
    (worker,) = children(own.process.pid)
    os.kill(worker, signal.SIGKILL)
    thread.join(10)
    assert failed
    go.set()
    until(lambda: own.server.busy == 0, what="the job to end")
    assert own.ask("GET", WEB).code == 200


def test_a_stop_lets_a_running_request_end(own: Served) -> None:
    begun = threading.Event()

    def slow(call: Call, args: Any) -> None:
        begun.set()
        threading.Event().wait(0.5)
        call.result({"done": True})

    own.engine.handlers["get"] = slow
    answers: list[Answer] = []
    thread = ask(own.path, WEB, answers)
    assert begun.wait(10)
    own.process.stop()
    thread.join(10)
    assert answers[0].json == {"done": True}


def test_a_stop_does_not_wait_for_a_request_without_end(own: Served) -> None:
    begun = threading.Event()

    def stuck(call: Call, args: Any) -> None:
        begun.set()
        while not call.closed():
            threading.Event().wait(0.05)

    own.engine.handlers["get"] = stuck
    failed: list[BaseException] = []

    def get() -> None:
        try:
            own.ask("GET", WEB)
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=get)
    thread.start()
    assert begun.wait(10)
    before = time.monotonic()
    own.process.stop(grace=8)
    assert time.monotonic() - before < 9
    thread.join(10)
    assert failed
    until(lambda: own.server.busy == 0, what="the job to end")


def test_a_large_list_passes_without_being_read(own: Served) -> None:
    for number in range(10_000):
        own.engine.objects["Container", "default", f"c{number}"] = {
            "metadata": {"name": f"c{number}"},
            "spec": "x" * 800,
        }
    pids = [own.process.pid, *children(own.process.pid)]
    begun = time.monotonic()
    answer = own.ask("GET", f"{BASE}/containers")
    took = time.monotonic() - begun
    print(f"a list of {len(answer.data) >> 10} KiB took {took * 1000:.0f} ms, processes {pids}")
    assert len(answer.json["items"]) == 10_000
    assert took < 3
