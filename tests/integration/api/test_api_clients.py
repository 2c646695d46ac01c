"""Clients that are slow, silent, confused or hostile: each gets its answer, and holds up nobody."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from reconciler.api import body
from reconciler.api.server import application
from reconciler.ipc import Call
from reconciler.testing import engine_api
from reconciler.testing.engine_api import Served, children
from reconciler.testing.wait import until

BASE = "/apis/pydock.dev/v1"
HOME = f"{BASE}/namespaces/default/containers"
WEB = f"{HOME}/web"
GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextlib.contextmanager
def connected(own: Served, timeout: float = 20.0) -> Iterator[socket.socket]:
    with engine_api.raw(own.path, timeout) as sock:
        yield sock


def everything(sock: socket.socket) -> bytes:
    """What comes until the other end closes."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := sock.recv(1 << 16):
            data += piece
    return data


def answer_to(own: Served, request: bytes) -> bytes:
    with connected(own) as sock:
        sock.sendall(request)
        sock.shutdown(socket.SHUT_WR)
        return everything(sock)


def status_of(answer: bytes) -> dict[str, Any]:
    head, _, data = answer.partition(b"\r\n\r\n")
    assert b"application/json" in head, answer[:300]
    found: dict[str, Any] = json.loads(data)
    assert found["kind"] == "Status"
    return found


@pytest.mark.parametrize(
    ("request_bytes", "code"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA_B: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 100 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000, 431),
        (b"GET /livez HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n", 403),
        (b"GET http://evil.example/livez HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else str(value),
)
def test_what_is_no_proper_request_is_refused_with_a_status(shared: Served, request_bytes: bytes, code: int) -> None:
    answer = answer_to(shared, request_bytes)
    assert answer.split(b" ", 2)[1] == str(code).encode(), answer[:300]
    assert status_of(answer)["code"] == code
    assert b"Traceback" not in answer


def test_forwarded_headers_change_nothing(shared: Served) -> None:
    request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
    assert answer_to(shared, request).endswith(b"ok")
    assert answer_to(shared, GET.replace(b"\r\n\r\n", b"\r\nScript-Name: /livez\r\n\r\n")).endswith(b"ok")


def test_smuggled_requests_are_not_answered(shared: Served) -> None:
    hidden = b"DELETE " + WEB.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    request = (
        b"POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    answer = answer_to(shared, request % (len(hidden) + 5) + hidden)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert "delete" not in [name for name, _ in shared.engine.asked]


def test_one_connection_serves_many_requests(shared: Served) -> None:
    shared.engine.put("Container", "default", "web")
    with contextlib.closing(engine_api.Connection(shared.path)) as connection:
        for method, target, data, code in (
            ("GET", WEB, None, 200),
            ("GET", "/nowhere", None, 404),
            ("PUT", WEB, b'{"spec": {}}', 200),
            ("POST", "/livez", b"x" * 5000, 405),
            ("POST", HOME, b"{", 400),
            ("HEAD", HOME, None, 200),
            ("OPTIONS", WEB, None, 200),
            ("DELETE", WEB, None, 200),
        ):
            connection.request(method, target, data, {"Content-Type": "application/json"} if data else {})
            response = connection.getresponse()
            assert response.status == code, (method, target)
            response.read()
            assert response.headers["Connection"] == "keep-alive"


def test_pipelined_requests_are_answered_in_order(shared: Served) -> None:
    chunked = (
        b"PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    body_of_put = b'c\r\n{"spec": {}}\r\n0\r\n\r\n'
    requests = GET + chunked % WEB.encode() + body_of_put + GET + b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connected(shared) as sock:
        sock.sendall(requests + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answer = everything(sock)
    codes = [line.split()[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1") or b"okHTTP" in line]
    assert answer.count(b"HTTP/1.1 ") == 5
    assert answer.count(b"HTTP/1.1 404") == 1
    assert answer.endswith(b"ok")
    assert codes


def test_a_request_byte_by_byte(shared: Served) -> None:
    request = (
        b"PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 12\r\n" % WEB.encode()
    )
    with connected(shared) as sock:
        for byte in request + b'Connection: close\r\n\r\n{"spec": {}}':
            sock.send(bytes([byte]))
        assert b" 20" in everything(sock)[:15]


def test_expect_is_answered_before_the_body_once(shared: Served) -> None:
    head = (
        b"PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 12\r\n" % WEB.encode()
    )
    with connected(shared) as sock:
        sock.sendall(head + b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b'{"spec": {}}')
        answer = everything(sock)
    assert answer.startswith(b"HTTP/1.1 20")
    assert b"100 Continue" not in answer


def test_a_body_too_large_is_refused_though_the_client_goes_on_sending(shared: Served) -> None:
    size = 20 << 20
    head = b"PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with connected(shared) as sock:
        sock.sendall(head % (WEB.encode(), size))
        for _ in range(20):
            sock.sendall(b"x" * (1 << 20))
        answer = everything(sock)
    assert answer.startswith(b"HTTP/1.1 413")
    assert status_of(answer)["reason"] == "RequestEntityTooLarge"


def test_chunks_too_many_are_refused(shared: Served) -> None:
    head = b"PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with connected(shared) as sock:
        sock.sendall(head % WEB.encode() + chunk * 20 + b"0\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert everything(sock).startswith(b"HTTP/1.1 413")
    with connected(shared) as sock:
        sock.sendall(head % WEB.encode())
        with contextlib.suppress(BrokenPipeError):
            for _ in range(400):
                sock.sendall(chunk)
        assert everything(sock).startswith(b"HTTP/1.1 413")


CHUNKED = b"Host: localhost\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
BAD_CHUNKS = {
    "a prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "no number": b"zz\r\nhello\r\n0\r\n\r\n",
    "an underscore": b"1_0\r\nhello\r\n0\r\n\r\n",
    "nothing": b"\r\nhello\r\n0\r\n\r\n",
    "an end that is none": b"5\r\nhelloXX0\r\n\r\n",
    "an extension with a line feed": b"5;a=\nb\r\nhello\r\n0\r\n\r\n",
    "no last chunk": b"5\r\nhello\r\n",
    "a chunk cut off": b"ff\r\nhello",
    "a size cut off": b"f",
}


def test_malformed_chunks_are_the_clients_fault(capfd: pytest.CaptureFixture[str], own: Served) -> None:
    """A client that leaves in the middle may get no answer; one that is answered is told what was wrong."""
    own.engine.handlers["image_load"] = _reads_all
    for name, chunks in BAD_CHUNKS.items():
        for head in (
            b"PUT %s HTTP/1.1\r\n" % WEB.encode() + CHUNKED % b"application/json",
            b"POST %s/graph/images/load HTTP/1.1\r\n" % BASE.encode() + CHUNKED % b"application/x-tar",
        ):
            answer = answer_to(own, head + chunks)
            assert answer == b"" or status_of(answer)["code"] == 400, (name, answer[:300])
            assert answer or name in ("no last chunk", "a chunk cut off", "a size cut off"), name
    assert own.ask("GET", "/livez").code == 200
    assert "Traceback" not in capfd.readouterr().err


def _reads_all(call: Call, args: Any) -> None:
    with open(call.fds[0], "rb", closefd=False) as pipe:
        pipe.read()
    call.result({"images": []})


def test_the_largest_plan_passes(shared: Served) -> None:
    document = {
        "kind": "Container",
        "metadata": {"name": "x"},
        "spec": {"env": [{"name": "A", "value": "v" * 900}] * 1000},
    }
    data = json.dumps({"documents": [document] * 2, "manager": "m"}).encode()
    assert body.LIMIT < len(data) < body.MANY_LIMIT
    assert shared.ask("POST", f"{BASE}/plans", data).code == 200


def healthy(own: Served, count: int) -> list[float]:
    """Seconds that requests of a well-behaved client take, each on a connection of its own, slowest last."""
    took = []
    for _ in range(count):
        begun = time.monotonic()
        assert own.ask("GET", WEB).code == 200
        took.append(time.monotonic() - begun)
    return sorted(took)


SLOW = {
    "silent": b"",
    "half a line": b"GET /liv",
    "half a head": b"GET /livez HTTP/1.1\r\nHost: localhost\r\nA: ",
    "half a body": b"PUT " + WEB.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{",
    "half a chunk": b"PUT " + WEB.encode() + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{",
    "waiting": b"PUT " + WEB.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
}


@pytest.mark.parametrize("kind", SLOW)
def test_a_thousand_slow_clients_hold_up_nobody(own: Served, kind: str) -> None:
    own.engine.put("Container", "default", "web")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(own)) for _ in range(1000)]
        for client in clients:
            client.sendall(SLOW[kind])
        took = healthy(own, 100)
        for client in clients[::10]:
            client.sendall(b"x")
        took = sorted([*took, *healthy(own, 100)])
    print(f"{kind}: median {took[100] * 1000:.1f} ms, 99th percentile {took[197] * 1000:.1f} ms")
    assert took[197] < 1


def test_clients_that_do_not_read_hold_up_nobody(own: Served) -> None:
    own.engine.put("Container", "default", "web")
    large = {"metadata": {"name": "large"}, "spec": "x" * (4 << 20)}
    own.engine.objects["Container", "default", "large"] = large
    request = f"GET {HOME}/large HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(own)) for _ in range(application.THREADS - 10)]
        for client in clients:
            client.sendall(request)
        assert healthy(own, 50)[-1] < 3


def test_more_connections_than_allowed_shed_the_idlest(own: Served) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(own)) for _ in range(application.CONNECTIONS + 200)]
        begun = time.monotonic()
        assert own.ask("GET", "/livez").code == 200
        assert time.monotonic() - begun < 1
        assert everything(clients[0]).startswith(b"HTTP/1.1 503")
        clients[-1].sendall(GET)
        assert clients[-1].recv(100).startswith(b"HTTP/1.1 200")


def test_clients_that_linger_are_cut_off(own: Served) -> None:
    with connected(own) as sock:
        sock.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert everything(sock).endswith(b"ok")
        begun = time.monotonic()

        def closed() -> bool:
            try:
                sock.send(b"x")
            except (BrokenPipeError, ConnectionResetError):
                return True
            return False

        until(closed, timeout=10, what="the connection to be closed")
        assert 0.5 < time.monotonic() - begun < 6


def test_nothing_is_left_after_all_kinds_of_clients(own: Served) -> None:
    own.engine.put("Container", "default", "web")
    (worker,) = children(own.process.pid)
    healthy(own, 5)
    before = len(os.listdir(f"/proc/{worker}/fd"))
    for _ in range(20):
        for data in [*SLOW.values(), b"nonsense\r\n\r\n", GET]:
            with connected(own) as sock:
                sock.sendall(data)
    until(lambda: len(os.listdir(f"/proc/{worker}/fd")) <= before, what="every descriptor to be closed")
    assert children(own.process.pid) == [worker]


def test_many_at_once_are_all_answered(own: Served) -> None:
    """More than there are threads: some wait, none is lost."""

    def slow(call: Call, args: Any) -> None:
        threading.Event().wait(0.05)
        call.result({"ok": True})

    own.engine.handlers["get"] = slow
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(own.ask("GET", WEB).code)) for _ in range(300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert codes == [200] * 300


def test_lists_that_nobody_reads_take_little_memory(own: Served) -> None:
    """A list is passed on as it is read: neither process has it whole."""
    page = msgspec.Raw(b"[" + b",".join([b'{"metadata":{"name":"x"},"spec":"' + b"x" * 10_000 + b'"}'] * 100) + b"]")
    sent: list[int] = []

    def listing(call: Call, args: Any) -> None:
        call.emit({"revision": 1})
        for _ in range(30):
            call.emit(page)
            sent.append(len(page))

    own.engine.handlers["list"] = listing
    pids = children(own.process.pid)
    before = engine_api.proportional_memory(pids)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(own)) for _ in range(24)]
        for client in clients:
            client.sendall(f"GET {HOME} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        until(lambda: own.server.busy == 24, what="every list to begin")
        until_quiet(sent)
        grown = (engine_api.proportional_memory(pids) - before) >> 10
        print(f"24 unread lists of 30 MiB: {sum(sent) >> 20} MiB sent, the worker grew by {grown} MiB")
        assert grown < 150
    own.engine.handlers.clear()
    until(lambda: own.server.busy == 0, what="the jobs to end")
    assert own.ask("GET", HOME).json["items"] == []


def until_quiet(sent: list[int]) -> None:
    """Waits until nothing more is sent."""
    while True:
        before = len(sent)
        time.sleep(0.2)
        if len(sent) == before:
            return
