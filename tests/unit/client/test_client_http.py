from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler import errors
from reconciler.client import http
from reconciler.testing import api_server


def ask(directory: Path, answer: bytes, method: str = "GET", body: bytes = b"") -> http.Response:
    with api_server.scripted(directory, answer) as (path, _):
        with contextlib.closing(http.Connection(path)) as connection:
            response = connection.request(method, "/x", body)
            content = response.read()
    return http.Response(http.Head(response.status, response.headers), iter([content]))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[api_server.Server]:
    with api_server.served(tmp_path) as running:
        yield running


def test_a_body_of_known_length(tmp_path: Path) -> None:
    response = ask(tmp_path, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Word: a: b\r\n\r\nhello")
    assert (response.status, response.headers["x-word"], response.read()) == (200, "a: b", b"hello")


def test_a_body_in_chunks_with_extensions_and_trailers(tmp_path: Path) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n"
    )
    assert ask(tmp_path, answer).read() == b"abc0123456789"


def test_a_body_that_ends_with_the_connection(tmp_path: Path) -> None:
    assert ask(tmp_path, b"HTTP/1.0 200 OK\r\n\r\nall of it").read() == b"all of it"


def test_no_body(tmp_path: Path) -> None:
    assert ask(tmp_path, b"HTTP/1.1 204 No Content\r\n\r\n").read() == b""


def test_an_interim_answer_is_passed_over(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert ask(tmp_path, answer).read() == b"ok"


def test_the_request_on_the_wire(tmp_path: Path) -> None:
    with api_server.scripted(tmp_path, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (path, received):
        with contextlib.closing(http.Connection(path)) as connection:
            connection.request("POST", "/a?b=c", b"{}", {"Content-Type": "application/json"}).read()
    assert received == [
        b"POST /a?b=c HTTP/1.1\r\nHost: localhost\r\nUser-Agent: pydock\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    ]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
def test_an_answer_that_ends_early_is_an_error(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(http.Cut, match="closed the connection before its answer was complete"):
        ask(tmp_path, answer)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "its answer begins with 'SSH-2.0-OpenSSH'"),
        (b"HTTP/1.1 xx\r\n\r\n", "its answer begins with"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", "'ten' is no length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "'zz' is no length"),
        (b"x" * 70_000, "too long"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", "too many headers"),
    ],
)
def test_what_is_no_http_is_told(tmp_path: Path, answer: bytes, says: str) -> None:
    with pytest.raises(errors.Permanent) as caught:
        ask(tmp_path, answer)
    assert says in caught.value.message
    assert "does not speak HTTP as pydockd does" in caught.value.message


def test_a_negative_length_reads_nothing(tmp_path: Path) -> None:
    assert ask(tmp_path, b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n").read() == b""


def test_no_socket(tmp_path: Path) -> None:
    with pytest.raises(http.Unreachable, match=r"there is no such socket\. Is pydockd running\?"):
        http.Connection(str(tmp_path / "none.sock")).request("GET", "/")


def test_nobody_listens(tmp_path: Path) -> None:
    path = str(tmp_path / "dead.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with pytest.raises(http.Unreachable, match=r"nothing listens there\. Is pydockd running\?"):
        http.Connection(path).request("GET", "/")


def test_no_permission(tmp_path: Path) -> None:
    path = str(tmp_path / "closed.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        os.chmod(path, 0)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                tmp_path.chmod(0o755)
                os.setresuid(65534, 65534, 65534)
                http.Connection(path).request("GET", "/")
            except http.Unreachable as error:
                status = 0 if "permission denied" in error.message else 2
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == 0


def test_silence_ends_at_the_timeout(tmp_path: Path) -> None:
    path = str(tmp_path / "silent.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with pytest.raises(http.TimedOut, match=r"did not answer within 0\.05 seconds"):
            http.Connection(path).request("GET", "/", timeout=0.05)


def test_the_connection_is_kept_for_the_next_request(server: api_server.Server) -> None:
    accepted = []
    original = server._server.get_request
    server._server.get_request = lambda: (accepted.append(1), original())[1]  # type: ignore[method-assign,func-returns-value]
    with contextlib.closing(http.Connection(server.path)) as connection:
        for _ in range(3):
            assert connection.request("GET", f"{api_server.BASE}/images").read().startswith(b"{")
    assert len(accepted) == 1


def test_an_answer_not_read_to_its_end_costs_its_connection_only(server: api_server.Server) -> None:
    with contextlib.closing(http.Connection(server.path)) as connection:
        first = connection.request("GET", f"{api_server.BASE}/images")
        second = connection.request("GET", f"{api_server.BASE}/networks")
        assert b"NetworkList" in second.read()
        assert first.status == 200


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    with api_server.scripted(tmp_path, answer + b"ok", answer + b"OK") as (path, _):
        with contextlib.closing(http.Connection(path)) as connection:
            assert connection.request("GET", "/").read() == b"ok"
            assert connection.request("GET", "/").read() == b"OK"


def test_an_answer_sent_before_the_whole_request_was_read_is_seen(tmp_path: Path) -> None:
    path = str(tmp_path / "early.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def refuse() -> None:
            with listener.accept()[0] as server:
                server.recv(10)
                server.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")

        thread = threading.Thread(target=refuse)
        thread.start()
        with contextlib.closing(http.Connection(path)) as connection:
            response = connection.request("POST", "/", b"x" * 8_000_000)
            assert (response.status, response.read()) == (413, b"big")
        thread.join()


def test_lines_come_as_soon_as_they_are_complete(server: api_server.Server) -> None:
    pieces = iter([b'{"a":', b'1}\n{"b":2}\n\n', b'{"c":3}'])
    server.answers["GET /lines"] = lambda request: api_server.Answer(pieces)
    with contextlib.closing(http.Connection(server.path)) as connection:
        lines = connection.request("GET", "/lines").lines()
        assert list(lines) == [b'{"a":1}', b'{"b":2}', b'{"c":3}']


class Sleeper:
    """A socket that takes connections and requests, answers the first with a stream's head, and no other."""

    def __init__(self, directory: Path, *, probe: bytes = b"") -> None:
        self.path = str(directory / "sleep.sock")
        self._probe = probe
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(8)
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                first = not self._open
                self._open.append(connection)
                answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" if first else self._probe
                connection.sendall(answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._open:
            connection.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_SLICE", 0.01), ("QUIET", 0.03), ("PROBE", 0.1), ("PATIENCE", 0.3)):
        monkeypatch.setattr(http, name, value)


def listen(path: str) -> bytes:
    with contextlib.closing(http.Connection(path)) as connection:
        return connection.request("GET", "/x", timeout=None).read()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("probe", "says"),
    [
        (b"", "it did not answer within 0.1 seconds whether it lives"),
        (b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", "its controller does not answer"),
    ],
)
def test_a_stream_of_a_server_that_stands_still_ends(tmp_path: Path, probe: bytes, says: str) -> None:
    with contextlib.closing(Sleeper(tmp_path, probe=probe)) as sleeper, pytest.raises(http.Silent) as caught:
        listen(sleeper.path)
    assert caught.value.message == f"the server at unix://{sleeper.path} does not answer any more: {says}"


@pytest.mark.usefixtures("impatient")
def test_a_silent_stream_of_a_server_that_lives_goes_on(server: api_server.Server) -> None:
    probed = threading.Event()
    ends = iter([b"one\n", b"two\n"])

    def ready(request: api_server.Request) -> api_server.Answer:
        if len([each for each in server.asked if each.path == "/readyz"]) == 3:
            probed.set()
        return api_server.Answer(b"ok")

    def pieces() -> Iterator[bytes]:
        yield next(ends)
        assert probed.wait(10)
        yield next(ends)

    server.answers["GET /readyz"] = ready
    server.answers["GET /x"] = lambda request: api_server.Answer(pieces())
    with contextlib.closing(http.Connection(server.path)) as connection:
        assert connection.request("GET", "/x", timeout=None).read() == b"one\ntwo\n"


@pytest.mark.usefixtures("impatient")
def test_an_upload_to_a_server_that_stands_still_ends(tmp_path: Path) -> None:
    with contextlib.closing(Sleeper(tmp_path)) as sleeper, contextlib.closing(http.Connection(sleeper.path)) as sending:
        with pytest.raises(http.Silent, match="does not answer any more"):
            sending.upload("/x", iter([b"x" * (1 << 20)] * 64), 64 << 20)


@pytest.mark.usefixtures("impatient")
def test_an_ordinary_answer_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with contextlib.closing(Sleeper(tmp_path)) as sleeper, contextlib.closing(http.Connection(sleeper.path)) as asking:
        response = asking.request("GET", "/x", timeout=0.1)
        with pytest.raises(http.TimedOut, match=r"did not answer within 0\.1 seconds"):
            response.read()
