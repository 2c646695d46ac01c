"""The daemon ends in time whatever its jobs are about, and takes up again what they left."""

from __future__ import annotations

import http.server
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reconciler.testing import wait
from reconciler.testing.daemon import Pydockd, container


class _Silent(http.server.BaseHTTPRequestHandler):
    """A registry that takes requests and never answers."""

    server: Any

    def do_GET(self) -> None:
        self.server.asked.set()
        self.server.over.wait(60)

    do_HEAD = do_GET


@pytest.fixture
def silent() -> Iterator[Any]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Silent)
    server.asked, server.over = threading.Event(), threading.Event()
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_silent_registry_does_not_keep_the_daemon(make_host: Callable[..., Pydockd], silent: Any) -> None:
    host = make_host().start()
    host.apply(container("web", f"127.0.0.1:{silent.server_port}/web:1"))
    assert silent.asked.wait(10)
    began = time.monotonic()
    assert host.stop() == 0
    assert time.monotonic() - began < 17
    assert "Traceback" not in host.log.read_text()


def test_a_stop_that_takes_long_is_taken_up_after_the_next_start(make_host: Callable[..., Pydockd], image: str) -> None:
    host = make_host().start()
    stubborn = ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]
    host.apply(container("stubborn", image, command=stubborn, terminationGracePeriodSeconds=6))
    pid = host.wait_ready_container("stubborn")["pid"]
    host.delete("Container", "stubborn")
    wait.until(lambda: any(each["reason"] == "Stopping" for each in events(host)), 5.0, "the stop to begin")
    began = time.monotonic()
    assert host.stop() == 0
    assert time.monotonic() - began < 4
    os.kill(pid, 0)
    host.start()
    assert not [each for each in events(host) if each["type"] == "Warning"]
    os.kill(pid, signal.SIGKILL)
    host.wait_gone("Container", "stubborn")
    assert "Traceback" not in host.log.read_text()


def events(host: Pydockd) -> list[dict[str, Any]]:
    found = host.api("GET", "/apis/pydock.dev/v1/events?object=container/default/stubborn")["items"]
    return list(found)


def test_an_exit_while_nobody_looks_is_told_rightly(make_host: Callable[..., Pydockd], image: str) -> None:
    host = make_host().start()
    host.apply(container("web", image, command=["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done"]))
    pid = host.wait_ready_container("web")["pid"]
    host.kill()
    os.kill(pid, signal.SIGTERM)
    wait.until(lambda: not os.path.exists(f"/proc/{pid}"), 5.0, "the process to end")
    host.start()
    wait.until(lambda: host.status("web").get("restartCount") == 1, 5.0, "the restart")
    assert host.wait_ready_container("web")["pid"] != pid
    told = host.api("GET", "/apis/pydock.dev/v1/events?object=container/default/web")["items"]
    assert [each["message"] for each in told if each["reason"] == "Exited"] == ["it exited with code 7"]


def test_the_own_network_can_be_taken_over_by_a_file(make_host: Callable[..., Pydockd], image: str) -> None:
    host = make_host().start()
    host.apply(container("web", image))
    pid = host.wait_ready_container("web")["pid"]
    (host.manifests / "net.yaml").write_text(
        "apiVersion: pydock.dev/v1\nkind: Network\nmetadata: {name: default}\nspec: {mtu: 1400}\n"
    )

    def mtu() -> Any:
        found = host.get("Network", "default")
        return found and (found["spec"], found["status"]["owner"]["item"])

    wait.until(lambda: mtu() == ({"mtu": 1400}, "net.yaml"), 5.0, "the file to hold the network")
    assert host.wait_ready_container("web")["pid"] == pid


def test_a_new_subnet_moves_its_containers(make_host: Callable[..., Pydockd], image: str) -> None:
    host = make_host().start()
    document = {
        "apiVersion": "pydock.dev/v1", "kind": "Network", "metadata": {"name": "net"},
        "spec": {"subnet": "10.99.1.0/24"},
    }  # fmt: skip
    host.apply(document)
    host.apply(container("web", image, command=["nc", "-ll", "-p", "7", "-e", "cat"], networks=[{"name": "net"}]))
    assert host.wait_ready_container("web")["addresses"][0]["address"].startswith("10.99.1.")
    host.apply(document | {"spec": {"subnet": "10.99.2.0/24"}})

    def moved() -> bool:
        status = host.status("web")
        return status["phase"] == "Running" and status["addresses"][0]["address"].startswith("10.99.2.")

    wait.until(moved, 20.0, "the container to have an address of the new subnet")
    address = host.status("web")["addresses"][0]["address"]
    again = container("other", image, command=["sh", "-c", f"echo hello | nc -w 2 {address} 7 | grep hello"])
    again["spec"] |= {"networks": [{"name": "net"}], "restartPolicy": "OnFailure"}
    host.apply(again)
    wait.until(lambda: host.status("other").get("phase") == "Succeeded", 20.0, "a neighbour to reach it")
